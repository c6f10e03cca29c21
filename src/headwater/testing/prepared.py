"""What the conformance suites need from the author of a store, and helpers for tests of stores."""

from __future__ import annotations

import http.client
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from headwater.domain.objects import Key, StoredObject
from headwater.stores.base import Store

ODD_KEYS = (
    *("a b", "a+b", "a%41", "a%2Fb", "a#b", "a?b", "a&b", "a=b", "a;b", "a'b", 'a"b', "a<&>b", "a\\b", "a//b", "a:b@c"),
    *("é", "e\u0301", "🦊", "שלום", "~", "a|b", "a*b", "folder/", "(1)", "\u2028", "k" * 1000, "ü" * 500),
    *("/lead", "//x", "a/../b", "../x", ".", "..", "a/./b", "a/", "x/..", "\t", "\x01\x7f\x1f", "a\rb", "a\nb"),
)
"""Keys that clients, proxies and servers tend to change. `Prepared.why_not_storable` excludes those a server cannot
store."""


class Prepared(ABC):
    """An empty bucket of a real server, and access to it that does not use the store under test."""

    skipped_tests: ClassVar[Mapping[str, str]] = {}
    """Tests that cannot pass with this server: the name of the test, and the reason."""

    extra_requests: ClassVar[int] = 0
    """How many requests, once, the store may send to find out what the server supports."""

    @abstractmethod
    def open(self, root: str = "") -> Store:
        """Open the store under test on the bucket, or on a folder in it (`root` is empty or ends in `/`)."""

    @abstractmethod
    def put(self, objects: Mapping[Key, bytes]) -> None:
        """Put objects into the bucket, in this order."""

    @abstractmethod
    def get(self, key: Key) -> bytes | None:
        """Return the content of an object, or None if there is no such object."""

    @abstractmethod
    def remove(self, key: Key) -> None:
        """Remove an object."""

    @abstractmethod
    def modified(self, key: Key) -> float:
        """Return the modification time of an object as the provider reports it, in Unix seconds."""

    def why_not_storable(self, key: Key) -> str | None:
        """Return why this server cannot store an object under this key, or None if it can."""
        return None

    def request_count(self) -> int | None:
        """Return how many requests the server has received so far, or None if they are not counted."""
        return None

    def open_missing_bucket(self) -> Store | None:
        """Open the store on a bucket that does not exist; None if every bucket exists."""
        return None

    def open_with_wrong_credentials(self) -> Store | None:
        """Open the store with credentials that the server refuses; None if it refuses none."""
        return None

    def open_unreachable(self) -> Store | None:
        """Open the store on an endpoint where no server listens; None if there is no endpoint."""
        return None


async def list_all(
    store: Store, prefix: str = "", limit: int = 1000, after: Key | None = None, last_key: Key | None = None
) -> list[StoredObject]:
    """Return all objects of a listing, page by page.

    Args:
        store: the store to list.
        prefix: what keys begin with.
        limit: objects per page.
        after: return only objects after this key.
        last_key: return only objects up to this key, inclusive.
    """
    found: list[StoredObject] = []
    marker = None
    while True:
        page = await store.list_page(prefix, after, limit, marker)
        assert len(page.objects) <= limit
        for item in page.objects:
            if last_key is not None and item.key > last_key:
                return found
            found.append(item)
        after, marker = page.resume_after, page.marker
        if after is None:
            return found


async def list_keys(store: Store, prefix: str = "", limit: int = 1000) -> list[Key]:
    """Return the keys of a listing, page by page."""
    return [item.key for item in await list_all(store, prefix, limit)]


def fetch(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    """Send a request without extra headers and return status and body. `http.client` sends the path unchanged."""
    scheme, _, rest = url.partition("://")
    authority, _, target = rest.partition("/")
    connect = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = connect(authority, timeout=10)
    try:
        connection.request(method, f"/{target}", body=body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
