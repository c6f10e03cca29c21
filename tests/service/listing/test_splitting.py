"""Shards together are the whole listing, do not overlap, are similar in size, and need few requests to find."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.domain.errors import LocationInvalidError
from headwater.domain.key_order import Order
from headwater.domain.key_range import KeyRange
from headwater.domain.key_space import KeySpace
from headwater.domain.objects import Key, StorePage
from headwater.domain.selection_parser import SelectionParser
from headwater.service.listing import splitting
from headwater.service.listing.pages import MAX_SHARDS
from headwater.service.listing.splitting import NOT_SPLIT, find_selection_split_points, find_split_points
from headwater.service.listing.survey import MAX_REQUESTS
from headwater.stores.base import Store
from tests.stores.layouts import LAYOUTS
from tests.stores.memory import MemoryStore, by_path, by_utf_8, by_utf_16


async def _read(store: Store, prefix: str, after: Key | None, last_key: Key | None, order: Order) -> list[Key]:
    """Return the keys of one shard, read in short pages."""
    keys: list[Key] = []
    marker = None
    while True:
        page = await store.list_page(prefix, after, 7, marker)
        for found in page.objects:
            if last_key is not None and KeyRange(last_key=last_key, order=order).is_past_end(found.key):
                return keys
            keys.append(found.key)
        after, marker = page.resume_after, page.marker
        if after is None:
            return keys


async def _shards(store: Store, prefix: str, shards: int) -> list[list[Key]]:
    points, order = await find_split_points(store, prefix, shards)
    assert len(points) < max(shards, 2)
    cuts = [None, *points, None]
    return [await _read(store, prefix, after, last_key, order) for after, last_key in itertools.pairwise(cuts)]


def _sizes(keys: Sequence[Key], points: list[Key]) -> list[int]:
    """Return how many keys each shard has. Keys and points are in the order of code points."""
    ends = [sum(key <= point for key in keys) for point in points]
    return [end - begin for begin, end in itertools.pairwise([0, *ends, len(keys)])]


# --- whole and disjoint, whatever the keys ---

_chars = st.sampled_from("ab/09.- é中\ud7ff\uff21🦊\x01~")
_numbers = st.sets(st.integers(0, 99_999), max_size=60)
_templates = st.sampled_from(
    (
        *("{:05}", "img_{}.jpg", "a/b/c/{:08}.png", "{:03x}-{:04}", "2026-11-{:02}T{:02}:00.jpg", "中{}/🦊 {}"),
        *(".lightly/predictions/{}.json", "{}", "a-{}/{}", "x{}.{}", "a/{}"),
    )
)


@st.composite
def _layouts(draw: st.DrawFn) -> set[Key]:
    """Draw keys made of templates and numbers, of random characters, or of both."""
    keys = draw(st.sets(st.text(_chars, min_size=1, max_size=8), max_size=40))
    for template in draw(st.lists(_templates, max_size=3)):
        keys |= {template.format(number, number % 31) for number in draw(_numbers)}
    return keys


ORDERS: list[tuple[Order | None, Callable[[str], Any]]] = [
    (Order.CODE_POINTS, by_utf_8),
    (Order.UTF16_AMBIGUOUS, by_utf_8),
    (Order.UTF16_AMBIGUOUS, by_utf_16),
    (Order.SLASH_FIRST, by_path),
    *((None, by) for by in (by_utf_8, by_utf_16, by_path)),
]


@pytest.mark.parametrize(("order", "by"), ORDERS)
@given(
    keys=_layouts(),
    prefix=st.sampled_from(["", "", "", "a/", "a", ".lightly/predictions/"]),
    shards=st.integers(1, 40),
    list_limit=st.sampled_from([2, 5, 20, 1000]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_shards_together_are_the_whole_listing_without_overlap(
    order: Order | None, by: Callable[[str], Any], keys: set[Key], prefix: str, shards: int, list_limit: int
) -> None:
    listing = sorted(keys, key=by)
    store = MemoryStore(listing, order=order, by=by, list_limit=list_limit)
    parts = _run(_shards(store, prefix, shards))
    assert [key for part in parts for key in part] == [key for key in listing if key.startswith(prefix)]
    points, _ = _run(find_split_points(store, prefix, shards))
    assert all(by(one) < by(other) for one, other in itertools.pairwise(points))


def _run(coroutine: Any) -> Any:
    """Run a coroutine to its end, in a test that is not a coroutine because of Hypothesis."""
    return asyncio.run(coroutine)


# --- small listings ---


@pytest.mark.parametrize(
    ("count", "shards", "sizes"), [(0, 4, [0]), (1, 4, [1]), (3, 8, [1, 1, 1]), (10, 3, [3, 4, 3])]
)
async def test_few_keys_are_split_exactly_with_one_request(count: int, shards: int, sizes: list[int]) -> None:
    store = MemoryStore([f"{number:02}" for number in range(count)])
    points, _ = await find_split_points(store, "", shards)
    assert store.requests == 1
    assert [len(part) for part in await _shards(store, "", shards)] == sizes
    assert len(points) == len(sizes) - 1


async def test_a_listing_of_two_pages_is_split_exactly() -> None:
    keys = [f"{number:05}" for number in range(1900)]
    store = MemoryStore(keys)
    points, _ = await find_split_points(store, "", 10)
    assert (store.requests, _sizes(keys, points)) == (2, [190] * 10)


async def test_one_shard_costs_nothing() -> None:
    store = MemoryStore(["a", "b"])
    assert (await find_split_points(store, "", 1), store.requests) == (NOT_SPLIT, 0)


# --- balance and cost ---

REGULAR = {
    "unpadded": [f"image_{number}.png" for number in range(60_000)],
    "hashes": [f"{hashlib.md5(str(number).encode()).hexdigest()}.jpg" for number in range(60_000)],
    "moments": [f"{n // 1440:03}/2026-11-25T{n // 60 % 24:02}:{n % 60:02}:00Z.jpg" for n in range(60_000)],
    "predictions": [
        *(f".lightly/predictions/task/{number}.json" for number in range(60_000)),
        *(f"a/{number:06}.jpg" for number in range(30_000)),
        *(f"b/c/{number}.jpg" for number in range(30_000)),
    ],
}


@pytest.mark.parametrize("name", REGULAR)
async def test_regular_layouts_are_split_into_similar_shards(name: str) -> None:
    keys = sorted(REGULAR[name])
    store = MemoryStore(keys)
    points, _ = await find_split_points(store, "", 8)
    assert store.requests <= MAX_REQUESTS
    assert not any(point.startswith(".lightly/") for point in points)
    sizes = _sizes([key for key in keys if not key.startswith(".lightly/")], points)
    assert len(sizes) == 8
    assert max(sizes) <= 2 * sum(sizes) / 8


@pytest.mark.slow  # large layouts
@pytest.mark.parametrize("name", LAYOUTS)
async def test_millions_of_keys_are_split_into_similar_shards_without_reading_them(name: str) -> None:
    keys = LAYOUTS[name]
    store = MemoryStore(keys)
    points, _ = await find_split_points(store, "", 16)
    assert store.requests <= MAX_REQUESTS
    assert store.read_keys < len(keys) / 50
    sizes = keys.sizes(points)
    # The folders in words are each twice as large as the one before: pages say little of that.
    assert max(sizes) <= (5 if name == "folders in words" else 2) * len(keys) / 16, sizes


async def test_many_shards_need_no_more_requests() -> None:
    keys = LAYOUTS["hashes"]
    store = MemoryStore(keys)
    points, _ = await find_split_points(store, "", MAX_SHARDS)
    assert store.requests <= MAX_REQUESTS
    assert len(points) == MAX_SHARDS - 1
    assert max(keys.sizes(points)) <= 3 * len(keys) / MAX_SHARDS


# --- stores as they are ---


async def test_a_store_that_cannot_begin_after_a_key_is_not_split() -> None:
    """Reading a shard would mean reading everything before it. The first probe shows that the store cannot do it."""
    store = MemoryStore([f"{number:05}" for number in range(9000)], starts_after=False)
    assert (await find_split_points(store, "", 8))[0] == []
    assert store.requests <= 20
    assert (await find_split_points(store, "", 8))[0] == []


async def test_in_an_unknown_order_split_points_fit_every_order() -> None:
    """They contain neither `/` nor characters before it, except in what all keys begin with."""
    keys = [f"train/class-{folder}/{number:04}.jpg" for folder in "abc" for number in range(2000)]
    points, _ = await find_split_points(MemoryStore(keys, order=None), "", 8)
    assert points
    assert all(min(point.removeprefix("train/class-")) >= "0" for point in points)


async def test_a_survey_ends_in_time_and_uses_what_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(MemoryStore):
        async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
            if self.requests >= 40:
                await asyncio.sleep(3600)
            return await super().list_page(prefix, after, limit, marker)

    monkeypatch.setattr(splitting, "SURVEY_SECONDS", 1.0)
    points, _ = await find_split_points(Hanging([f"{number:06}" for number in range(100_000)]), "", 8)
    assert points


@pytest.mark.parametrize("hangs_at", ["order", "first page", "last page"])
async def test_a_store_that_is_too_slow_to_be_split_has_one_shard(
    hangs_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the probes had a time limit: at 20 seconds for each page, a split took minutes before it began with them."""

    hung = []

    class Slow(MemoryStore):
        async def order(self) -> Order | None:
            if hangs_at == "order":
                hung.append("order")
                await asyncio.sleep(3600)
            return None

        async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
            is_last = after is not None and not after.isdigit()
            if hangs_at == "first page" or (hangs_at == "last page" and is_last):
                hung.append(hangs_at)
                await asyncio.sleep(3600)
            return await super().list_page(prefix, after, limit, marker)

    monkeypatch.setattr(splitting, "SURVEY_SECONDS", 1.0)
    async with asyncio.timeout(15):
        split = await find_split_points(Slow([f"0000{number:04}" for number in range(1500)], order=None), "", 8)
    assert (split == NOT_SPLIT) == (hangs_at != "last page")
    assert hung == [hangs_at]


async def test_prefixes_of_a_selection_share_the_requests_of_a_split() -> None:
    """Each prefix had 192 requests of its own: a split sent 1,536."""
    parser = SelectionParser(".lightly/relevant.txt")
    parser.feed(b"".join(b"%d/*\n" % number for number in range(8)))
    hashed = (hashlib.sha256(b"%d" % number).hexdigest() for number in range(100_000))
    store = MemoryStore(sorted(f"{name[0]}/{name}" for name in hashed))
    split = await find_selection_split_points(store, parser.finish(), "", 64)
    assert len(split.points) > 32
    assert store.requests <= MAX_REQUESTS * 1.2


async def test_shards_are_planned_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """With keys of 1,024 bytes, planning held the event loop, and so every request, for half a second."""
    threads = set()
    for name in ("add", "gaps", "split_points"):
        method = getattr(KeySpace, name)

        def run(*args: Any, method: Callable[..., Any] = method) -> Any:
            threads.add(threading.current_thread())
            return method(*args)

        monkeypatch.setattr(KeySpace, name, run)
    assert (await find_split_points(MemoryStore([f"{number:06}" for number in range(20_000)]), "", 8)).points
    assert len(threads) >= 1
    assert threading.current_thread() not in threads


async def test_an_error_of_a_probe_is_raised() -> None:
    class Refusing(MemoryStore):
        async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
            if self.requests >= 5:
                raise LocationInvalidError("gone")
            return await super().list_page(prefix, after, limit, marker)

    with pytest.raises(LocationInvalidError):
        await find_split_points(Refusing([f"{number:06}" for number in range(100_000)]), "", 8)
