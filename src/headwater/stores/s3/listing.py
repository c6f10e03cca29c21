"""What a list page of S3 says, checked: only keys in order, below the prefix, after what came before.

Wire facts are from the Amazon S3 API reference (ListObjectsV2, ListObjects). The two versions answer alike.
"""

from __future__ import annotations

import time
from calendar import timegm
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple, NoReturn
from urllib.parse import unquote_to_bytes

from headwater.domain.errors import LocationInvalidError, StoreUnavailableError
from headwater.domain.objects import Key, StoredObject, StorePage
from headwater.stores.error_mapping import ConfigLabels, shown
from headwater.stores.listing_xml import ListPage, NotAListingError

MAX_KEY = 1024
"""Bytes of UTF-8 ("Naming Amazon S3 objects")."""

MAX_SIZE = 2**63 - 1


class Version(NamedTuple):
    """A version of S3's list request: what it sends always, and the parameter that says after which key to begin."""

    query: dict[str, str]
    start: str


VERSION_1 = Version({}, "marker")
VERSION_2 = Version({"list-type": "2"}, "start-after")


class StartAfterIgnoredError(Exception):
    """The server begins a page where it was not asked to; `refusal` is what a user is told of it."""

    def __init__(self, refusal: LocationInvalidError) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class AskedPage(NamedTuple):
    """What a page was asked for. `root` is the key prefix of the datasource, `prefix` and `after` are below it."""

    bucket: str
    root: str
    prefix: str
    after: Key | None
    limit: int
    version: Version
    names: ConfigLabels


def read_page(page: ListPage, asked: AskedPage) -> StorePage:
    """Check a page and make it relative to the root.

    Raises:
        NotAListingError: an object without what every object has.
        StartAfterIgnoredError: it begins at or before `after`.
        LocationInvalidError: keys are not in order, or not below the prefix.
        StoreUnavailableError: it says that more is to come, and gives no key to go on from.
    """
    url_encoded = page.page.get("EncodingType") == "url"
    truncated = _goes_on(page, asked.limit)
    root, store = asked.root, asked.names.store
    start = root + asked.prefix
    cut = len(root)
    last = None if asked.after is None else root + asked.after
    objects: list[StoredObject] = []
    unreadable = unreadable_so_far = 0
    for row in page.rows:
        try:
            key = row["Key"]
            size, modified = int(row["Size"]), _seconds(row["LastModified"])
        except (KeyError, ValueError):
            raise NotAListingError("an object without key, size or time") from None
        if size < 0 or size > MAX_SIZE:
            raise NotAListingError("an object of impossible size")
        if url_encoded and ("%" in key or "+" in key):
            # S3 writes a blank as "+", others as "%20"; all of them write "+" as "%2B".
            name = unquote_to_bytes(key.replace("+", " "))
            if len(name) > MAX_KEY:
                _refuse_long_key()
            try:
                key = name.decode()
            except UnicodeDecodeError:
                unreadable += 1
                continue
        # A character takes four bytes at most.
        elif len(key) > MAX_KEY // 4 and len(key.encode()) > MAX_KEY:
            _refuse_long_key()
        # Python compares strings by code point, which is the order of their UTF-8 bytes.
        if last is not None and key <= last:
            _refuse_order(asked, first=not objects)
        if not key.startswith(start):
            raise LocationInvalidError(f"{store} ignores the prefix of a listing. Check {asked.names.endpoint}")
        last = key
        unreadable_so_far = unreadable
        objects.append(StoredObject(key[cut:], size, modified, row.get("ETag", "").strip('"') or None))
    if not truncated and len(objects) <= asked.limit:
        return StorePage(objects, None, unreadable)
    if not objects:
        if unreadable:
            raise LocationInvalidError(
                f"{store} has {unreadable} names in a row that are not UTF-8 below "
                f"{shown(f'{asked.bucket}/{start}')}, and a listing cannot go on after them. Rename them"
            )
        raise StoreUnavailableError(
            f"{store} says that a listing goes on, and lists nothing. It could never be finished"
        )
    # Names passed over behind the last readable one come again in the next page, and are counted there.
    del objects[asked.limit :]
    return StorePage(objects, objects[-1].key, unreadable_so_far)


def _goes_on(page: ListPage, limit: int) -> bool:
    """Whether more is to come. Where a server does not say, whatever may mean it does: no listing ends early."""
    said = page.page.get("IsTruncated")
    if said is not None:
        return said.strip().lower() == "true"
    return len(page.rows) >= limit or bool(page.page.get("NextContinuationToken") or page.page.get("NextMarker"))


def _refuse_order(asked: AskedPage, *, first: bool) -> NoReturn:
    store, endpoint = asked.names.store, asked.names.endpoint
    if first and asked.after is not None:
        raise StartAfterIgnoredError(
            LocationInvalidError(
                f"{store} at this endpoint does not support {asked.version.start}: a listing would begin anew "
                f"with each page. Check {endpoint}"
            )
        )
    raise LocationInvalidError(
        f"{store} at this endpoint does not list objects in the order of their keys, so that a "
        f"listing could not go on where it stopped. Check {endpoint}"
    )


def _refuse_long_key() -> NoReturn:
    raise NotAListingError(f"a key of more than {MAX_KEY} bytes")


def _seconds(text: str) -> int:
    """Read `2024-01-02T03:04:05.678Z`, floored to whole Unix seconds.

    Raises:
        ValueError: it is no time.
    """
    if len(text) >= 20 and text[-1] == "Z" and text[16] == ":":
        return _hour(text[:14]) + int(text[14:16]) * 60 + int(text[17:19])
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0, int(moment.timestamp() // 1))


@lru_cache(maxsize=4096)
def _hour(text: str) -> int:
    return max(0, timegm(time.strptime(text, "%Y-%m-%dT%H:")))
