"""Which listings a feed knows, and what becomes of cursors of listings that it does not know."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from headwater.catalog import database
from headwater.domain.errors import CatalogUnavailableError, IndexChangedError
from headwater.domain.feed import FeedMode
from headwater.service.feed import reset_feed
from headwater.service.listing.registration import end_listing
from headwater.service.watermark import set_watermark
from headwater.stores.local.store import LocalStore
from tests.service.listing.served import NOW, RELEVANT, Served

TEN = [f"{number}.png" for number in range(10)]


@pytest.fixture
def served(served: Served) -> Served:
    for name in TEN:
        served.put(name)
    return served


@pytest.fixture
def served_on_sqlite(served_on_sqlite: Served) -> Served:
    for name in TEN:
        served_on_sqlite.put(name)
    return served_on_sqlite


def without_feed(served: Served, text: str) -> str:
    """Return a cursor as the release before the feed would have sealed it."""
    cursor = served.ctx.cursors._read(text)
    assert cursor is not None
    assert cursor.spec.listing is not None
    return served.ctx.cursors.seal(cursor._replace(spec=cursor.spec._replace(listing=None)))


async def test_a_listing_of_raw_samples_is_registered_and_ended(served: Served) -> None:
    assert await served.summary() is None
    page = await served.page(end=NOW - 7)
    (listing,) = (await served.summary_of_index()).listings
    assert (listing.number, listing.promise, listing.ended_at) == (1, NOW - 7, None)
    await served.rest(page.cursor)
    (listing,) = (await served.summary_of_index()).listings
    assert listing.ended_at is not None
    assert (await served.summary_of_index()).record.completed_at is not None


async def test_a_listing_without_an_end_promises_the_present_second(served: Served) -> None:
    await served.names()
    (listing,) = (await served.summary_of_index()).listings
    assert listing.promise == NOW


async def test_an_empty_window_promises_nothing(served: Served) -> None:
    assert await served.names(start=9, end=8) == []
    assert await served.shards(3)
    assert len((await served.summary_of_index()).listings) == 1, "the shards alone"


async def test_listings_of_other_files_are_in_no_feed(served: Served) -> None:
    served.put(".lightly/metadata/a.json", NOW - 9)
    served.put(".lightly/metadata/late.json", NOW - 5000)
    assert await served.names(folder=".lightly/metadata/", start=NOW - 9) == [".lightly/metadata/a.json"]
    assert await served.summary() is None


async def test_a_cursor_from_before_the_feed_continues(served: Served) -> None:
    """It goes on by date. A promise for what it had read would make all of that new, as the index does not know it."""
    page = await served.page()
    old = without_feed(served, page.cursor)
    await reset_feed(served.ctx, await served.dataset())
    assert await served.rest(old) == TEN[4:]
    assert await served.summary() is None
    await set_watermark(served.ctx, await served.dataset(), NOW)
    served.now += 10
    served.put("new.png", NOW + 5)
    assert await served.names(start=NOW + 1) == ["new.png"]
    assert await served.count() == 11


async def test_a_cursor_from_before_the_feed_is_limited_by_its_own_promise_once_all_is_known(served: Served) -> None:
    page = await served.page()
    old = without_feed(served, page.cursor)
    await served.names()
    served.put("late.png", NOW - 50)
    assert await served.rest(old) == TEN[4:]
    numbers = [(each.number, each.ended_at is None) for each in (await served.summary_of_index()).listings]
    assert numbers == [(3, False), (2, False), (1, True)], "one listing, not one for each page"
    served.now += 10
    assert await served.names(start=NOW + 1) == ["late.png"]


async def test_a_cursor_of_a_feed_that_was_reset_continues(served: Served) -> None:
    page = await served.page()
    assert await reset_feed(served.ctx, await served.dataset())
    assert await served.rest(page.cursor) == TEN[4:]
    served.now += 10
    assert await served.names() == TEN
    assert await served.names(start=NOW + 1) == []
    assert await served.count() == 10


async def test_cursors_continue_if_the_mode_changes(served: Served) -> None:
    page = await served.page()
    await served.choose(FeedMode.DATES)
    assert await served.rest(page.cursor) == TEN[4:]
    assert await served.summary() is None
    page = await served.page()
    await served.choose(FeedMode.EXACT)
    assert await served.rest(page.cursor) == TEN[4:]


async def test_a_listing_by_date_drops_an_index_that_another_server_has_left(served: Served) -> None:
    """A server whose setting says dates has no part in the promises of one whose setting said exact."""
    await served.names()
    await served.ctx.catalog.datasets.set_feed(served.dataset_id, FeedMode.DATES, FeedMode.EXACT)
    assert await served.summary() is not None
    assert await served.names() == TEN
    assert await served.summary() is None
    assert await served.count() == 10


async def test_relevant_filenames_are_listed_by_date_until_everything_was_read(served: Served) -> None:
    served.put(RELEVANT, data=b"1.png\n5.png\nlate.png\n")
    assert await served.names(selection_file=RELEVANT) == ["1.png", "5.png"]
    assert await served.summary() is None, "it promises nothing"
    await served.names()
    assert len((await served.summary_of_index()).listings) == 1
    served.put("late.png", NOW - 50)
    served.now += 10
    assert await served.names(selection_file=RELEVANT, start=NOW - 50, end=NOW) == []
    assert await served.names(selection_file=RELEVANT, start=NOW + 1) == ["late.png"]
    summary = await served.summary_of_index()
    assert [(each.number, each.late.count, each.ended_at is None) for each in summary.listings] == [
        (3, 0, False),
        (2, 1, False),
        (1, 0, False),
    ]
    assert await served.count() == 11


async def test_relevant_filenames_continue_by_date_after_a_reset(served: Served) -> None:
    served.put(RELEVANT, data="".join(f"{name}\n" for name in TEN).encode())
    await served.names()
    page = await served.page(selection_file=RELEVANT)
    assert page.has_more
    await reset_feed(served.ctx, await served.dataset())
    listed = [each.file_name for each in page.samples] + await served.rest(page.cursor)
    assert listed == TEN
    assert await served.summary() is None


async def test_shards_are_one_listing_and_complete_a_feed(served: Served) -> None:
    cursors = await served.shards(3)
    assert len(cursors) == 3
    names: list[str] = []
    for cursor in reversed(cursors):
        assert not (await served.summary_of_index()).record.complete
        names += await served.rest(cursor)
    assert sorted(names) == TEN
    summary = await served.summary_of_index()
    assert (len(summary.listings), summary.record.complete, await served.count()) == (1, True, 10)
    assert summary.listings[0].ended_at is not None
    assert summary.record.completed_at is not None


async def test_a_late_file_in_a_shard_is_listed_in_the_next_window(served: Served) -> None:
    cursors = await served.shards(2)
    assert sorted([*await served.rest(cursors[0]), *await served.rest(cursors[1])]) == TEN
    served.put("00.png", NOW - 500)
    served.put("99.png", NOW - 500)
    served.now += 5
    for cursor in cursors:
        assert {"00.png", "99.png"}.isdisjoint(await served.rest(cursor)), "an old cursor keeps what was promised"
    assert await served.names(start=NOW + 1) == ["00.png", "99.png"]


async def test_a_new_file_is_in_its_shard_even_if_another_shard_has_ended(served: Served) -> None:
    """The end of one shard ended the listing: what other shards then found new counted as late, one window later."""
    await served.names()
    served.put("99.png", NOW + 3)
    served.now += 5
    first, *others = await served.shards(3)
    assert "99.png" not in await served.rest(first)
    names = [name for cursor in others for name in await served.rest(cursor)]
    assert "99.png" in names
    summary = await served.summary_of_index()
    assert (summary.listings[0].late.count, summary.record.promises.owner) == (0, None)


async def test_shards_of_a_feed_that_was_reset_continue(served: Served) -> None:
    """A shard has read nothing before its beginning. What other shards list there keeps its date."""
    cursors = await served.shards(3)
    await reset_feed(served.ctx, await served.dataset())
    names = [name for cursor in reversed(cursors) for name in await served.rest(cursor)]
    assert sorted(names) == TEN


async def test_a_lock_does_not_fail_the_end_of_a_listing_that_need_not_be_recorded(
    served_on_sqlite: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last page of each listing waited for the write lock of another process, one after the other."""
    served = served_on_sqlite
    monkeypatch.setattr(database, "BOOKKEEPING_SECONDS", 0.1)
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.5)
    await served.names()
    served.now += 10
    earlier = await served.rest_but_last()
    served.now += 10
    latest = await served.rest_but_last()
    other = sqlite3.connect(served.folder.parent / "data" / "headwater.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with capture_logs() as logs:
        assert await served.rest(earlier) == TEN[8:]
    assert [(each["event"], each["dataset"]) for each in logs] == [("listing_end_not_recorded", served.dataset_id)]
    with pytest.raises(CatalogUnavailableError, match="try again"):
        await served.rest(latest)  # its claim, and its end, belong to the promise
    other.execute("ROLLBACK")
    other.close()
    assert await served.rest(latest) == TEN[8:]
    ended = {each.number: each.ended_at is not None for each in (await served.summary_of_index()).listings}
    assert ended == {1: True, 2: False, 3: True}
    served.put("new.png")
    served.now += 10
    assert await served.names(start=NOW + 21) == ["new.png"]


async def test_the_last_page_does_not_wait_for_rows_of_deleted_files(
    served_on_sqlite: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end was recorded, and then the page failed because these rows could not be deleted at once.

    They are deleted in the background; or, if that fails, after the next complete listing.
    """
    served = served_on_sqlite

    async def unknown(_store: LocalStore) -> None:
        return None

    async def write_then_lock(work: Callable[[Any], Any], **options: Any) -> Any:
        done = await write(work, **options)
        if done is True:  # the end is recorded, and rows are left
            other.execute("BEGIN IMMEDIATE")
        return done

    monkeypatch.setattr(LocalStore, "order", unknown)
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.3)
    await served.names()
    (served.folder / "9.png").unlink()
    served.now += 10
    cursor = await served.rest_but_last()
    other = sqlite3.connect(served.folder.parent / "data" / "headwater.db", isolation_level=None)
    opened = served.ctx.catalog.feed._database
    write = opened.write
    with capture_logs() as logs, pytest.MonkeyPatch.context() as patched:
        patched.setattr(opened, "write", write_then_lock)
        began = time.monotonic()
        assert await served.rest(cursor) == ["8.png"]
        assert time.monotonic() - began < 0.2
        async with asyncio.timeout(5):
            while not logs:
                await asyncio.sleep(0.01)
    assert [(each["event"], each["dataset"]) for each in logs] == [("unseen_rows_not_removed", served.dataset_id)]
    assert (await served.summary_of_index()).listings[0].ended_at is not None
    other.execute("ROLLBACK")
    other.close()
    assert await served.count() == 10
    served.now += 10
    await served.names()
    async with asyncio.timeout(5):
        while await served.count() != 9:
            await asyncio.sleep(0.01)


async def test_the_end_of_a_listing_says_so_if_the_datasource_has_moved(served: Served) -> None:
    """An end that need not be recorded is not given up silently if the page is of an index that was dropped."""
    await served.names()
    cursor = await served.rest_but_last()
    served.now += 10
    await served.rest_but_last()
    spec = served.ctx.cursors._read(cursor)
    assert spec is not None
    assert spec.spec.listing is not None
    state = await served.ctx.catalog.feed.state(spec.spec.listing.feed)
    assert state is not None
    await reset_feed(served.ctx, await served.dataset())
    with pytest.raises(IndexChangedError):
        await end_listing(served.ctx, spec.spec, state)
