"""Listing times before a datasource was read completely: only what others have read limits them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from headwater.catalog.catalog import Catalog
from headwater.catalog.feed import merging
from headwater.catalog.feed.listings import StartedListing
from headwater.catalog.feed.record import KEPT_LISTINGS
from headwater.catalog.tables import feed_walked
from headwater.domain.feed import FIRST, LAST
from headwater.domain.objects import Key, StoredObject
from tests.catalog.feed.fed import NOW, Fed, count_rows, found, make_fed, rows_of, several

DATE = NOW - 1000


async def times(
    fed: Fed,
    started: StartedListing,
    objects: list[StoredObject],
    after: Key | None = None,
    up_to: Key | None = None,
) -> list[int]:
    page = await fed.read(started, objects, after, up_to)
    assert page is not None
    return page.times


async def test_listings_that_were_given_up_leave_other_dates_as_they_are(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    for _ in range(3):
        assert await times(fed, await fed.begin(), several("ab"), None, "b") == [DATE, DATE]
    started = await fed.begin(NOW + 5)
    assert await times(fed, started, [*several("a"), found("b", 1)], None, "b") == [DATE, NOW + 1], "`b` is new"
    assert await times(fed, started, several("cd"), "b", None) == [DATE, DATE]
    assert await times(fed, started, [found("d", 1)], "c", None) == [NOW + 1]
    await fed.end(started)
    for _ in range(KEPT_LISTINGS):
        await fed.begin()
    assert await count_rows(catalog, feed_walked) == 0, "everything was read, and these listings were long ago"


async def test_pages_of_one_listing_are_one_range(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    one, two = await fed.begin(NOW - 9), await fed.begin(NOW)
    for key, after in zip("bcd", "abc", strict=True):
        await times(fed, one, several(key), after, key)
    await times(fed, two, several("c"), "b", "c")
    await times(fed, one, several("b"), "a", "b")  # an old cursor, used again
    query = sa.select(feed_walked.c.listing, feed_walked.c.range_start, feed_walked.c.range_end, feed_walked.c.promise)
    walked = [
        (row.listing, bytes(row.range_start), bytes(row.range_end), row.promise)
        for row in await rows_of(catalog, query.order_by(feed_walked.c.listing))
    ]
    assert walked == [(1, b"a", b"d", NOW - 9), (2, b"b", b"c", NOW)]


async def test_ranges_of_different_listings_complete_a_feed_together(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    one, two = await fed.begin(), await fed.begin()
    await times(fed, one, several("a"), None, "m")
    await times(fed, two, several("z"), "n", None)
    assert not (await fed.state()).complete
    await times(fed, one, several("n"), "m", "n")
    assert (await fed.state()).complete
    assert await fed.counts() == (3, 3)


@pytest.fixture
def few_walks(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(merging, "MAX_WALKED", 6)
    return 6


async def test_ranges_of_old_listings_become_one_for_new_objects(catalog: Catalog, few_walks: int) -> None:
    """It limits objects that are dated after the listings began. Others were most likely there before."""
    fed = await make_fed(catalog)
    for number in range(few_walks + 1):
        await times(fed, await fed.begin(NOW + number), several("b"), "a", "b")
        assert await count_rows(catalog, feed_walked) == number + 1
    folded = await fed.begin(NOW + 100)
    await times(fed, folded, several("b"), "a", "b")
    query = sa.select(feed_walked).order_by(feed_walked.c.listing)
    first, *others = await rows_of(catalog, query)
    assert (first.listing, bytes(first.range_start), bytes(first.range_end), first.covers) == (0, FIRST, LAST, False)
    assert [row.listing for row in others] == [5, 6, 7, 8]
    assert (first.promise, first.since) == (NOW + 3, NOW), "those of the last listing that was folded"
    later = await fed.begin(NOW + 50)
    assert await times(fed, later, [found("y", 0, NOW - 1)], "x", "y") == [NOW - 1]
    assert await times(fed, later, [found("z", 0, NOW)], "y", "z") == [NOW + 4]
    assert await times(fed, later, [found("b", 1)], "a", "b") == [NOW + 101]


async def test_ranges_are_folded_again_and_again(catalog: Catalog, few_walks: int) -> None:
    fed = await make_fed(catalog)
    for number in range(5 * few_walks):
        await times(fed, await fed.begin(NOW + number), several("b"), "a", "b")
        assert await count_rows(catalog, feed_walked) <= few_walks + 1
    assert not (await fed.state()).complete
    started = await fed.begin(NOW + 1000)
    assert await times(fed, started, [found("a", 1, NOW), found("b", 1), found("z", 1, NOW)]) == [
        pytest.approx(NOW + 5 * few_walks, abs=few_walks),
        NOW + 5 * few_walks,
        pytest.approx(NOW + 5 * few_walks, abs=few_walks),
    ]
