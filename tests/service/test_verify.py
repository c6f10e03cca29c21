"""The checks of a verification that need a store with special answers."""

from __future__ import annotations

from collections.abc import Sequence

from headwater.domain.errors import CredentialsRefusedError, LocationInvalidError
from headwater.domain.objects import StorePage
from headwater.service.verify import Check, Verification, _check_read, _nearby
from headwater.stores.base import Method, Store
from tests.stores.memory import MemoryStore


class _ArchiveStore(Store):
    """A store in which keys that begin with `archived` cannot be read."""

    async def list_page(self, prefix: str, after: str | None, limit: int, marker: str | None = None) -> StorePage:
        raise NotImplementedError

    async def sign(self, keys: Sequence[str], ttl: int, method: Method = "GET") -> list[str]:
        raise NotImplementedError

    async def read(self, key: str, limit: int, start: int = 0) -> bytes:
        if key.startswith("archived"):
            raise LocationInvalidError("The object is archived: restore it first", "InvalidObjectState")
        return b"x"

    async def write(self, key: str, data: bytes) -> None:
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        raise NotImplementedError


async def test_archived_object_is_skipped() -> None:
    """One archived object that was listed first made canRead false."""
    result = Verification()
    await _check_read(_ArchiveStore(), ["archived 1", "archived 2", "a.png"], result)
    assert result == Verification({Check.READ}, {})
    result = Verification()
    await _check_read(_ArchiveStore(), ["archived 1"], result)
    assert Check.READ not in result.passed
    assert "archived" in result.errors[Check.READ]


class _OneFolderStore(MemoryStore):
    """A store whose credentials may list only its root, in a bucket with other folders."""

    root = "stret/"

    async def list_folders(self, path: str) -> list[str]:
        raise CredentialsRefusedError("refused", "AccessDenied")


async def test_a_policy_for_one_folder_leaves_the_neighbours_unknown() -> None:
    """The folder above the root may not be listed. That is no error of the datasource."""
    assert await _nearby(_OneFolderStore([])) == ""
