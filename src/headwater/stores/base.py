"""The interface of all stores.

A store is opened at the root of one datasource (bucket and path). All keys are relative to that root and keep every
byte. A store raises `domain.errors.StoreError` and its subclasses, and nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from headwater.domain.key_order import Order
from headwater.domain.objects import Key, StorePage

Method = Literal["GET", "HEAD", "PUT"]
"""The method of the request that a signed URL allows."""


class Store(ABC):
    """The storage of one datasource. Safe to use from many tasks concurrently; it has no state except caches."""

    list_limit: int = 1000
    """The maximum number of objects that one `list_page` returns, whatever its `limit`."""

    min_age: int = 0
    """Seconds. An exact feed leaves out objects whose time is closer to now than this: they may still be written."""

    @property
    def can_start_after(self) -> bool:
        """Whether a listing can start after any key without reading the keys before it."""
        return True

    @property
    def root(self) -> str:
        """What all keys begin with in the bucket: empty, or text that ends in `/`."""
        return ""

    async def list_folders(self, path: str) -> list[str]:
        """Return the names of folders in a folder of the bucket, which may be outside the root; at most `list_limit`.

        One request to the provider. A store whose root has no name in a bucket returns none.

        Args:
            path: the folder, in the bucket: empty, or text that ends in `/`.

        Raises:
            StoreError: as for `list_page`.
        """
        return []

    async def order(self) -> Order | None:
        """Return the order in which this store lists, which decides the split points of listings; None if unknown.

        Raises:
            StoreError: as for `list_page`.
        """
        return Order.CODE_POINTS

    @abstractmethod
    async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
        """Return at most `limit` objects whose key begins with `prefix`, strictly after the key `after`.

        The order is by key as UTF-8 bytes, unless `order` says otherwise. One page is one request to the provider. A
        page may be short, or even empty, although `resume_after` is not None. Folder markers (keys that end in `/`) are
        listed like other objects.

        Args:
            prefix: what keys begin with; it need not end in `/`.
            after: any key, even if there is no such object; None starts at the first key.
            limit: at least 1.
            marker: the marker of the page that ended at `after`; None if that page had none, or if no page ended there.
                A store that can start after any key needs no marker.

        Raises:
            StoreError: the store refused the request, does not exist, or could not be reached after retries.
        """

    @abstractmethod
    async def sign(self, keys: Sequence[Key], ttl: int, method: Method = "GET") -> list[str]:
        """Return one absolute URL for each key, valid for a plain request for at most `ttl` seconds from now.

        A URL for GET reads the object, one for HEAD returns its headers, one for PUT creates or replaces it.

        The life of a URL is the shortest of `ttl`, the provider's limit and the remaining life of the credentials. The
        keys need not exist. There is no request per key.

        Raises:
            StoreError: the credentials have expired, or do not allow such URLs.
        """

    @abstractmethod
    async def read(self, key: Key, limit: int, start: int = 0) -> bytes:
        """Return `limit` bytes of an object from the byte `start` on.

        Fewer bytes if the object is shorter, none if it ends before `start`.

        Args:
            key: the object.
            limit: at least 1.
            start: from 0.

        Raises:
            ObjectNotFoundError: there is no such object.
            StoreError: as for `list_page`.
        """

    @abstractmethod
    async def write(self, key: Key, data: bytes) -> str | None:
        """Create or replace a small object.

        Returns:
            the id of the written version, if the bucket keeps the versions of its objects and `delete_version` can
            delete one of them; otherwise None.

        Raises:
            OverwriteRefusedError: the object exists, and only replacing it is refused.
            StoreError: as for `list_page`.
        """

    @abstractmethod
    async def delete(self, key: Key) -> None:
        """Delete an object. An absent object is not an error.

        Raises:
            StoreError: as for `list_page`.
        """

    async def delete_version(self, key: Key, version: str) -> None:
        """Delete one version of an object, which `write` returned, for good.

        Raises:
            StoreError: as for `list_page`.
        """
        raise NotImplementedError("this store returns no versions")
