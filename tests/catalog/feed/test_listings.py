"""Listings of a feed: what they register, what they promise, and what is remembered of them."""

from __future__ import annotations

import time

import pytest

from headwater.catalog.catalog import Catalog
from headwater.catalog.feed.record import KEPT_LISTINGS
from headwater.catalog.tables import feed_listings
from headwater.domain.errors import CatalogUnavailableError
from headwater.domain.feed import (
    FIRST,
    LAST,
    MAX_PROMISE_AHEAD_SECONDS,
    MAX_WATERMARK_AHEAD_SECONDS,
    FeedListing,
    LateArrivals,
    Promises,
)
from headwater.domain.ids import new_id
from headwater.domain.key_order import Order
from headwater.domain.window import LAST_SECOND
from tests.catalog.feed.fed import NOW, Fed, count_rows, found, make_fed, several
from tests.catalog.values import config, put


async def test_a_dataset_has_no_feed_before_its_first_listing(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    assert await catalog.feed.id_of(fed.dataset) is None
    assert await catalog.feed.summary(fed.dataset) is None
    assert await catalog.feed.begin_if_complete(fed.start()) is None
    assert await catalog.feed.id_of(fed.dataset) is None, "a listing of certain objects begins none"
    assert not await catalog.feed.drop(fed.dataset)


async def test_a_listing_is_begun_read_and_ended(catalog: Catalog) -> None:
    fed, other = await make_fed(catalog), await make_fed(catalog, "other")
    before = time.time_ns() // 1_000_000
    started = await fed.begin(NOW - 7)
    assert started.listing.number == 1
    assert started.listing.promise == NOW - 7
    assert started.state == await fed.state()
    assert (started.state.key_order, started.state.ordered, started.state.complete, started.state.changes) == (
        Order.CODE_POINTS,
        True,
        False,
        0,
    )
    page = await fed.read(started, [found("a", modified=5), found("b", modified=NOW + 50)], None, "b")
    assert page is not None
    assert (page.times, page.late) == ([5, NOW], LateArrivals())
    assert not (await fed.state()).complete
    page = await fed.read(started, [found("c", modified=7)], "b", None)
    assert page is not None
    assert page.times == [7]
    assert (await fed.state()).complete
    assert (await fed.record()).completed_at is None, "no listing has ended"
    await fed.end(started)
    record = await fed.record()
    assert record.completed_at is not None
    assert before <= record.completed_at <= time.time_ns() // 1_000_000
    assert (record.n_rows, record.listings, record.promises) == (3, 1, Promises(NOW - 7, NOW - 7))
    assert (await other.begin()).listing.feed != started.listing.feed
    assert (await other.record()).n_rows == 0


async def test_the_owner_of_a_promise_may_still_list_what_it_promised(catalog: Catalog) -> None:
    """Others may not, and once it has ended neither may its old cursors."""
    fed = await make_fed(catalog)
    await fed.list_all([], NOW - 100)
    one, two = await fed.begin(NOW), await fed.begin(NOW - 50)
    page = await fed.read(one, [found("a", modified=NOW - 60)], None, "a")
    assert page is not None
    assert (page.times, page.late) == ([NOW - 49], LateArrivals(1, 60)), "the other one has promised NOW - 50"
    page = await fed.read(two, [found("b", modified=NOW - 40)], "a", "b")
    assert page is not None
    assert (page.times, page.late) == ([NOW + 1], LateArrivals(1, 40))
    page = await fed.read(one, [found("c", modified=NOW - 40)], "b", "c")
    assert page is not None
    assert (page.times, page.late) == ([NOW - 40], LateArrivals())
    await fed.end(one)
    page = await fed.read(one, [found("d", modified=NOW - 40)], "c", "d")
    assert page is not None
    assert page.times == [NOW + 1]
    summary = await catalog.feed.summary(fed.dataset)
    assert summary is not None
    assert [(each.number, each.late) for each in summary.listings] == [
        (3, LateArrivals(1, 40)),
        (2, LateArrivals(2, 60)),
        (1, LateArrivals()),
    ]
    assert [each.ended_at is None for each in summary.listings] == [True, False, False]


async def test_a_listing_to_the_far_future_promises_only_now(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    assert (await fed.begin(LAST_SECOND)).listing.promise == NOW
    assert (await fed.begin(NOW + MAX_PROMISE_AHEAD_SECONDS)).listing.promise == NOW + MAX_PROMISE_AHEAD_SECONDS
    assert (await fed.record()).promises == Promises(NOW + MAX_PROMISE_AHEAD_SECONDS, NOW, 2)


async def test_a_watermark_promises_up_to_a_day_ahead(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    assert await catalog.datasets.set_watermark(fed.dataset, 5, NOW)
    await fed.list_all([], NOW)
    assert await catalog.datasets.set_watermark(fed.dataset, NOW + 5, NOW)
    assert (await fed.record()).promises == Promises(NOW + 5, NOW + 5)
    assert await catalog.datasets.set_watermark(fed.dataset, 0, NOW)
    assert (await fed.record()).promises == Promises(NOW + 5, NOW + 5), "what was promised stays"
    assert await catalog.datasets.set_watermark(fed.dataset, LAST_SECOND, NOW)
    capped = NOW + MAX_WATERMARK_AHEAD_SECONDS
    assert (await fed.record()).promises == Promises(capped, capped)
    assert await fed.list_all([found("a")]) == {"a": capped + 1}


async def test_a_watermark_takes_the_promise_from_its_owner(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    await fed.list_all([])
    started = await fed.begin(NOW + 10)
    assert await catalog.datasets.set_watermark(fed.dataset, NOW + 11, NOW)
    page = await fed.read(started, [found("a", modified=NOW)])
    assert page is not None
    assert page.times == [NOW + 12]


@pytest.mark.parametrize(("watermark", "promise"), [(0, -1), (1, 1), (LAST_SECOND, NOW + MAX_WATERMARK_AHEAD_SECONDS)])
async def test_everything_up_to_the_watermark_was_promised_when_the_feed_begins(
    catalog: Catalog, watermark: int, promise: int
) -> None:
    fed = await make_fed(catalog)
    assert await catalog.datasets.set_watermark(fed.dataset, watermark, NOW)
    await fed.begin(0)
    others = (await fed.record()).promises.before(99)
    assert others == max(promise, 0)


async def test_the_first_listing_keeps_dates_up_to_the_watermark_and_the_next_one_does_not_go_behind_it(
    catalog: Catalog,
) -> None:
    """After an upgrade, the poller goes on from its watermark, and a file that is found later is new to it."""
    fed = await make_fed(catalog)
    assert await catalog.datasets.set_watermark(fed.dataset, NOW, NOW)
    old = found("a", modified=NOW - 500)
    assert await fed.list_all([old], NOW, NOW + 9) == {"a": NOW - 500}
    assert await fed.list_all([old, found("b", modified=NOW - 400)], NOW + 5, NOW + 9) == {
        "a": NOW - 500,
        "b": NOW + 1,
    }


async def test_the_last_listings_are_remembered(catalog: Catalog) -> None:
    fed, other = await make_fed(catalog), await make_fed(catalog, "other")
    await other.begin()
    for number in range(KEPT_LISTINGS + 3):
        started = await fed.begin(NOW + number)
    summary = await catalog.feed.summary(fed.dataset)
    assert summary is not None
    numbers = [each.number for each in summary.listings]
    assert numbers == list(range(KEPT_LISTINGS + 3, 3, -1))
    assert [each.promise for each in summary.listings] == [NOW + number - 1 for number in numbers]
    assert await count_rows(catalog, feed_listings) == KEPT_LISTINGS + 1
    first = started._replace(listing=started.listing._replace(number=1))
    await fed.read(first, several("ab"))
    await fed.end(first)
    assert await count_rows(catalog, feed_listings) == KEPT_LISTINGS + 1, "one that is forgotten can still end"


async def test_a_listing_of_certain_objects_begins_once_the_feed_is_complete(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    started = await fed.begin()
    await fed.read(started, several("ab"), None, "b")
    assert await catalog.feed.begin_if_complete(fed.start()) is None
    assert (await fed.record()).listings == 1
    await fed.read(started, several("c"), "b", None)
    certain = await catalog.feed.begin_if_complete(fed.start(NOW + 5))
    assert certain is not None
    assert certain.listing == FeedListing(started.listing.feed, 2, NOW + 5)
    page = await fed.read_some(certain, [found("b", 1, NOW - 9)])
    assert page is not None
    assert page.times == [NOW + 1]
    await catalog.feed.end(certain.listing, None)
    assert (await fed.record()).promises.owner is None
    assert await fed.positions() == [b"a", b"b", b"c"]


async def test_shards_complete_a_listing_in_any_order(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    started = await fed.begin()
    await fed.read(started, several("yz"), "m", None)
    await catalog.feed.end(started.listing, (b"m", LAST))
    record = await fed.record()
    assert (record.complete, record.completed_at, record.promises.owner) == (False, None, 1), "the other one may go on"
    await fed.read(started, several("ab"), None, "m")
    assert (await fed.record()).complete
    await catalog.feed.end(started.listing, (FIRST, b"m"))
    record = await fed.record()
    assert record.completed_at is not None
    assert record.promises == Promises(NOW, NOW)


async def test_shards_of_two_listings_do_not_complete_one(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    await fed.list_all(several("az"))
    one, two = await fed.begin(), await fed.begin()
    completed = (await fed.record()).completed_at
    time.sleep(0.002)
    await catalog.feed.end(one.listing, (b"m", LAST))
    await catalog.feed.end(two.listing, (FIRST, b"m"))
    assert (await fed.record()).completed_at == completed
    await catalog.feed.end(two.listing, (b"m", LAST))
    assert (await fed.record()).completed_at != completed


async def test_a_listing_from_before_the_feed_counts_as_ended(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    assert await catalog.feed.begin_if_complete(fed.start(), ended=True) is None
    await fed.list_all(several("a"))
    started = await catalog.feed.begin_if_complete(fed.start(end=NOW + 5), ended=True)
    assert started is not None
    assert (await fed.record()).promises == Promises(NOW + 5, NOW + 5)


async def test_a_listing_of_a_datasource_that_was_replaced_is_refused(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    await catalog.datasources.change(fed.dataset, put(fed.dataset, config(fullPath="a/elsewhere")))
    with pytest.raises(CatalogUnavailableError, match="send it again"):
        await fed.begin()
    assert await catalog.feed.id_of(fed.dataset) is None, "nothing was registered"


async def test_a_listing_of_a_dataset_that_is_gone_is_refused(catalog: Catalog) -> None:
    with pytest.raises(CatalogUnavailableError):
        await Fed(catalog, new_id(), new_id()).begin()
