"""Listings of an exact feed: every version of a file is in exactly one window of consecutive polls."""

from __future__ import annotations

import os
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from headwater.catalog.catalog import Catalog
from headwater.catalog.feed.listings import StartedListing
from headwater.catalog.feed.record import CHANGES_KEPT_MS, Claim
from headwater.catalog.keyring import Keyring
from headwater.domain.feed import FeedMode, LateArrivals
from headwater.domain.key_order import Order
from headwater.domain.key_range import KeyRange, Resume
from headwater.domain.objects import Key, StoredObject
from headwater.domain.samples import LIGHTLY_FOLDER
from headwater.domain.window import Window
from headwater.service.listing.feed_source import MAX_PAGE_AGE_SECONDS, FeedRules, FeedSource
from headwater.service.listing.source import ObjectPage, ObjectSource
from headwater.service.listing.store_source import StoreSource
from tests.catalog.feed.fed import Fed, make_fed
from tests.service.listing.served import NOW, Served, serving
from tests.stores.memory import MemoryStore, by_path, by_utf_8, by_utf_16


async def test_each_version_is_in_one_window(served: Served) -> None:
    for name in ("a.png", "b.png", "c.png"):
        served.put(name)
    assert await served.poll() == ["a.png", "b.png", "c.png"]
    assert await served.poll() == []
    served.put("b.png", NOW - 2000, b"replaced by an older file")
    served.put("late.png", NOW - 500)
    served.put("future.png", NOW + 5000)
    served.now += 1
    assert await served.poll() == ["b.png", "future.png", "late.png"]
    served.now += 6000
    assert await served.poll() == []
    assert await served.names() == ["a.png", "b.png", "c.png", "future.png", "late.png"]


async def test_what_arrives_in_a_second_that_was_listed_is_in_the_next_window(served: Served) -> None:
    served.put("a.png", NOW)
    assert await served.poll() == ["a.png"]
    served.put("b.png", NOW)
    assert await served.poll() == [], "the same second"
    served.now += 1
    assert await served.poll() == ["b.png"]


async def test_a_file_that_arrives_late_is_lost_by_date(served: Served) -> None:
    """The difference between the modes."""
    await served.choose(FeedMode.DATES)
    served.put("a.png")
    assert await served.poll() == ["a.png"]
    served.put("late.png", NOW - 500)
    served.now += 1
    assert await served.poll() == []
    assert await served.names() == ["a.png", "late.png"]


async def test_late_arrivals_are_logged_once_for_a_listing(served: Served) -> None:
    for number in range(10):
        served.put(f"{number}.png")
    await served.poll()
    served.now += 100
    for number in (1, 5, 9):
        served.put(f"{number}x.png", NOW - number)
    served.put("new.png", NOW + 50)
    with capture_logs() as logs:
        await served.poll()
    events = [each for each in logs if each["event"] == "late_arrivals"]
    assert [(each["dataset"], each["count"], each["delay"]) for each in events] == [(served.dataset_id, 3, 109)]
    summary = await served.summary_of_index()
    assert [(each.number, each.late) for each in summary.listings] == [(2, LateArrivals(3, 109)), (1, LateArrivals())]
    with capture_logs() as logs:
        await served.poll()
    assert [each for each in logs if each["event"] == "late_arrivals"] == []


@pytest.fixture
async def patient(tmp_path: Path) -> AsyncIterator[Served]:
    """A dataset whose files must be a minute old."""
    async with serving(tmp_path, local_min_age="60") as opened:
        yield opened


async def test_a_young_file_is_listed_later_exactly_once(patient: Served) -> None:
    patient.put("old.png")
    patient.put("young.png", NOW - 59)
    patient.put("ahead.png", NOW + 59)
    assert await patient.poll() == ["old.png"]
    assert await patient.count() == 1
    patient.now += 1
    assert await patient.poll() == ["young.png"], "later than its own time, which is in a window that was listed"
    patient.now += 200
    assert await patient.poll() == ["ahead.png"]
    patient.now += 200
    assert await patient.poll() == []
    assert await patient.count() == 3


async def test_a_file_that_is_written_again_is_listed_when_it_is_old_enough(patient: Served) -> None:
    patient.put("a.png")
    assert await patient.poll() == ["a.png"]
    patient.now += 100
    patient.put("a.png", patient.now, b"more")
    assert await patient.poll() == []
    assert await patient.count() == 0, "its old version is gone, and its new one may be half written"
    patient.now += 60
    assert await patient.poll() == ["a.png"]
    assert await patient.poll() == []


async def test_files_far_in_the_future_are_not_young(patient: Served) -> None:
    """Else a wrong clock would hide a file for years."""
    patient.put("future.png", NOW + 10_000)
    assert await patient.poll() == ["future.png"]


@pytest.fixture
async def fed(tmp_path: Path) -> AsyncIterator[Fed]:
    catalog = await Catalog.open(f"sqlite:///{tmp_path}/catalog.sqlite3", Keyring([("test", os.urandom(32))]))
    yield await make_fed(catalog)
    await catalog.close()


def source_of(fed: Fed, source: ObjectSource, started: StartedListing, **rules: Any) -> FeedSource:
    """Return a source of everything, in a feed."""
    defaults: dict[str, Any] = {
        "window": Window(0, NOW),
        "last_key": None,
        "include_all_files": True,
        "covers": True,
        "now": NOW,
    }
    defaults |= {"min_age": 0, "claim": Claim(os.urandom(8), os.urandom(8))}
    return FeedSource(source, fed.catalog.feed, FeedRules(started.listing, **{**defaults, **rules}), started.state)


class Scripted:
    """A source with one page. What must happen while it is read is `meanwhile`."""

    def __init__(self, objects: Sequence[StoredObject], meanwhile: Callable[[], Any] | None = None) -> None:
        self.objects = list(objects)
        self.meanwhile = meanwhile

    async def page(self, resume: Resume, limit: int, deadline: float) -> ObjectPage:
        objects = list(self.objects)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return ObjectPage(objects, None)


async def test_a_page_that_was_overtaken_is_empty_and_read_again(fed: Fed) -> None:
    old, new = StoredObject("a", 1, 5, "1"), StoredObject("a", 1, 6, "2")
    await fed.list_all([old])
    slow = await fed.begin(NOW + 1)

    async def overtake() -> None:
        source.objects = [new]
        assert await fed.read(await fed.begin(NOW), [new]) is not None

    source = Scripted([old], overtake)
    listing = source_of(fed, source, slow, window=Window(0, NOW + 9))
    assert await listing.page(Resume("", "marker"), 10, 0) == ObjectPage([], Resume("", "marker"))
    page = await listing.page(Resume("", "marker"), 10, 0)
    assert (page.objects, page.resume) == ([new], None)


async def test_a_page_that_took_too_long_is_not_merged(fed: Fed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the index has changed since it was read is not remembered for certain."""
    assert MAX_PAGE_AGE_SECONDS * 1000 < CHANGES_KEPT_MS
    clock = 100.0
    fake_time = SimpleNamespace(monotonic=lambda: clock)
    monkeypatch.setattr("headwater.service.listing.feed_source.time", fake_time)

    async def take(seconds: float) -> None:
        nonlocal clock
        clock += seconds

    objects = [StoredObject("a", 1, 5, None)]
    slow = source_of(fed, Scripted(objects, lambda: take(MAX_PAGE_AGE_SECONDS + 1)), await fed.begin())
    assert await slow.page(Resume(), 10, 0) == ObjectPage([], Resume())
    assert await fed.positions() == []
    assert (await slow.page(Resume(), 10, 0)).objects == objects


async def test_an_object_that_an_unordered_page_has_twice_is_listed_once(fed: Fed) -> None:
    unordered = fed._replace(order=None)
    objects = [StoredObject(key, 1, 5, None) for key in ("b", "a", "b")]
    page = await source_of(unordered, Scripted(objects), await unordered.begin()).page(Resume(), 10, 0)
    assert sorted(each.key for each in page.objects) == ["a", "b"]


async def test_only_samples_are_in_the_index(fed: Fed) -> None:
    keys = (".lightly/a.png", "a.png", "b.txt", "c/", "c/d.JPG")
    source = Scripted([StoredObject(key, 1, 5, None) for key in keys])
    page = await source_of(fed, source, await fed.begin(), include_all_files=False).page(Resume(), 10, 0)
    assert [each.key for each in page.objects] == ["a.png", "c/d.JPG"]
    assert await fed.positions() == [b"a.png", b"c/d.JPG"]


async def list_in_pages(fed: Fed, store: MemoryStore, limit: int) -> list[Key]:
    """List everything in pages of one request each; return the keys that were listed."""
    listed: list[Key] = []
    resume: Resume | None = Resume()
    started = await fed.begin()
    source = source_of(fed, StoreSource(store, KeyRange()), started, window=Window(0, NOW + 1))
    while resume is not None:
        page = await source.page(resume, limit, time.monotonic() + 60)
        listed += [each.key for each in page.objects]
        resume = page.resume
    await fed.end(started)
    return listed


@pytest.mark.parametrize(
    ("order", "by"),
    [
        (Order.CODE_POINTS, by_utf_8),
        (Order.UTF16_AMBIGUOUS, by_utf_8),
        (Order.UTF16_AMBIGUOUS, by_utf_16),
        (Order.SLASH_FIRST, by_path),
        (None, by_utf_16),
    ],
    ids=["code points", "UTF-8 if ambiguous", "UTF-16", "by path", "unknown"],
)
async def test_pages_of_every_order_are_merged_without_a_gap(
    fed: Fed, order: Order | None, by: Callable[[str], Any]
) -> None:
    """After a complete listing the index has the keys of the store, whatever came and went."""
    dice = random.Random(5)
    fed = fed._replace(order=order)
    for _ in range(12):
        parts = ["a", "b", "/", "-", ".", "é", "\ud7ff", "\uff21", "🦊", "\x01", ".lightly/"]
        keys = {"".join(dice.choices(parts, k=dice.randint(1, 4))) for _ in range(40)}
        store = MemoryStore(sorted(keys, key=by), order=order, by=by)
        expected = [key for key in sorted(keys, key=by) if not key.endswith("/") and not key.startswith(LIGHTLY_FOLDER)]
        assert await list_in_pages(fed, store, dice.randint(1, 7)) == expected, "in the order of the store"
        assert await fed.counts() == (len(expected), len(expected))
        assert (await fed.state()).ordered is (order is not None)


@pytest.mark.parametrize("order", [Order.CODE_POINTS, Order.UTF16_AMBIGUOUS, Order.SLASH_FIRST])
async def test_a_shard_that_ends_where_the_lightly_folder_is_left_out_is_in_order(fed: Fed, order: Order) -> None:
    """The listing continues after the folder, and thus after the end of the shard: the store counted as unordered."""
    fed = fed._replace(order=order)
    last_key = f"{LIGHTLY_FOLDER}\ud7ff.m"
    store = MemoryStore(["(a", *(f"{LIGHTLY_FOLDER}{number}" for number in range(9)), "z"], order=order)
    started = await fed.begin()
    listed = []
    for after, last in ((None, last_key), (last_key, None)):
        source = source_of(fed, StoreSource(store, KeyRange("", last, order)), started, last_key=last)
        resume: Resume | None = Resume(after)
        while resume is not None:
            page = await source.page(resume, 3, time.monotonic() + 60)
            listed += [each.key for each in page.objects]
            resume = page.resume
    assert listed == ["(a", "z"]
    state = await fed.state()
    assert (state.ordered, state.complete) == (True, True)
