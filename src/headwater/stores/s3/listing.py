"""List pages of S3, checked: only keys in order, under the prefix, after the last key of the page before.

Wire facts are from the Amazon S3 API reference (ListObjectsV2, ListObjects). Both versions have the same response.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from headwater.domain.errors import LocationInvalidError
from headwater.domain.objects import Key, StoredObject, StorePage
from headwater.domain.times import parse_object_time
from headwater.stores.error_mapping import ConfigLabels, shown
from headwater.stores.listing_xml import Form, ListPage, parse_list_page
from headwater.stores.page_checks import (
    MAX_KEY_BYTES,
    MAX_OBJECT_BYTES,
    NotAListingError,
    folder_names,
    impossible_size,
    key_too_long,
    keys_out_of_order,
    listing_never_ends,
    prefix_ignored,
    start_ignored,
)

FORM = Form(
    "ListBucketResult",
    "Contents",
    frozenset(
        {"Key", "LastModified", "Size", "ETag", "IsTruncated", "EncodingType", "NextContinuationToken", "NextMarker"}
    ),
)

_FOLDERS = Form("ListBucketResult", "CommonPrefixes", frozenset({"Prefix", "EncodingType"}))


MAX_TOKEN_LENGTH = 4096
"""Characters of a continuation token: one that holds a key of 1,024 bytes in base64 has 1,400."""


class Version(NamedTuple):
    """A version of the list request.

    Attributes:
        mark: what the markers of its pages begin with.
        query: its constant query parameters.
        start: the parameter for the key to start after.
        token: the parameter for the continuation token of a page without keys.
    """

    mark: str
    query: dict[str, str]
    start: str
    token: str


VERSION_1 = Version("1", {}, "marker", "marker")
VERSION_2 = Version("2", {"list-type": "2"}, "start-after", "continuation-token")


class StartAfterIgnoredError(Exception):
    """The server begins a page at another key than requested. `store_error` is the error for the user."""

    def __init__(self, store_error: LocationInvalidError) -> None:
        super().__init__(store_error.message)
        self.store_error = store_error


class ListRequest(NamedTuple):
    """A request for one page. `root` is the key prefix of the datasource; `prefix` and `after` are relative to it.

    `marker` is that of the page before, if it had no keys.
    """

    bucket: str
    root: str
    prefix: str
    after: Key | None
    limit: int
    version: Version
    labels: ConfigLabels
    marker: str | None = None

    @property
    def query(self) -> dict[str, str]:
        """The query parameters."""
        query = {
            **self.version.query,
            "encoding-type": "url",
            "max-keys": str(self.limit),
            "prefix": self.root + self.prefix,
        }
        if self.marker is not None:
            query[self.version.token] = self.marker[len(self.version.mark) :]
        elif self.after is not None:
            query[self.version.start] = self.root + self.after
        return query


def read_page(body: bytes, request: ListRequest) -> StorePage:
    """Return the page of a response, with keys relative to the root.

    Raises:
        NotAListingError: the body is not a list page, or an object lacks what every object has.
        StartAfterIgnoredError: the page begins at or before `request.after`.
        LocationInvalidError: keys are not in order, or do not begin with the prefix.
        StoreUnavailableError: the page announces another one, and has neither a key nor a marker to resume from.
    """
    page = parse_list_page(body, FORM)
    is_url_encoded = page.page.get("EncodingType") == "url"
    is_truncated = _is_truncated(page, request.limit)
    root = request.root
    start = root + request.prefix
    root_length = len(root)
    last = None if request.after is None else root + request.after
    objects: list[StoredObject] = []
    unreadable = unreadable_before_last = 0
    for row in page.rows:
        try:
            key = row["Key"]
            size, modified = int(row["Size"]), parse_object_time(row["LastModified"])
        except (KeyError, ValueError):
            raise NotAListingError("an object without key, size or time") from None
        if size < 0 or size > MAX_OBJECT_BYTES:
            raise impossible_size()
        if is_url_encoded and ("%" in key or "+" in key):
            name = _decode(key)
            if len(name) > MAX_KEY_BYTES:
                raise key_too_long()
            try:
                key = name.decode()
            except UnicodeDecodeError:
                unreadable += 1
                continue
        # A character has at most four bytes.
        elif len(key) > MAX_KEY_BYTES // 4 and len(key.encode()) > MAX_KEY_BYTES:
            raise key_too_long()
        # Python compares strings by code point, which is the order of their UTF-8 bytes.
        if last is not None and key <= last:
            if objects and key == last:
                continue  # some servers list a key twice, such as RustFS below a folder marker
            raise _order_error(request, is_first=not objects)
        if not key.startswith(start):
            raise prefix_ignored(request.labels)
        last = key
        unreadable_before_last = unreadable
        objects.append(StoredObject(key[root_length:], size, modified, row.get("ETag", "").strip('"') or None))
    if not is_truncated and len(objects) <= request.limit:
        return StorePage(objects, None, unreadable)
    if not objects:
        marker = _marker(page)
        if marker is None or len(marker) > MAX_TOKEN_LENGTH or marker == request.marker:
            raise _no_key_to_resume_from(request, unreadable)
        return StorePage([], request.after or "", unreadable, marker)
    # The next page begins after the last readable key. Unreadable names behind that key are counted there.
    del objects[request.limit :]
    return StorePage(objects, objects[-1].key, unreadable_before_last)


def read_folders(body: bytes, path: str) -> list[str]:
    """Return the names of the folders in the folder `path` of a bucket. Names that are not UTF-8 are left out.

    Raises:
        NotAListingError: the body is not a list page.
    """
    page = parse_list_page(body, _FOLDERS)
    is_url_encoded = page.page.get("EncodingType") == "url"
    paths = []
    for row in page.rows:
        name = row.get("Prefix", "")
        with suppress(UnicodeDecodeError):
            paths.append(_decode(name).decode() if is_url_encoded else name)
    return folder_names(paths, path)


def _is_truncated(page: ListPage, limit: int) -> bool:
    """Return whether more pages follow. If the server does not say so, any sign of it counts: no listing ends early."""
    truncated = page.page.get("IsTruncated")
    if truncated is not None:
        return truncated.strip().lower() == "true"
    return len(page.rows) >= limit or bool(page.page.get("NextContinuationToken") or page.page.get("NextMarker"))


def _marker(page: ListPage) -> str | None:
    """Return the marker of a page without keys: the version and its token. None if the page has no token.

    Servers that skip many deleted objects send such pages.
    """
    if token := page.page.get("NextContinuationToken"):
        return VERSION_2.mark + token
    if name := page.page.get("NextMarker"):
        try:
            return VERSION_1.mark + (_decode(name).decode() if page.page.get("EncodingType") == "url" else name)
        except UnicodeDecodeError:
            return None
    return None


def _decode(key: str) -> bytes:
    # S3 writes a blank as "+", other servers as "%20"; all of them write "+" as "%2B".
    return unquote_to_bytes(key.replace("+", " "))


def _order_error(request: ListRequest, *, is_first: bool) -> Exception:
    if is_first and request.after is not None:
        parameter = request.version.start if request.marker is None else request.version.token
        return StartAfterIgnoredError(start_ignored(request.labels, parameter))
    return keys_out_of_order(request.labels)


def _no_key_to_resume_from(request: ListRequest, unreadable: int) -> Exception:
    if unreadable:
        return LocationInvalidError(
            f"{request.labels.store} has {unreadable} names in a row that are not UTF-8 below "
            f"{shown(f'{request.bucket}/{request.root}{request.prefix}')}, and a listing cannot go on after them. "
            f"Rename them"
        )
    return listing_never_ends(request.labels)
