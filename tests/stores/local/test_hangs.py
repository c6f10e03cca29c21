"""A disk that hangs: a network mount whose server is gone keeps every thread that touches it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.domain.errors import StoreUnavailableError
from headwater.domain.objects import StorePage
from headwater.net.users import working_for
from headwater.stores.local import disk_threads, listing_cache
from headwater.stores.local.disk_threads import DiskThreads
from headwater.stores.local.listing import TreeWalk
from headwater.stores.local.root import LocalRoot, OpenFile
from tests.stores.local.opening import open_store

USE_SECONDS, START_SECONDS = 0.8, 0.4
HUNG = [f"hung{number}" for number in range(4)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (*HUNG, "well", "hung0/below"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(name.encode())
    return tmp_path


@pytest.fixture
def recovered(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Until this is set, reads of the folders in `HUNG` and of files in them hang."""
    event = threading.Event()
    hung = {(root / name).stat().st_ino for name in HUNG}
    read_entries, open_file = listing_cache.read_entries, LocalRoot.open_file

    def read_or_hang(folder: int) -> list[str]:
        if os.fstat(folder).st_ino in hung:
            event.wait(30)
        return read_entries(folder)

    def open_or_hang(at: LocalRoot, parts: tuple[str, ...]) -> OpenFile:
        if parts[0] in HUNG:
            event.wait(30)
        return open_file(at, parts)

    monkeypatch.setattr(listing_cache, "read_entries", read_or_hang)
    monkeypatch.setattr(LocalRoot, "open_file", open_or_hang)
    monkeypatch.setattr(disk_threads, "USE_SECONDS", USE_SECONDS)
    monkeypatch.setattr(disk_threads, "START_SECONDS", START_SECONDS)
    yield event
    event.set()


async def test_hung_datasources_do_not_stop_others_from_listing(root: Path, recovered: threading.Event) -> None:
    """Four requests to a dead mount blocked all threads for listings, of every datasource, forever."""
    began = time.monotonic()
    hung = [asyncio.create_task(open_store(root, name).list_page("", None, 10)) for name in HUNG * 10]
    await asyncio.sleep(0.1)
    assert [item.key for item in (await open_store(root, "well").list_page("", None, 10)).objects] == ["a.png"]
    assert not any(task.done() for task in hung)
    failed = await asyncio.gather(*hung, return_exceptions=True)
    assert time.monotonic() - began < 10
    assert {type(error) for error in failed} == {StoreUnavailableError}
    assert sum("did not answer" in str(error) for error in failed) == 2 * len(HUNG)
    assert str(root) not in str(failed)

    recovered.set()
    async with asyncio.timeout(20):
        for name in HUNG:
            while True:
                try:
                    assert (await open_store(root, name).list_page("", None, 10)).objects
                    break
                except StoreUnavailableError:
                    continue


async def test_hung_datasources_do_not_stop_others_from_reading(root: Path, recovered: threading.Event) -> None:
    """Sixteen reads from a dead mount blocked all threads for reads, of every datasource, forever."""
    began = time.monotonic()
    hung = [asyncio.create_task(open_store(root, name).read("a.png", 9)) for name in HUNG * 20]
    await asyncio.sleep(0.1)
    well = open_store(root, "well")
    await well.write("b.png", b"new")
    assert await well.read("a.png", 9) == b"well"
    await well.delete("b.png")
    # Of the same top folder, perhaps of another mount: there is room for it, too.
    assert (await open_store(root, "hung0/below").list_page("", None, 10)).objects
    assert not any(task.done() for task in hung)
    failed = await asyncio.gather(*hung, return_exceptions=True)
    assert time.monotonic() - began < 10
    assert {type(error) for error in failed} == {StoreUnavailableError}
    assert sum("did not answer" in str(error) for error in failed) == 8 * len(HUNG)


async def test_listings_of_one_user_do_not_keep_others_of_the_same_folder_waiting(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder had one queue: behind a hundred pages of one user, another user's listing was a 503."""
    go_on, listed = threading.Event(), list[str]()
    page = TreeWalk.page

    def slow(walk: TreeWalk, prefix: str, after: str | None, limit: int) -> StorePage:
        go_on.wait(20)
        listed.append(prefix)
        return page(walk, prefix, after, limit)

    monkeypatch.setattr(TreeWalk, "page", slow)
    threads = DiskThreads("test", max_threads=4, max_per_top_folder=4, max_per_folder=2)
    tasks: list[asyncio.Task[StorePage]] = []
    for user, count in (("eve", 50), ("ada", 1)):
        with working_for(user):
            store = open_store(root, "well", listing_threads=threads)
            tasks += [asyncio.create_task(store.list_page(user, None, 10)) for _ in range(count)]
            await asyncio.sleep(0.05)
    go_on.set()
    await asyncio.gather(*tasks)
    assert listed.index("ada") <= 4


ENDS = """
import asyncio, sys, time
from pathlib import Path
from headwater.domain.errors import StoreUnavailableError
from headwater.domain.read_url import ReadUrlSigner
from headwater.stores.local import listing_cache
from headwater.stores.local import disk_threads
from headwater.stores.local.runtime import LocalFileRoot, LocalRuntime
from headwater.stores.local.store import LocalStore

disk_threads.USE_SECONDS, disk_threads.START_SECONDS = 0.2, 0.1
listing_cache.read_entries = lambda folder: time.sleep(60)

async def main():
    try:
        signer = ReadUrlSigner([b"k" * 32], "http://hw.example", "t")
        root = LocalFileRoot(Path(sys.argv[1]), signer, (), LocalRuntime())
        await LocalStore(root, "well").list_page("", None, 10)
    except StoreUnavailableError:
        print("unavailable", flush=True)

asyncio.run(main())
"""


def test_a_process_ends_while_a_thread_hangs(root: Path) -> None:
    """After SIGTERM, the server stayed alive as long as a disk hung, because Python joined the threads that waited."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", ENDS, str(root)], capture_output=True, env=environment, timeout=20, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"unavailable\n", b"")
