"""A parser for list pages and error documents in XML.

The documents come from servers that users configure, so they are not trusted: document types (and with them entities)
are refused, elements, attributes, texts and depth are limited, and only the wanted members are kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from xml.parsers import expat

from headwater.stores.error_mapping import MAX_ERROR_BODY_BYTES
from headwater.stores.page_checks import BIG_PAGE_BYTES, NotAListingError

MAX_ROWS = 10_000
"""More objects than any server sends in one page."""

_MAX_TAGS = 40 * MAX_ROWS
_MAX_DEPTH = 10
_MAX_ATTRIBUTES = 5
_MAX_TEXT = 8 * 2**10
"""Characters of one element. A continuation token may contain a key in base64."""

_CHUNK = 64 * 2**10
"""Bytes that are parsed at a time, and the maximum size of one tag."""

_ERROR_MEMBERS = frozenset({"Code", "Message", "Region", "Endpoint"})

BIG_PAGE_TAGS = 40_000
"""`<` characters of a list page from which it is parsed in a thread, as with `BIG_PAGE_BYTES`. A thousand keys of usual
length have a third of that."""


class Form(NamedTuple):
    """The element names of a provider's list page.

    Attributes:
        root: the root element.
        row: the element of an object.
        members: the elements to keep, of objects and of the page.
        metadata: the element that contains the metadata that users gave an object; empty if there is none. Elements in
            it may have any name, also that of a member.
        metadata_names: which of the metadata to keep, in lower case, as `metadata/name`.
    """

    root: str
    row: str
    members: frozenset[str]
    metadata: str = ""
    metadata_names: frozenset[str] = frozenset()


class ListPage(NamedTuple):
    """A parsed list page, unchecked: the members of each object, and the members of the page itself.

    An attribute of a member is kept as `Member@attribute`.
    """

    rows: list[dict[str, str]]
    page: dict[str, str]


def is_cut_short(body: bytes, form: Form) -> bool:
    """Return whether a body begins as a list page and lacks its end. Not every broken connection is reported as one."""
    root = form.root.encode()
    is_begun = not body or body.lstrip(b"\xef\xbb\xbf \t\r\n")[:24].startswith((b"<?xml", b"<" + root))
    return is_begun and not body[-200:].rstrip().endswith((root + b">", b"Error>", b"html>", b"HTML>"))


def is_big(body: bytes) -> bool:
    """Return whether a list page should be parsed in a thread."""
    return len(body) >= BIG_PAGE_BYTES or body.count(b"<") > BIG_PAGE_TAGS


def parse_list_page(body: bytes, form: Form) -> ListPage:
    """Parse a list page.

    Raises:
        NotAListingError: the body is not a list page of this form, or it is incomplete.
    """
    # A tag has at least three bytes, so that pages of usual size need no count.
    if len(body) > 3 * _MAX_TAGS and body.count(b"<") > _MAX_TAGS:
        raise NotAListingError(f"more than {_MAX_TAGS} tags in one page")
    _, row_name, members, metadata, metadata_names = form
    rows: list[dict[str, str]] = []
    page: dict[str, str] = {}
    current = page
    text = ""
    depth = 0
    metadata_depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal current, text, depth, metadata_depth
        text = ""
        depth += 1
        if depth > _MAX_DEPTH:
            raise NotAListingError(f"elements nested more than {_MAX_DEPTH} deep")
        if metadata_depth:
            return
        if name == metadata:
            metadata_depth = depth
        if attributes:
            if len(attributes) > _MAX_ATTRIBUTES:
                raise NotAListingError(f"more than {_MAX_ATTRIBUTES} attributes of one element")
            if name in members:
                current |= {f"{name}@{attribute}": value for attribute, value in attributes.items()}
        if name == row_name:
            if len(rows) == MAX_ROWS:
                raise NotAListingError(f"more than {MAX_ROWS} objects in one page")
            current = {}
            rows.append(current)

    def characters(data: str) -> None:
        nonlocal text
        if text:
            # Only a text that exceeds the parser's buffer arrives in pieces.
            data = text + data
            if len(data) > _MAX_TEXT:
                raise NotAListingError(f"a text of more than {_MAX_TEXT} characters in one element")
        text = data

    def end(name: str) -> None:
        nonlocal current, depth, metadata_depth
        depth -= 1
        if metadata_depth:
            if depth < metadata_depth:
                metadata_depth = 0
            elif name.lower() in metadata_names:
                current[f"{metadata}/{name.lower()}"] = text
        elif name in members:
            current[name] = text
        elif name == row_name:
            current = page

    root = _parse(body, start, characters, end)
    if root != form.root:
        raise NotAListingError(f"<{root[:40]}> where <{form.root}> was expected")
    return ListPage(rows, page)


def parse_error(body: bytes, members: frozenset[str] = _ERROR_MEMBERS) -> dict[str, str]:
    """Return the members of an error document by name; empty if the body is not an error document.

    Args:
        body: the response's body.
        members: the elements to keep.
    """
    if len(body) > MAX_ERROR_BODY_BYTES:
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
        if name in members:
            found.setdefault(name, text.strip())

    try:
        root = _parse(body, start, characters, end)
    except NotAListingError:
        return {}
    # Some servers wrap it: <ErrorResponse><Error>…
    return found if root in ("Error", "ErrorResponse", "Response") else {}


def _parse(body: bytes, start: Any, characters: Any, end: Any) -> str:
    """Run the handlers over a body, and return the name of its root element."""
    # The encoding is fixed, so that a declared encoding cannot hide what the handlers look for.
    parser = expat.ParserCreate(encoding="utf-8")
    parser.buffer_text = True
    root = ""

    def first(name: str, attributes: object) -> None:
        nonlocal root
        root = name
        parser.StartElementHandler = start
        start(name, attributes)

    def refuse(*_: object) -> None:
        raise NotAListingError("a document type, which no store sends")

    parser.StartElementHandler = first
    parser.CharacterDataHandler = characters
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    # Some providers begin their documents with a byte order mark.
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        # In pieces, because a handler sees a tag, and can refuse it, only after all its attributes became objects.
        for at in range(0, len(body), _CHUNK):
            piece = body[at : at + _CHUNK]
            parser.Parse(piece)
            if at + len(piece) - parser.CurrentByteIndex > _CHUNK:
                raise NotAListingError(f"a tag of more than {_CHUNK} bytes")
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise NotAListingError(f"XML that cannot be read ({expat.ErrorString(error.code)})") from None
    return root
