"""Reading the XML that S3 answers with: list pages and errors.

The answers come from servers that users name, so they are hostile until shown otherwise: document types (and
with them entities) are refused; elements, attributes, texts and depth are bounded; and nothing but the wanted
members is kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from xml.parsers import expat

MAX_ROWS = 10_000
"""More objects than any server sends in one page."""

MAX_ERROR_BODY = 64 * 2**10
"""Bytes: no error document of S3 comes near."""

_MAX_TAGS = 40 * MAX_ROWS
_MAX_DEPTH = 10
_MAX_ATTRIBUTES = 5
_MAX_TEXT = 8 * 2**10
"""Characters of any one element: a continuation token may hold a key in base64."""

_CHUNK = 64 * 2**10
"""Bytes that are parsed at a time, and that no single tag exceeds."""

_MEMBERS = frozenset({"Key", "LastModified", "Size", "ETag", "IsTruncated", "EncodingType"})
_ERROR_MEMBERS = frozenset({"Code", "Message", "Region", "Endpoint"})


class NotS3(Exception):
    """The body is not the XML that S3 answers with; the text says in what way."""


class ListPage(NamedTuple):
    """A ListObjects answer as it stands. `rows` have the members Key, LastModified, Size and, often, ETag."""

    rows: list[dict[str, str]]
    truncated: bool
    url_encoded: bool


def is_cut_short(body: bytes) -> bool:
    """Whether a body begins as a list page and lacks its end, which not every broken connection shows."""
    begun = not body or body.lstrip(b"\xef\xbb\xbf \t\r\n")[:17].startswith((b"<?xml", b"<ListBucketResult"))
    return begun and not body[-200:].rstrip().endswith((b"ListBucketResult>", b"Error>", b"html>", b"HTML>"))


def parse_list_page(body: bytes) -> ListPage:
    """Read the answer to ListObjectsV2.

    Raises:
        NotS3: it is something else, or breaks off.
    """
    # A tag has three bytes at least: pages of usual size need no count.
    if len(body) > 3 * _MAX_TAGS and body.count(b"<") > _MAX_TAGS:
        raise NotS3(f"more than {_MAX_TAGS} tags in one page")
    rows: list[dict[str, str]] = []
    page: dict[str, str] = {}
    current = page
    text = ""
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal current, text, depth
        text = ""
        depth += 1
        if depth > _MAX_DEPTH:
            raise NotS3(f"elements nested more than {_MAX_DEPTH} deep")
        if attributes and len(attributes) > _MAX_ATTRIBUTES:
            raise NotS3(f"more than {_MAX_ATTRIBUTES} attributes of one element")
        if name == "Contents":
            if len(rows) == MAX_ROWS:
                raise NotS3(f"more than {MAX_ROWS} objects in one page")
            current = {}
            rows.append(current)

    def characters(data: str) -> None:
        nonlocal text
        if text:
            # Only what exceeds the parser's buffer comes in pieces.
            data = text + data
            if len(data) > _MAX_TEXT:
                raise NotS3(f"a text of more than {_MAX_TEXT} characters in one element")
        text = data

    def end(name: str) -> None:
        nonlocal current, depth
        depth -= 1
        if name in _MEMBERS:
            current[name] = text
        elif name == "Contents":
            current = page

    root = _parse(body, start, characters, end)
    if root != "ListBucketResult":
        raise NotS3(f"<{root[:40]}> where <ListBucketResult> was expected")
    return ListPage(rows, page.get("IsTruncated", "").lower() == "true", page.get("EncodingType") == "url")


def parse_error(body: bytes) -> dict[str, str]:
    """Read an error body: Code, Message, and where a request should have gone (Region, Endpoint).

    Empty where the body is not an S3 error.
    """
    if len(body) > MAX_ERROR_BODY:
        return {}
    found: dict[str, str] = {}
    text = ""

    def start(_: str, __: object) -> None:
        nonlocal text
        text = ""

    def characters(data: str) -> None:
        nonlocal text
        text += data

    def end(name: str) -> None:
        if name in _ERROR_MEMBERS:
            found.setdefault(name, text.strip())

    try:
        root = _parse(body, start, characters, end)
    except NotS3:
        return {}
    # Some servers wrap it: <ErrorResponse><Error>…
    return found if root in ("Error", "ErrorResponse", "Response") else {}


def _parse(body: bytes, start: Any, characters: Any, end: Any) -> str:
    """Run the handlers over a body and return the name of its root element."""
    # The encoding is fixed, so that a declared one cannot hide what is looked for below.
    parser = expat.ParserCreate(encoding="utf-8")
    parser.buffer_text = True
    root = ""

    def first(name: str, attributes: object) -> None:
        nonlocal root
        root = name
        parser.StartElementHandler = start
        start(name, attributes)

    def refuse(*_: object) -> None:
        raise NotS3("a document type, which S3 never sends")

    parser.StartElementHandler = first
    parser.CharacterDataHandler = characters
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        # In pieces, since a handler sees a tag, and may refuse it, only once all its attributes were made objects.
        for at in range(0, len(body), _CHUNK):
            piece = body[at : at + _CHUNK]
            parser.Parse(piece)
            if at + len(piece) - parser.CurrentByteIndex > _CHUNK:
                raise NotS3(f"a tag of more than {_CHUNK} bytes")
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise NotS3(f"XML that cannot be read ({expat.ErrorString(error.code)})") from None
    return root
