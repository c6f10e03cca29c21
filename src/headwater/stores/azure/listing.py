"""List pages of Azure Blob Storage.

Source: "List Blobs" in the Azure Storage REST reference.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from headwater.domain.objects import Key, StoredObject
from headwater.domain.times import parse_object_time
from headwater.stores.listing_xml import Form, parse_list_page
from headwater.stores.page_checks import MAX_OBJECT_BYTES, NotAListingError, impossible_size

FORM = Form(
    "EnumerationResults",
    "Blob",
    frozenset({"Name", "Last-Modified", "Content-Length", "Etag", "ResourceType", "NextMarker"}),
)

MAX_NAME_LENGTH = 1024
"""Characters in a name ("Naming and Referencing Containers, Blobs, and Metadata")."""


class PrefixIgnoredError(Exception):
    """The page has names that do not begin with the prefix of the request."""


class Rows(NamedTuple):
    """A list page. All keys are relative to the root.

    Attributes:
        objects: without directories.
        first: the key of the first row, a directory included; None if the page is empty or the name is not UTF-8.
        last: the key of the last row, likewise.
        unreadable: how many names are not UTF-8.
        next_marker: empty if the listing ends.
        hierarchical: whether `/` precedes all other characters in the order of names.
    """

    objects: list[StoredObject]
    first: Key | None
    last: Key | None
    unreadable: int
    next_marker: str
    hierarchical: bool

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
    hierarchical = False
    for number, row in enumerate(page.rows):
        kind = row.get("ResourceType")
        hierarchical = hierarchical or kind is not None
        try:
            name = row["Name"]
        except KeyError:
            raise NotAListingError("a blob without name") from None
        if "Name@Encoded" in row and row["Name@Encoded"].lower() == "true":
            try:
                name = unquote_to_bytes(name).decode()
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
        objects.append(StoredObject(last, size, modified, row.get("Etag", "").strip('"') or None))
    return Rows(objects, first, last, unreadable, page.page.get("NextMarker", ""), hierarchical)


def _hierarchical(key: Key) -> Key:
    return key.replace("/", "\0")
