"""Feeds whose store does not list in the order of the index, and keys that have no place in it."""

from __future__ import annotations

from headwater.catalog.catalog import Catalog
from headwater.domain.feed import FIRST, LAST
from headwater.domain.key_order import Order
from tests.catalog.feed.fed import NOW, found, make_fed, several


async def test_pages_of_an_unknown_order_insert_and_replace_but_remove_nothing(catalog: Catalog) -> None:
    fed = await make_fed(catalog, order=None)
    started = await fed.begin()
    assert not started.state.ordered
    await fed.read(started, [found("z", size=5), found("a", size=6)], None, "a")
    page = await fed.read(started, [found("m", size=7), found("z", 1, NOW - 9, 8)], "a", None)
    assert page is not None
    assert page.times == [NOW - 1000, NOW + 1], "the listing has handed out the other version"
    assert not (await fed.state()).complete, "nobody knows whether the pages were everything"
    await fed.end(started)
    assert (await fed.state()).complete
    assert await fed.counts() == (3, 21)


async def test_a_complete_listing_removes_what_it_has_not_met(catalog: Catalog) -> None:
    fed = await make_fed(catalog, order=None)
    await fed.list_all(several("zam"))
    started = await fed.begin()
    await fed.read(started, several("mz"))
    assert await fed.counts() == (3, 3)
    await fed.end(started)
    assert await fed.counts() == (2, 2)
    assert await fed.positions() == [b"m", b"z"]


async def test_a_listing_that_was_not_complete_removes_nothing(catalog: Catalog) -> None:
    fed = await make_fed(catalog, order=None)
    await fed.list_all(several("zam"))
    certain = await fed.begin()
    await fed.read_some(certain, several("m"))
    await catalog.feed.end(certain.listing, None)
    part = await fed.begin()
    await fed.read(part, several("z"), "m", None)
    await catalog.feed.end(part.listing, (b"m", b"\xff"))
    assert await fed.counts() == (3, 3)


async def test_what_others_found_meanwhile_survives(catalog: Catalog) -> None:
    fed = await make_fed(catalog, order=None)
    await fed.list_all(several("az"))
    slow = await fed.begin()
    await fed.read(slow, several("az"))
    fast = await fed.begin()
    await fed.read(fast, several("mn"))
    await fed.end(slow)
    assert await fed.positions() == [b"a", b"m", b"n", b"z"]
    await fed.end(fast)
    assert await fed.positions() == [b"m", b"n"], "it was complete, too, and did not meet the others"


async def test_pages_of_an_unknown_order_promise_everywhere_for_new_objects(catalog: Catalog) -> None:
    """Whether the other listing had passed an object is not known. One that is older was there, most likely.

    Otherwise a first listing that was given up would make all old objects new.
    """
    fed = await make_fed(catalog, order=None)
    await fed.read(await fed.begin(NOW), several("a"), None, "a")
    page = await fed.read(await fed.begin(NOW + 9), [found("y", 0, NOW - 1), found("z", 0, NOW)])
    assert page is not None
    assert page.times == [NOW - 1, NOW + 1]


async def test_a_store_that_changes_its_order_ends_removals_by_pages(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    await fed.list_all(several("abc"))
    other = fed._replace(order=Order.UTF16_AMBIGUOUS)
    started = await other.begin()
    assert (started.state.ordered, started.state.complete) == (False, True)
    await other.read(started, several("ac"))
    assert await fed.positions() == [b"a", b"b", b"c"]
    await other.end(started)
    assert await fed.positions() == [b"a", b"c"]
    assert (await fed.begin()).state.ordered, "the order is as before"


async def test_a_page_that_is_out_of_order_ends_removals_by_pages(catalog: Catalog) -> None:
    """The listing in which it happens has removed rows itself, perhaps, and marked none: the next one is the first."""
    fed = await make_fed(catalog)
    await fed.list_all(several("abcd"))
    started = await fed.begin()
    objects = several("db")
    assert await fed.read(started, objects) is None
    assert await fed.counts() == (4, 4)
    assert not (await fed.state()).ordered
    page = await fed.read(started, objects)
    assert page is not None
    assert page.times == [NOW - 1000] * 2
    await fed.end(started)
    assert await fed.positions() == [b"a", b"b", b"c", b"d"]
    await fed.list_all(objects)
    assert await fed.positions() == [b"b", b"d"]
    assert not (await fed.begin()).state.ordered, "what the store reports is not true"


async def test_an_object_outside_the_range_of_its_page_is_out_of_order(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    started = await fed.begin()
    assert await fed.read(started, several("az"), "a", None) is None
    assert not (await fed.state()).ordered


async def test_a_page_read_before_the_feed_was_found_unordered_is_stale(catalog: Catalog) -> None:
    fed = await make_fed(catalog)
    await fed.list_all(several("abcd"))
    state = await fed.state()
    slow = await fed.begin()
    assert await fed.read(await fed.begin(), several("db")) is None
    assert await fed.read(slow, several("abc"), state=state) is None
    assert await fed.counts() == (4, 4)


async def test_keys_without_a_place_are_removed_by_the_next_complete_listing(catalog: Catalog) -> None:
    fed = await make_fed(catalog, order=Order.UTF16_AMBIGUOUS)
    objects = [found("a"), found("🦊", size=5), found("\uff21", size=7)]
    assert await fed.list_all(objects) == {"a": NOW - 1000, "🦊": NOW - 1000, "\uff21": NOW - 1000}
    assert await fed.counts() == (3, 13)
    started = await fed.begin(NOW + 1)
    page = await fed.read(started, [found("🦊", size=5)])
    assert page is not None
    assert page.times == [NOW - 1000]
    assert await fed.counts() == (2, 12), "`a` has a place, and is gone"
    await fed.end(started)
    assert await fed.counts() == (1, 5)
    assert await fed.list_all([found("🦊", 1, NOW, 6)], NOW + 2) == {"🦊": NOW + 2}
    assert await fed.counts() == (1, 6)


async def test_keys_without_a_place_that_others_found_meanwhile_survive(catalog: Catalog) -> None:
    fed = await make_fed(catalog, order=Order.UTF16_AMBIGUOUS)
    await fed.list_all(several(["a", "🦊"]))
    slow = await fed.begin()
    await fed.read(slow, several("a"))
    await fed.read(await fed.begin(), several("🦊"), "a", None)
    await fed.end(slow)
    assert await fed.counts() == (2, 2)


async def test_keys_without_a_place_make_pages_stale(catalog: Catalog) -> None:
    fed = await make_fed(catalog, order=Order.UTF16_AMBIGUOUS)
    await fed.list_all(several(["a", "🦊"]))
    slow, fast = await fed.begin(), await fed.begin()
    state = await fed.state()
    assert await fed.read(fast, [found("🦊", 1)], "b", None) is not None
    assert await fed.read(slow, several(["a", "🦊"]), state=state) is None
    assert await fed.read(slow, [found("a", 1)], None, "b", state=state) is not None


async def test_a_promise_holds_wherever_an_unordered_page_finds_an_object(catalog: Catalog) -> None:
    """A page of such a store has keys from anywhere, whatever the keys are between which it was read."""
    fed = await make_fed(catalog)
    one = await fed.begin(NOW)
    await fed.read(one, several("c"), "a", "c")
    assert await fed.read(one, several("zy"), "c", None) is None
    other = await fed.begin(NOW + 50)
    page = await fed.read(other, several("yb"), "x", "z")
    assert page is not None
    assert page.times == [NOW - 1000, NOW + 1], "the first listing has read where `b` is"


async def test_rows_are_not_removed_for_a_listing_that_knew_the_order(catalog: Catalog) -> None:
    """It has marked no rows that have a place in the order: all of them would seem to be gone."""
    fed = await make_fed(catalog, order=Order.UTF16_AMBIGUOUS)
    await fed.list_all(several(["a", "🦊"]))
    started = await fed.begin()
    await fed.read(started, several("a"))
    assert await catalog.feed.end(started.listing, (FIRST, LAST))
    unordered = fed._replace(order=None)
    following = await unordered.begin()
    await catalog.feed.remove_unseen(started.listing)
    assert await fed.counts() == (2, 2)
    await unordered.read(following, several("a"))
    await unordered.end(following)
    assert await fed.positions() == [b"a"], "what was left is removed after the next complete listing"


async def test_rows_that_were_left_are_removed_after_the_next_complete_listing(catalog: Catalog) -> None:
    """A server may end before it has removed them."""
    fed = await make_fed(catalog, order=None)
    await fed.list_all(several("abc"))
    started = await fed.begin()
    await fed.read(started, several("ab"))
    assert await catalog.feed.end(started.listing, (FIRST, LAST))
    assert await fed.counts() == (3, 3)
    following = await fed.begin()
    await fed.read(following, several("abd"))
    await catalog.feed.remove_unseen(started.listing)
    assert await fed.positions() == [b"a", b"b", b"d"], "late removal keeps what was found meanwhile"
    await fed.end(following)
    assert await fed.counts() == (3, 3)
