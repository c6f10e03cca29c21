"""List pages of Cloud Storage's JSON API.

Source: "Objects: list" of Cloud Storage.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from headwater.stores.page_checks import NotAListingError, folder_names

KIND = "storage#objects"

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for JSON from a server that is not trusted."""


class ListedObject(msgspec.Struct, rename="camel"):
    """An object of a list page. `size` is in bytes, as text; `time_created` is RFC 3339; `generation` is a number."""

    name: str
    size: str
    time_created: str
    etag: str | None = None
    generation: str | None = None


class ListPage(msgspec.Struct, rename="camel"):
    """A list page. `kind` tells an empty page from other JSON."""

    kind: str
    items: list[ListedObject] = []
    next_page_token: str | None = None


class _Written(msgspec.Struct):
    generation: str


_written = msgspec.json.Decoder(_Written)


class FoldersPage(msgspec.Struct):
    """A list page with a delimiter. `prefixes` are the folders, each with its `/`."""

    kind: str
    prefixes: list[str] = []


_pages = msgspec.json.Decoder(ListPage)
_folders = msgspec.json.Decoder(FoldersPage)
_anything = msgspec.json.Decoder(msgspec.Raw)

Page = TypeVar("Page", ListPage, FoldersPage)


def parse_list_page(body: bytes) -> ListPage:
    """Parse the response to objects.list.

    Raises:
        NotAListingError: the body is not a list page.
    """
    return _parse(body, _pages)


def read_folders(body: bytes, path: str) -> list[str]:
    """Return the names of the folders in the folder `path` of a bucket.

    Raises:
        NotAListingError: the body is not a list page.
    """
    return folder_names(_parse(body, _folders).prefixes, path)


def _parse(body: bytes, decoder: msgspec.json.Decoder[Page]) -> Page:
    try:
        page = decoder.decode(body)
    except UNREADABLE as error:
        what = "JSON of another form" if isinstance(error, msgspec.ValidationError) else "no JSON that can be read"
        raise NotAListingError(what) from None
    if page.kind != KIND:
        raise NotAListingError("JSON of another kind")
    return page


def read_generation(body: bytes) -> str | None:
    """Return the generation of an object that was written, from the response to objects.insert; None if it has none."""
    try:
        return _written.decode(body).generation
    except UNREADABLE:
        return None


def is_cut_short(body: bytes) -> bool:
    """Return whether a body begins as JSON and lacks its end. Not every broken connection is reported as an error."""
    if not body.strip():
        return True
    if not body.lstrip().startswith(b"{"):
        return False
    try:
        _anything.decode(body)
    except msgspec.DecodeError as error:
        return "truncated" in str(error)
    except RecursionError:
        return False
    return False
