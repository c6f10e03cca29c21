"""The protocol that every kind of storage answers.

A store is opened on the root of one datasource (bucket and path). All keys are relative to that root and
byte-faithful. A store raises `domain.errors.StoreError` and its subclasses, and nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from headwater.domain.objects import Key, StorePage


class Store(ABC):
    """One datasource's storage. Safe to use from many tasks at once; `open` nothing, hold no state but caches."""

    list_limit: int = 1000
    """The most objects that one `list_page` returns, whatever is asked for."""

    @abstractmethod
    async def list_page(self, prefix: str, after: Key | None, limit: int) -> StorePage:
        """List at most `limit` objects whose key begins with `prefix`, strictly after the key `after`.

        Order is by key as UTF-8 bytes. One page is one request to the provider. The page may be short, or even
        empty, while `resume_after` is not None. Folder markers (keys that end in `/`) are listed like others.

        Raises:
            StoreError: the store refused, does not exist, or could not be reached after retries.
        """

    @abstractmethod
    async def sign_read(self, keys: Sequence[Key], ttl: int) -> list[str]:
        """Make one absolute URL for each key, good for a plain GET for `ttl` seconds from now at the most.

        The life is the shortest of `ttl`, what the provider allows and what the credentials have left. The keys
        need not exist. No request is made for each key.
        """

    @abstractmethod
    async def read(self, key: Key, limit: int) -> bytes:
        """Read the first `limit` bytes of an object (fewer where it is shorter; 0 bytes of an empty one).

        Raises:
            ObjectNotFound: there is no such object.
            StoreError: as in `list_page`.
        """

    @abstractmethod
    async def write(self, key: Key, data: bytes) -> None:
        """Create or replace a small object.

        Raises:
            StoreError: as in `list_page`.
        """

    @abstractmethod
    async def delete(self, key: Key) -> None:
        """Remove an object; removing an absent one is no error.

        Raises:
            StoreError: as in `list_page`.
        """
