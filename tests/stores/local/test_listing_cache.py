"""The names in large folders, kept between pages, and how they are sorted."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.stores.local import listing_cache
from headwater.stores.local.listing_cache import ListingCache, sort_in_steps
from tests.stores.local.opening import open_store

COUNT = 600
SETTLED = 0.05


class QuickCache(ListingCache):
    """A folder counts as settled after 50 ms, so that tests need not wait for seconds."""

    SETTLED_NS = int(SETTLED * 1e9)


Fill = Callable[[str, int], Path]


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    def fill(name: str, count: int) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for i in range(count):
            (folder / f"{i:05d}.png").touch()
        return folder

    return fill


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many entries each reading of a folder found."""
    counted: list[int] = []
    read = listing_cache.read_entries

    def read_and_count(folder: int) -> list[str]:
        names = read(folder)
        counted.append(len(names))
        return names

    monkeypatch.setattr(listing_cache, "read_entries", read_and_count)
    return counted


def settle() -> None:
    time.sleep(SETTLED * 2)


async def test_later_pages_do_not_read_the_folder_again(tmp_path: Path, fill: Fill, reads: list[int]) -> None:
    fill("a", COUNT)
    settle()
    store = open_store(tmp_path, "a", listing_cache=QuickCache())
    after, seen = None, 0
    for _ in range(COUNT // 100 + 1):
        page = await store.list_page("", after, 100)
        seen, after = seen + len(page.objects), page.resume_after
    assert (after, seen, reads) == (None, COUNT, [COUNT])


async def test_a_new_listing_reads_the_folder_again(tmp_path: Path, fill: Fill, reads: list[int]) -> None:
    """A mounted bucket never changes the time of a folder. A poll must see new files there too."""
    fill("a", COUNT)
    settle()
    store = open_store(tmp_path, "a", listing_cache=QuickCache())
    await store.list_page("", None, 10)
    await store.list_page("", None, 10)
    assert reads == [COUNT, COUNT]


async def test_changes_between_two_pages_are_seen(tmp_path: Path, fill: Fill, reads: list[int]) -> None:
    folder = fill("a", COUNT)
    settle()
    store = open_store(tmp_path, "a", listing_cache=QuickCache())
    page = await store.list_page("", None, 300)
    (folder / "00350+.png").touch()
    (folder / "00400.png").unlink()
    page = await store.list_page("", page.resume_after, 300)
    keys = [item.key for item in page.objects]
    assert "00350+.png" in keys
    assert "00400.png" not in keys
    assert reads == [COUNT, COUNT]


async def test_a_folder_that_replaces_a_file_is_seen(tmp_path: Path, fill: Fill) -> None:
    folder = fill("a", COUNT)
    settle()
    store = open_store(tmp_path, "a", listing_cache=QuickCache())
    page = await store.list_page("", None, 300)
    (folder / "00400.png").unlink()
    (folder / "00400.png").mkdir()
    (folder / "00400.png" / "x.png").touch()
    settle()
    keys = [item.key for item in (await store.list_page("", page.resume_after, 300)).objects]
    assert "00400.png/x.png" in keys
    assert "00400.png" not in keys


async def test_a_change_with_a_reset_time_is_seen(tmp_path: Path, fill: Fill) -> None:
    """Tools that copy trees reset a folder's modification time after they have changed its content."""
    folder = fill("a", COUNT)
    state = folder.stat()
    settle()
    store = open_store(tmp_path, "a", listing_cache=QuickCache())
    page = await store.list_page("", None, 300)
    (folder / "00350+.png").touch()
    os.utime(folder, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert folder.stat().st_mtime_ns == state.st_mtime_ns
    page = await store.list_page("", page.resume_after, 300)
    assert "00350+.png" in [item.key for item in page.objects]


async def test_a_recently_changed_folder_is_not_cached(tmp_path: Path, fill: Fill, reads: list[int]) -> None:
    """Two changes within one tick of the clock have the same time, so entries read between them would never expire."""
    fill("a", COUNT)
    store = open_store(tmp_path, "a", listing_cache=ListingCache())
    page = await store.list_page("", None, 10)
    await store.list_page("", page.resume_after, 10)
    assert reads == [COUNT, COUNT]


async def test_entries_expire(tmp_path: Path, fill: Fill, reads: list[int]) -> None:
    class Forgetful(QuickCache):
        MAX_AGE_SECONDS = 0.0

    fill("a", COUNT)
    settle()
    store = open_store(tmp_path, "a", listing_cache=Forgetful())
    page = await store.list_page("", None, 10)
    await store.list_page("", page.resume_after, 10)
    assert reads == [COUNT, COUNT]


async def test_small_folders_are_not_cached(tmp_path: Path, fill: Fill, reads: list[int]) -> None:
    fill("a", ListingCache.MIN_NAMES - 1)
    settle()
    store = open_store(tmp_path, "a", listing_cache=QuickCache())
    page = await store.list_page("", None, 10)
    await store.list_page("", page.resume_after, 10)
    assert len(reads) == 2


async def test_cached_names_are_limited(tmp_path: Path, fill: Fill, reads: list[int]) -> None:
    class SmallCache(QuickCache):
        MAX_NAMES = 2 * COUNT

    cache = SmallCache()
    fill("large", 2 * COUNT + 1)
    for name in "abc":
        fill(name, COUNT)
    settle()

    async def second_page_reads(name: str, begin: bool = True) -> bool:
        store = open_store(tmp_path, name, listing_cache=cache)
        if begin:
            await store.list_page("", None, 10)
        count = len(reads)
        await store.list_page("", "00009.png", 10)
        return len(reads) > count

    assert not await second_page_reads("a")
    assert not await second_page_reads("b")
    assert not await second_page_reads("a", begin=False)
    assert not await second_page_reads("c")  # pushes out b, which was used longest ago
    assert not await second_page_reads("a", begin=False)
    assert not await second_page_reads("c", begin=False)
    assert await second_page_reads("b", begin=False)
    assert not await second_page_reads("large")  # above the bound, and so the only one
    for name in "abc":
        assert await second_page_reads(name, begin=False)


@given(st.lists(st.text("ab/", max_size=4), max_size=60), st.integers(1, 20))
def test_sort_in_steps_equals_sorted(names: list[str], step: int) -> None:
    assert sort_in_steps(list(names), step) == sorted(names)


def test_sort_in_steps_lets_other_threads_run() -> None:
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
