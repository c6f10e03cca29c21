"""List pages of Azure Blob Storage.

Source: "List Blobs" in the Azure Storage REST reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from headwater.domain.objects import Key, StoredObject, StorePage
from headwater.domain.times import parse_object_time
from headwater.net.transport import Response, is_transient
from headwater.stores.listing_xml import Form, is_cut_short, parse_list_page
from headwater.stores.page_checks import MAX_OBJECT_BYTES, NotAListingError, folder_names, impossible_size

_FOLDER_NAMES = ("hdi_isfolder", "is_directory", "asv_isfolder")
"""Metadata, in lower case, by which Hadoop, AzCopy and other programs mark a blob without content as a folder."""

FORM = Form(
    "EnumerationResults",
    "Blob",
    frozenset({"Name", "Last-Modified", "Content-Length", "Etag", "ResourceType", "NextMarker"}),
    "Metadata",
    frozenset(_FOLDER_NAMES),
)

_FOLDERS = Form("EnumerationResults", "BlobPrefix", frozenset({"Name"}))

MAX_LIST_BODY_BYTES = 8 * 2**20
"""Bytes of a list page: a thousand names of 1,024 characters, each an entity of XML, are 6 MB with their properties."""

MAX_METADATA_LIST_BODY_BYTES = 3 * MAX_LIST_BODY_BYTES
"""Bytes of a list page with metadata, of which a blob has at most 8 kB."""

MAX_NAME_LENGTH = 1024
"""Characters in a name ("Naming and Referencing Containers, Blobs, and Metadata")."""

# The first letter of a StorePage's marker; the server's own marker follows.
AT_KEY = "k"
"""The page ended at its `resume_after`, so that the listing can also resume by key."""
BY_MARKER = "m"
"""The page ended at an unreadable name, or was empty: the listing resumes only by marker."""
SKIPPING = "p"
"""As `BY_MARKER`; names up to `after` are still to be skipped."""


class PrefixIgnoredError(Exception):
    """The page has names that do not begin with the prefix of the request."""


class StartFromRefusedError(Exception):
    """The response is a 400, and `startFrom` may be the reason: it is if the response names it."""

    def __init__(self, *, named: bool) -> None:
        super().__init__()
        self.named = named


class Rows(NamedTuple):
    """A list page. All keys are relative to the root.

    Attributes:
        objects: without directories and folder stubs.
        first: the key of the first row, a directory included; None if the page is empty or the name is not UTF-8.
        last: the key of the last row, likewise.
        unreadable: how many names are not UTF-8.
        next_marker: empty if the listing ends.
        hierarchical: whether `/` precedes all other characters in the order of names.
        has_empty: whether an object has no content. It may be a folder stub if the page has no metadata.
        has_stubs: whether folder stubs were left out: blobs without content that their metadata marks as folders.
    """

    objects: list[StoredObject]
    first: Key | None
    last: Key | None
    unreadable: int
    next_marker: str
    hierarchical: bool
    has_empty: bool
    has_stubs: bool

    def without_first(self) -> Rows:
        """Return the page without its first row."""
        objects = self.objects
        return self._replace(objects=objects[1:] if objects and objects[0].key == self.first else objects)

    def objects_after(self, key: Key) -> tuple[list[StoredObject], bool]:
        """Return the objects after a key, in the server's order, and whether the page ends after it."""
        if self.hierarchical:
            key = _hierarchical(key)
            objects = [found for found in self.objects if _hierarchical(found.key) > key]
            return objects, self.last is not None and _hierarchical(self.last) > key
        objects = [found for found in self.objects if found.key > key]
        return objects, self.last is not None and self.last > key


def to_store_page(rows: Rows, limit: int, after: Key | None, *, skipping: bool = False) -> StorePage:
    """Return a page of rows. With `skipping`, keys up to `after` are left out, also from later pages."""
    objects, unreadable = rows.objects, rows.unreadable
    if skipping and after is not None:
        objects, ends_after = rows.objects_after(after)
        skipping = not ends_after
    if len(objects) > limit:
        # More than requested: the marker would skip the objects that are cut off, so resume by key.
        return StorePage(objects[:limit], objects[limit - 1].key, unreadable)
    token = rows.next_marker
    if not token:
        return StorePage(objects, None, unreadable)
    if skipping:
        return StorePage(objects, after, unreadable, SKIPPING + token)
    if rows.last is None or rows.last == after:
        return StorePage(objects, objects[-1].key if objects else after or "", unreadable, BY_MARKER + token)
    return StorePage(objects, rows.last, unreadable, AT_KEY + token)


def should_retry_list(response: Response) -> bool:
    """Return whether a list response calls for another attempt."""
    return is_transient(response) or (response.status == 200 and is_cut_short(response.body, FORM))


def is_before(one: Key, other: Key) -> bool:
    """Return whether a key precedes another in every order in which servers are known to list.

    These are: by UTF-8 bytes, as Python compares; by UTF-16 units (Azurite); by path (hierarchical namespace).
    """
    return (
        one < other
        and one.encode("utf-16-be") < other.encode("utf-16-be")
        and _hierarchical(one) < _hierarchical(other)
    )


def read_rows(body: bytes, root: str, prefix: str) -> Rows:
    """Return the rows of a list page.

    Args:
        body: the body of the response.
        root: what all names begin with, and keys do not.
        prefix: the prefix of the keys that were requested.

    Raises:
        NotAListingError: the body is not a list page.
        PrefixIgnoredError: a name does not begin with root and prefix.
    """
    page = parse_list_page(body, FORM)
    start, root_length = root + prefix, len(root)
    objects: list[StoredObject] = []
    first = last = None
    unreadable = 0
    hierarchical = has_empty = has_stubs = False
    for number, row in enumerate(page.rows):
        kind = row.get("ResourceType")
        hierarchical = hierarchical or kind is not None
        try:
            name = _decode(row["Name"], row)
        except KeyError:
            raise NotAListingError("a blob without name") from None
        except UnicodeDecodeError:
            unreadable += 1
            last = None
            continue
        if len(name) > MAX_NAME_LENGTH:
            raise NotAListingError(f"a name of more than {MAX_NAME_LENGTH} characters")
        if not name.startswith(start):
            raise PrefixIgnoredError
        last = name[root_length:]
        if not number:
            first = last
        # A blob with the name of the root itself has no key.
        if kind == "directory" or not last:
            continue
        try:
            size, modified = int(row["Content-Length"]), parse_object_time(row["Last-Modified"])
        except (KeyError, ValueError):
            raise NotAListingError("a blob without size or time") from None
        if size < 0 or size > MAX_OBJECT_BYTES:
            raise impossible_size()
        if not size:
            if _is_stub(row):
                has_stubs = True
                continue
            has_empty = True
        objects.append(StoredObject(last, size, modified, row.get("Etag", "").strip('"') or None))
    return Rows(objects, first, last, unreadable, page.page.get("NextMarker", ""), hierarchical, has_empty, has_stubs)


def read_folders(body: bytes, path: str) -> list[str]:
    """Return the names of the folders in the folder `path` of a container. Names that are not UTF-8 are left out.

    Raises:
        NotAListingError: the body is not a list page.
    """
    paths = []
    for row in parse_list_page(body, _FOLDERS).rows:
        with suppress(UnicodeDecodeError):
            paths.append(_decode(row.get("Name", ""), row))
    return folder_names(paths, path)


def _decode(name: str, row: Mapping[str, str]) -> str:
    is_encoded = "Name@Encoded" in row and row["Name@Encoded"].lower() == "true"
    return unquote_to_bytes(name).decode() if is_encoded else name


def _is_stub(row: Mapping[str, str]) -> bool:
    return any(row.get(f"{FORM.metadata}/{name}", "").strip().lower() == "true" for name in _FOLDER_NAMES)


def _hierarchical(key: Key) -> Key:
    return key.replace("/", "\0")
