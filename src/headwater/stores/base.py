"""The protocol that every kind of storage answers.

A store is opened on the root of one datasource (bucket and path). All keys are relative to that root and
byte-faithful. A store raises `domain.errors.StoreError` and its subclasses, and nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from headwater.domain.key_order import Order
from headwater.domain.objects import Key, StorePage

Method = Literal["GET", "HEAD", "PUT"]
"""What a signed URL is good for."""


class Store(ABC):
    """One datasource's storage. Safe to use from many tasks at once; `open` nothing, hold no state but caches."""

    list_limit: int = 1000
    """The most objects that one `list_page` returns, whatever is asked for."""

    @property
    def can_start_after(self) -> bool:
        """Whether a listing can begin after any key, without reading what lies before it."""
        return True

    async def order(self) -> Order | None:
        """Tell in which order this store lists, so that bounds can be chosen that cut its listings; None if unknown.

        Raises:
            StoreError: as `list_page`.
        """
        return Order.CODE_POINTS

    @abstractmethod
    async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
        """List at most `limit` objects whose key begins with `prefix`, strictly after the key `after`.

        Order is by key as UTF-8 bytes, unless `order` says otherwise. One page is one request to the provider. The
        page may be short, or even empty, while `resume_after` is not None. Folder markers (keys that end in `/`) are
        listed like others.

        Args:
            prefix: what keys begin with; it need not end in `/`.
            after: any key, whether there is such an object or not; None begins at the first.
            limit: at least 1.
            marker: that of the page which ended at `after`, None where it had none or where `after` is not where a
                page ended. A store that can go on after any key needs none.

        Raises:
            StoreError: the store refused, does not exist, or could not be reached after retries.
        """

    @abstractmethod
    async def sign(self, keys: Sequence[Key], ttl: int, method: Method = "GET") -> list[str]:
        """Make one absolute URL for each key, good for a plain request for `ttl` seconds from now at the most.

        A URL for GET reads the object, one for HEAD tells of it, one for PUT creates or replaces it.

        The life is the shortest of `ttl`, what the provider allows and what the credentials have left. The keys
        need not exist. No request is made for each key.

        Raises:
            StoreError: the credentials have expired, or are not good for such URLs.
        """

    @abstractmethod
    async def read(self, key: Key, limit: int, start: int = 0) -> bytes:
        """Read `limit` bytes of an object from the byte `start` on.

        Fewer where it is shorter, and none where it ends before `start`.

        Args:
            key: the object.
            limit: at least 1.
            start: from 0.

        Raises:
            ObjectNotFoundError: there is no such object.
            StoreError: as in `list_page`.
        """

    @abstractmethod
    async def write(self, key: Key, data: bytes) -> None:
        """Create or replace a small object.

        Raises:
            OverwriteRefusedError: there is such an object, and only replacing it is refused.
            StoreError: as in `list_page`.
        """

    @abstractmethod
    async def delete(self, key: Key) -> None:
        """Remove an object; removing an absent one is no error.

        Raises:
            StoreError: as in `list_page`.
        """
