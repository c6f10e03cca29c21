"""The checks of a verification that need a store with special answers."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence

import pytest

from headwater.domain.errors import CredentialsRefusedError, LocationInvalidError
from headwater.domain.nearby import similar_names
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


class _BucketStore(MemoryStore):
    """A store under a root in a bucket with these folders, by the path of the folder that they are in."""

    def __init__(self, root: str, folders: dict[str, list[str]]) -> None:
        super().__init__([])
        self._root = root
        self._folders = folders

    @property
    def root(self) -> str:
        return self._root

    async def list_folders(self, path: str) -> list[str]:
        return self._folders.get(path, [])


async def test_names_are_compared_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand long names held up all other requests of the server for 80 ms."""
    threads = []

    def record(wanted: Sequence[str], names: Sequence[str]) -> list[str]:
        threads.append(threading.current_thread())
        return similar_names(wanted, names)

    monkeypatch.setattr("headwater.service.verify.similar_names", record)
    assert await _nearby(_BucketStore("stret/", {"": ["street"]})) == "nearby: 'street/'"
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.parametrize(
    ("root", "folders", "expected"),
    [
        ("/pre/", {"": ["pre", "other"]}, "nearby: 'pre/'"),
        ("//pre/", {"": ["pre", "other"]}, "nearby: 'pre/'"),
        ("a//pre/", {"": ["a", "other"], "a/": ["pre"]}, "nearby: 'a/pre/'"),
        ("pre//", {"": ["pre", "other"]}, "nearby: 'pre/'"),
        ("pre/sub/", {"": ["pre", "other"]}, "nearby: 'pre/'"),
        ("pre/", {"": ["pre"]}, ""),
    ],
)
async def test_a_slash_too_many_leads_to_the_folder_without_it(
    root: str, folders: dict[str, list[str]], expected: str
) -> None:
    """An object store lists nothing under a path with a slash too many, such as bucket//pre."""
    assert await _nearby(_BucketStore(root, folders)) == expected


async def test_a_cut_path_has_whole_escapes() -> None:
    """It was cut within the escape of a character, so that another one was shown."""
    [shown] = re.findall(r"there is '(.*)'", await _nearby(_BucketStore("wanted/", {"": ["a" + "\t" * 100]})))
    assert shown == "a" + r"\t" * 49 + "…"


class _OneFolderStore(MemoryStore):
    """A store whose credentials may list only its root, in a bucket with other folders."""

    root = "stret/"

    async def list_folders(self, path: str) -> list[str]:
        raise CredentialsRefusedError("refused", "AccessDenied")


async def test_a_policy_for_one_folder_leaves_the_neighbours_unknown() -> None:
    """The folder above the root may not be listed. That is no error of the datasource."""
    assert await _nearby(_OneFolderStore([])) == ""
