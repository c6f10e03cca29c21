"""A store that has only keys, in memory or computed, and counts its requests."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from headwater.domain.key_order import Order
from headwater.domain.objects import Key, StoredObject, StorePage
from headwater.stores.base import Method, Store


def by_utf_8(name: str) -> bytes:
    """Return the sort key of most stores."""
    return name.encode()


def by_utf_16(name: str) -> bytes:
    """Return the sort key of Azurite."""
    return name.encode("utf-16-be")


def by_path(name: str) -> list[str]:
    """Return the sort key of an Azure account with hierarchical namespace."""
    return name.split("/")


class ListingStore(Store):
    """A store that can only be listed."""

    async def sign(self, keys: Sequence[Key], ttl: int, method: Method = "GET") -> list[str]:
        raise NotImplementedError

    async def read(self, key: Key, limit: int, start: int = 0) -> bytes:
        raise NotImplementedError

    async def write(self, key: Key, data: bytes) -> None:
        raise NotImplementedError

    async def delete(self, key: Key) -> None:
        raise NotImplementedError


class MemoryStore(ListingStore):
    """Lists keys.

    Attributes:
        requests: how many pages were requested.
        read_keys: how many objects they had.
    """

    def __init__(
        self,
        keys: Sequence[Key],
        *,
        order: Order | None = Order.CODE_POINTS,
        by: Callable[[str], Any] = by_utf_8,
        list_limit: int = 1000,
        starts_after: bool = True,
    ) -> None:
        """Create a store.

        Args:
            keys: in the order of `by`.
            order: the order that the store reports.
            by: returns the sort key of a name.
            list_limit: objects per page.
            starts_after: whether a listing can start after a key; if not, the store learns that from the first attempt.
        """
        self._keys = keys
        self._order = order
        self._by = by
        self.list_limit = list_limit
        self._starts_after = starts_after
        self._has_tried_start_after = False
        self.requests = self.read_keys = 0

    @property
    def can_start_after(self) -> bool:
        return self._starts_after or not self._has_tried_start_after

    async def order(self) -> Order | None:
        return self._order

    async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
        self.requests += 1
        self._has_tried_start_after |= after is not None and marker is None
        begin = bisect_left(self._keys, self._by(prefix), key=self._by)
        if after is not None:
            begin = max(begin, bisect_right(self._keys, self._by(after), key=self._by))
        keys = [self._keys[index] for index in range(begin, min(begin + min(limit, self.list_limit), len(self._keys)))]
        found = [key for key in keys if key.startswith(prefix)]
        self.read_keys += len(found)
        end = begin + len(keys)
        more = len(found) == len(keys) and end < len(self._keys) and self._keys[end].startswith(prefix)
        return StorePage([StoredObject(key, 1, 0, None) for key in found], found[-1] if more else None, marker="m")
