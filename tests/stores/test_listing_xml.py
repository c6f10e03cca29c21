"""Parsing XML from servers that are not trusted."""

from __future__ import annotations

import tracemalloc

import pytest

from headwater.stores.listing_xml import is_cut_short, parse_error, parse_list_page
from headwater.stores.page_checks import NotAListingError
from headwater.stores.s3.listing import FORM
from tests.stores.s3.server import error_xml, list_xml

LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">'
    '<!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;">]>'
)


def test_page_is_parsed() -> None:
    page = parse_list_page(list_xml(["a", "b &amp; &#x1F98A; c"], truncated=True), FORM)
    assert page.page == {"IsTruncated": "true"}
    assert page.rows[1] == {
        "Key": "b & 🦊 c",
        "LastModified": "2024-01-02T03:04:05.678Z",
        "Size": "7",
        "ETag": '"abc"',
    }


def test_members_of_nested_elements_are_ignored() -> None:
    page = parse_list_page(list_xml(["a"], more="<Owner><ID>x</ID><DisplayName>y</DisplayName></Owner>"), FORM)
    assert set(page.rows[0]) == {"Key", "LastModified", "Size", "ETag"}


def test_long_text_is_complete() -> None:
    """expat passes a text that exceeds its buffer in pieces."""
    key = "k" * 3072
    assert {row["Key"] for row in parse_list_page(list_xml([key] * 100), FORM).rows} == {key}
    message = "m" * 50_000
    assert parse_error(error_xml("X", message))["Message"] == message


@pytest.mark.parametrize(
    "body",
    [
        list_xml(["a"], head=LAUGHS),
        list_xml(["&e;"], head=LAUGHS),
        list_xml(["a"], head='<!DOCTYPE x SYSTEM "file:///etc/passwd">'),
        list_xml(["a"], head="<!DOCTYPE x>").decode().replace("UTF-8", "UTF-16").encode("utf-16"),
        list_xml(["a"], head="<!DOCTYPE x>").decode().replace("UTF-8", "cp037").encode("cp037"),
    ],
    ids=["laughs", "laughs-used", "external", "utf-16", "ebcdic"],
)
def test_document_types_are_refused_in_every_encoding(body: bytes) -> None:
    with pytest.raises(NotAListingError):
        parse_list_page(body, FORM)
    assert parse_error(body) == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<html></html>",
        b"<Error/>",
        b"<ListBucketResult>",
        b"<ListBucketResult></x>",
        b"\xff\xfe",
        b"<a>\x00</a>",
    ],
)
def test_other_documents_are_refused(body: bytes) -> None:
    with pytest.raises(NotAListingError):
        parse_list_page(body, FORM)


def test_page_has_a_maximum_of_objects() -> None:
    with pytest.raises(NotAListingError, match="10000"):
        parse_list_page(b"<ListBucketResult>" + b"<Contents/>" * 10_001 + b"</ListBucketResult>", FORM)


@pytest.mark.parametrize(
    "inside",
    [
        b"<a>" * 20 + b"</a>" * 20,
        b"<a " + b" ".join(b'a%d=""' % i for i in range(20)) + b"/>",
        b"<a>" + b"x" * 200_000 + b"</a>",
        b"<a/>" * 450_000,
    ],
    ids=["depth", "attributes", "text", "elements"],
)
def test_page_of_absurd_shape_is_refused(inside: bytes) -> None:
    """Only objects were counted: a page of 16 MB could have millions of elements, or of attributes."""
    with pytest.raises(NotAListingError, match="more than"):
        parse_list_page(b"<ListBucketResult>" + inside + b"</ListBucketResult>", FORM)


@pytest.mark.parametrize("quoted", [b"", b">"], ids=["empty", "with-brackets"])
def test_huge_tag_is_refused_before_its_attributes_become_objects(quoted: bytes) -> None:
    """A tag of 5 MB took 200 MB and more before a handler could count its attributes."""
    tag = b"<a " + b" ".join(b'a%d="%s"' % (i, quoted) for i in range(100_000)) + b"/>"
    body = b"<ListBucketResult>" + tag + b"</ListBucketResult>"
    tracemalloc.start()
    try:
        with pytest.raises(NotAListingError, match="a tag of more than"):
            parse_list_page(body, FORM)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 2**20


def test_huge_error_document_is_not_parsed() -> None:
    assert parse_error(error_xml("X", "m" * 70_000)) == {}


def test_every_truncation_of_a_page_is_detected() -> None:
    whole = list_xml(["a", "b"])
    assert not is_cut_short(whole, FORM)
    assert not is_cut_short(whole + b"\n\n", FORM)
    for length in range(len(whole)):
        if length >= 6 or length == 0:
            assert is_cut_short(whole[:length], FORM), length
        with pytest.raises(NotAListingError):
            parse_list_page(whole[:length], FORM)


def test_error_document_is_parsed() -> None:
    said = parse_error(error_xml("PermanentRedirect", more="<Region>eu-west-1</Region><Other>x</Other>"))
    assert said == {"Code": "PermanentRedirect", "Message": "Said by the provider.", "Region": "eu-west-1"}
    assert parse_error(b"<ErrorResponse>" + error_xml("X")[21:] + b"</ErrorResponse>")["Code"] == "X"
    for body in (b"", b"<html>", b"<Other><Code>x</Code></Other>", b"\x00"):
        assert parse_error(body) == {}
