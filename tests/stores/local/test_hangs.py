"""A disk that hangs: a network mount whose server is gone keeps every thread that touches it."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import Future, wait
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.errors import StoreUnavailableError
from headwater.domain.read_url import ReadUrlSigner
from headwater.net.threads import DaemonExecutor, LimitedExecutor, NoFreeThreadError, run_in_executor
from headwater.stores.local import disk_threads as local_threads
from headwater.stores.local import listing as local_listing
from headwater.stores.local.listing import sort_in_steps
from headwater.stores.local.root import LocalRoot, OpenFile
from headwater.stores.local.store import LocalStore

SIGNER = ReadUrlSigner([b"k" * 32], "http://hw.example", "tests")
LIMIT, PATIENCE = 0.8, 0.4
HUNG = [f"hung{number}" for number in range(4)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (*HUNG, "well", "hung0/below"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(name.encode())
    return tmp_path


@pytest.fixture
def recovered(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Until this is set, nobody comes back who reads a folder of `HUNG`, or a file in it."""
    event = threading.Event()
    hung = {(root / name).stat().st_ino for name in HUNG}
    read_entries, open_file = local_listing.read_entries, LocalRoot.open_file

    def read_or_hang(folder: int) -> list[str]:
        if os.fstat(folder).st_ino in hung:
            event.wait(30)
        return read_entries(folder)

    def open_or_hang(at: LocalRoot, parts: tuple[str, ...]) -> OpenFile:
        if parts[0] in HUNG:
            event.wait(30)
        return open_file(at, parts)

    monkeypatch.setattr(local_listing, "read_entries", read_or_hang)
    monkeypatch.setattr(LocalRoot, "open_file", open_or_hang)
    monkeypatch.setattr(local_threads, "LIMIT", LIMIT)
    monkeypatch.setattr(local_threads, "PATIENCE", PATIENCE)
    yield event
    event.set()


async def test_hung_datasources_do_not_stop_others_from_listing(root: Path, recovered: threading.Event) -> None:
    """Four requests to a dead mount once took all the threads that list, of every datasource, for ever."""
    began = time.monotonic()
    hung = [asyncio.create_task(LocalStore(root, name, SIGNER).list_page("", None, 10)) for name in HUNG * 10]
    await asyncio.sleep(0.1)
    assert [item.key for item in (await LocalStore(root, "well", SIGNER).list_page("", None, 10)).objects] == ["a.png"]
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
                    assert (await LocalStore(root, name, SIGNER).list_page("", None, 10)).objects
                    break
                except StoreUnavailableError:
                    continue


async def test_hung_datasources_do_not_stop_others_from_reading(root: Path, recovered: threading.Event) -> None:
    """Sixteen reads from a dead mount once took all the threads that read, of every datasource, for ever."""
    began = time.monotonic()
    hung = [asyncio.create_task(LocalStore(root, name, SIGNER).read("a.png", 9)) for name in HUNG * 20]
    await asyncio.sleep(0.1)
    well = LocalStore(root, "well", SIGNER)
    await well.write("b.png", b"new")
    assert await well.read("a.png", 9) == b"well"
    await well.delete("b.png")
    # Of the same top folder, perhaps of another mount: there is room for it, too.
    assert (await LocalStore(root, "hung0/below", SIGNER).list_page("", None, 10)).objects
    assert not any(task.done() for task in hung)
    failed = await asyncio.gather(*hung, return_exceptions=True)
    assert time.monotonic() - began < 10
    assert {type(error) for error in failed} == {StoreUnavailableError}
    assert sum("did not answer" in str(error) for error in failed) == 8 * len(HUNG)


ENDS = """
import asyncio, sys, time
from pathlib import Path
from headwater.domain.errors import StoreUnavailableError
from headwater.domain.read_url import ReadUrlSigner
from headwater.stores.local import listing as local_listing
from headwater.stores.local import disk_threads as local_threads
from headwater.stores.local.store import LocalStore

local_threads.LIMIT, local_threads.PATIENCE = 0.2, 0.1
local_listing.read_entries = lambda folder: time.sleep(60)

async def main():
    try:
        await LocalStore(Path(sys.argv[1]), "well", ReadUrlSigner([b"k" * 32], "http://hw.example", "t")).list_page(
            "", None, 10
        )
    except StoreUnavailableError:
        print("unavailable", flush=True)

asyncio.run(main())
"""


def test_a_process_ends_while_a_thread_hangs(root: Path) -> None:
    """After SIGTERM, the server once lived for as long as a disk hung: Python joined the threads that waited for it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", ENDS, str(root)], capture_output=True, env=environment, timeout=20, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"unavailable\n", b"")


# ---- the threads themselves


def test_no_more_threads_than_allowed() -> None:
    threads = DaemonExecutor(3, "test")
    together = threading.Barrier(3)
    used = [threads.submit(lambda: (together.wait(20), threading.get_ident())[1]) for _ in range(30)]
    assert len({future.result(20) for future in used}) == 3


def test_threads_are_used_again() -> None:
    threads = DaemonExecutor(100, "test")
    used = set()
    for _ in range(20):
        used.add(threads.submit(threading.get_ident).result(20))
        time.sleep(0.01)
    assert len(used) < 20


def test_errors_come_back() -> None:
    future = LimitedExecutor(DaemonExecutor(1, "test"), 1).submit(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        future.result(20)


def test_a_busy_lane_takes_turns_with_others() -> None:
    threads = DaemonExecutor(1, "test")
    busy, other = LimitedExecutor(threads, 2), LimitedExecutor(threads, 2)
    begin, order = threading.Event(), list[str]()
    first = busy.submit(begin.wait, 20)
    futures: list[Future[None]] = [busy.submit(order.append, "busy") for _ in range(20)]
    futures.append(other.submit(order.append, "other"))
    begin.set()
    assert first.result(20)
    assert not wait(futures, 20).not_done
    assert order.index("other") < 5


def test_what_was_given_up_is_not_kept_where_a_lane_hangs() -> None:
    """Each request to a dead mount would otherwise stay in memory until the mount came back."""

    class Request:
        def handle(self) -> None: ...

    lane = LimitedExecutor(DaemonExecutor(1, "test"), 1)
    begun, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        go_on.wait(30)

    lane.submit(hang)
    assert begun.wait(20)
    kept = []
    for _ in range(50):
        request = Request()
        kept.append(weakref.ref(request))
        lane.submit(request.handle).cancel()
        del request
    assert sum(ref() is not None for ref in kept) <= 2
    go_on.set()


async def test_work_that_was_not_begun_in_time_is_never_done() -> None:
    lane = LimitedExecutor(DaemonExecutor(1, "test"), 1)
    go_on, done = threading.Event(), list[int]()
    hung = lane.submit(go_on.wait, 30)
    with pytest.raises(NoFreeThreadError):
        await run_in_executor(lane, done.append, 1, timeout=10, start_timeout=0.05)
    go_on.set()
    await asyncio.wrap_future(hung)
    await run_in_executor(lane, done.append, 2, timeout=10, start_timeout=10)
    assert done == [2]


# ---- sorting


@given(st.lists(st.text("ab/", max_size=4), max_size=60), st.integers(1, 20))
def test_sorting_in_steps_is_sorting(names: list[str], step: int) -> None:
    assert sort_in_steps(list(names), step) == sorted(names)


def test_sorting_lets_other_threads_run() -> None:
    """Sorting a million names in one go stopped every request of the process for 0.7 s."""
    names = [f"{random.getrandbits(64):016x}.png" for _ in range(400_000)]
    turns: list[float] = []
    stop = threading.Event()

    def take_turns() -> None:
        while not stop.is_set():
            turns.append(time.perf_counter())
            time.sleep(0.001)

    other = threading.Thread(target=take_turns)
    other.start()
    began = time.perf_counter()
    found = sort_in_steps(names)
    ended = time.perf_counter()
    stop.set()
    other.join()
    moments = [began, *(turn for turn in turns if began < turn < ended), ended]
    assert max(after - before for before, after in pairwise(moments)) < (ended - began) / 2
    assert found == sorted(names)
