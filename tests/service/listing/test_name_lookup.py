"""Names are looked for in bounded time and in a bounded number of requests."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from headwater.domain.errors import StoreUnavailableError
from headwater.domain.key_range import KeyRange, Resume
from headwater.domain.objects import Key, StorePage
from headwater.domain.selection import Selection
from headwater.domain.selection_parser import SelectionParser
from headwater.service.listing import selection_source
from headwater.service.listing.name_lookup import MAX_CONCURRENT_LOOKUPS, LookupLimits, find_names
from headwater.service.listing.selection_source import SelectionSource
from headwater.stores.lookup import MAX_PAGES, find_object
from tests.stores.memory import MemoryStore

LATENCY = 0.05


class SlowStore(MemoryStore):
    """Takes a while for each page."""

    async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
        await asyncio.sleep(LATENCY)
        return await super().list_page(prefix, after, limit, marker)


def select(names: list[Key]) -> Selection:
    parser = SelectionParser(".lightly/relevant.txt")
    parser.feed("\n".join(names).encode())
    return parser.finish()


async def list_all(store: MemoryStore, selection: Selection, **limits: Any) -> list[list[Key]]:
    """Return the keys of each page."""
    source, pages = SelectionSource(store, selection, KeyRange()), list[list[Key]]()
    resume: Resume | None = Resume()
    while resume is not None:
        found = await source.page(resume, 1000, time.monotonic() + limits.get("seconds", 60))
        pages.append([each.key for each in found.objects])
        resume = found.resume
    return pages


async def test_a_sparse_selection_in_a_slow_store_keeps_to_its_deadline() -> None:
    """The time was checked after 64 names: at a second a request, one page of a listing took 47 seconds."""
    keys = [f"day/{number:06}.png" for number in range(6400)]
    store = SlowStore(keys)
    page = await SelectionSource(store, select(keys[::100]), KeyRange()).page(
        Resume(), 1000, time.monotonic() + 1.5 * LATENCY
    )
    # One page of the store that answers for few names, and one round of single names, or two.
    assert store.requests <= 1 + 2 * MAX_CONCURRENT_LOOKUPS
    assert page.resume is not None
    assert [each.key for each in page.objects] == [key for key in keys[::100] if key <= (page.resume.after or "")]


async def test_a_listing_with_short_deadlines_lists_each_name_once() -> None:
    keys = [f"day/{number:06}.png" for number in range(3200)]
    pages = await list_all(SlowStore(keys), select(keys[::100]), seconds=1.5 * LATENCY)
    assert len(pages) > 1
    assert [key for page in pages for key in page] == keys[::100]


async def test_a_page_sends_a_fast_store_a_bounded_number_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that do not exist fill no page: one request of a user sent the store as many as fit in three seconds."""
    monkeypatch.setattr(selection_source, "MAX_REQUESTS", 20)
    store = MemoryStore([f"day/{number:06}.png" for number in range(20_000)])
    absent = [f"day/{number:06}.jpg" for number in range(0, 20_000, 200)]
    page = await SelectionSource(store, select(absent), KeyRange()).page(Resume(), 1000, time.monotonic() + 60)
    assert (page.objects, store.requests) == ([], 20)
    assert page.resume is not None
    store.requests = 0
    assert len(await list_all(store, select(absent))) > 3
    assert store.requests <= 2 * len(absent)


async def test_the_first_name_is_looked_for_even_if_the_time_is_over() -> None:
    store = MemoryStore(["a", "b", "c"])
    found = await find_names(store, ["a", "b", "c"], LookupLimits(deadline=0, requests=100))
    assert ([each.key for each in found.objects], found.answered, store.requests) == (["a"], 1, 1)


async def test_a_lookup_that_fails_ends_the_others() -> None:
    """The other lookups went on after the request had failed, and counted for nobody."""
    ended = []

    class Failing(MemoryStore):
        async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
            if prefix == "a":
                raise StoreUnavailableError("gone")
            try:
                await asyncio.sleep(3600)
            finally:
                ended.append(prefix)
            raise AssertionError

        can_start_after = False

    with pytest.raises(StoreUnavailableError, match="gone"):
        await find_names(Failing([]), ["a", "b", "c"], LookupLimits(time.monotonic() + 60, 100))
    await asyncio.sleep(0)
    assert sorted(ended) == ["b", "c"]


async def test_a_store_that_sends_only_empty_pages_is_an_error() -> None:
    """A store that says that more follows, and sends nothing, kept a lookup busy for ever."""

    class Empty(MemoryStore):
        async def list_page(self, prefix: str, after: Key | None, limit: int, marker: str | None = None) -> StorePage:
            self.requests += 1
            return StorePage([], f"{prefix}{self.requests:09}")

    store = Empty([])
    with pytest.raises(StoreUnavailableError, match="list pages without an object"):
        await find_object(store, "a")
    assert store.requests == MAX_PAGES
