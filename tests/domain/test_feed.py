"""The rule of the exact feed: promises, floors, and what a page changes in the index."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headwater.domain.feed import (
    FIRST,
    LAST,
    MAX_PROMISE_AHEAD_SECONDS,
    MAX_WATERMARK_AHEAD_SECONDS,
    NOTHING,
    FoundPage,
    IndexRow,
    LateArrivals,
    Merge,
    MergeRules,
    Promises,
    Walked,
    cover_everything,
    floor_of_walked,
    found_page,
    merge_page,
    promise_of,
)
from headwater.domain.key_order import Order
from headwater.domain.objects import StoredObject, version_of, versions_of

NOW = 1000


@dataclass
class Model:
    """The rule as first written and checked on random histories: what a feed that was read completely has promised."""

    promised: int = -1
    promised_by_others: int = -1
    owner: int | None = None
    listings: int = 0

    def begin(self, to: int, now: int) -> int:
        to = to if to <= now + MAX_PROMISE_AHEAD_SECONDS else now
        self.listings += 1
        if to > self.promised:
            self.promised, self.promised_by_others, self.owner = to, self.promised, self.listings
        else:
            self.promised_by_others = max(self.promised_by_others, to)
        return to

    def acknowledge(self, watermark: int, now: int) -> None:
        if watermark > self.promised:
            self.promised = self.promised_by_others = min(watermark, now + MAX_WATERMARK_AHEAD_SECONDS)
            self.owner = None
        else:
            # Not in the model: one of its listings ends with its last page, not with the last one of its shards.
            self.promised_by_others = max(self.promised_by_others, watermark)

    def end(self, listing: int) -> None:
        if self.owner == listing:
            self.promised_by_others, self.owner = self.promised, None

    def floor(self, listing: int) -> int:
        return 1 + (self.promised_by_others if self.owner == listing else self.promised)


AHEAD = st.sampled_from([0, 1, -1, -20, 5, 3600, 3601, 86_400, 86_401, 10**6])
STEPS = st.one_of(
    st.tuples(st.just("begin"), AHEAD),
    st.tuples(st.just("acknowledge"), AHEAD),
    st.tuples(st.just("end"), st.integers(1, 6)),
    st.tuples(st.just("wait"), st.integers(1, 30)),
)


@given(st.lists(STEPS, max_size=25))
@example([("begin", 0), ("wait", 1), ("begin", 0), ("end", 1), ("end", 2), ("acknowledge", 86_401), ("begin", 0)])
def test_promises_are_those_of_the_model(steps: list[tuple[str, int]]) -> None:
    model, promises, now = Model(), Promises(), NOW
    for what, number in steps:
        if what == "begin":
            promise = promise_of(now + number, now)
            assert promise == model.begin(now + number, now)
            promises = promises.begin(model.listings, promise)
        elif what == "acknowledge":
            model.acknowledge(now + number, now)
            promises = promises.acknowledge(now + number, now)
        elif what == "end":
            model.end(number)
            promises = promises.end(number)
        else:
            now += number
        assert promises == (model.promised, model.promised_by_others, model.owner)
        for listing in range(model.listings + 2):
            assert 1 + promises.before(listing) == model.floor(listing)


def test_a_promise_is_kept_if_the_clock_goes_back() -> None:
    promises = Promises().acknowledge(NOW, NOW)
    assert promises.acknowledge(NOW + 1, NOW - MAX_WATERMARK_AHEAD_SECONDS - 1) == promises


def test_what_was_acknowledged_holds_for_the_listing_that_promised_it() -> None:
    """Cursors of shards that were listed may be used again although the listing as a whole has not ended."""
    promises = Promises().begin(1, NOW)
    assert promises.before(1) == NOTHING
    assert promises.acknowledge(NOW - 5, NOW).before(1) == NOW - 5
    assert promises.acknowledge(NOW, NOW).before(1) == NOW
    assert promises.acknowledge(NOW - 5, NOW).before(2) == NOW


def test_a_window_far_in_the_future_promises_only_now() -> None:
    assert promise_of(NOW - 5, NOW) == NOW - 5
    assert promise_of(NOW + MAX_PROMISE_AHEAD_SECONDS, NOW) == NOW + MAX_PROMISE_AHEAD_SECONDS
    assert promise_of(NOW + MAX_PROMISE_AHEAD_SECONDS + 1, NOW) == NOW


EDGES = [FIRST, b"a", b"ab", b"b", b"c", LAST]
WALKS = st.lists(
    st.builds(
        Walked,
        st.integers(1, 3),
        st.sampled_from(EDGES[:-1]),
        st.sampled_from(EDGES[1:]),
        st.integers(NOTHING, 9),
        st.integers(0, 9),
        st.sampled_from([True, True, True, False]),
    ),
    max_size=7,
)


def has_read(walk: Walked, position: bytes) -> bool:
    return walk.start < position <= walk.end


@given(WALKS)
@example([Walked(1, FIRST, b"b", 0, 0), Walked(2, b"b", LAST, 0, 0)])
@example([Walked(1, FIRST, b"b", 0, 0), Walked(2, b"a", b"ab", 0, 0), Walked(3, b"ab", LAST, 0, 0)])
@example([Walked(1, FIRST, b"b", 0, 0), Walked(2, b"c", LAST, 0, 0)])
def test_everything_is_covered_if_every_position_is(walked: list[Walked]) -> None:
    some_between = [edge + b"\x01" for edge in EDGES[:-1]]
    every_position = {*EDGES[1:], *some_between}
    covered = all(any(has_read(walk, each) for walk in walked if walk.covers) for each in every_position)
    assert cover_everything(walked) == covered


@given(WALKS, st.sampled_from(EDGES[:-1]), st.sampled_from(EDGES[1:]), st.integers(0, 9))
def test_only_what_was_read_limits_listing_times(walked: list[Walked], start: bytes, end: bytes, date: int) -> None:
    """Where it is not known what a listing has read, only objects that are dated after it began have a floor."""
    floor = floor_of_walked(walked, (start, end))
    later = [walk for walk in walked if date >= walk.since]
    for position in (*EDGES[1:], *(edge + b"\x01" for edge in EDGES[:-1])):
        if start < position <= end:
            limits = [walk for walk in walked if walk.covers and has_read(walk, position)]
            limits += [walk for walk in later if not walk.covers]
            assert floor(position, date) == 1 + max((walk.promise for walk in limits), default=-1)
    without_place = LAST + "🦊".encode()
    around = [walk for walk in walked if walk.covers and walk.start <= start and walk.end >= end]
    assert floor(without_place, date) == 1 + max((walk.promise for walk in (*later, *around)), default=-1)


def test_a_version_that_replaces_another_one_is_limited_whatever_its_date_is() -> None:
    """A file with an emoji in its name was overwritten by one with an older date during a first listing, and lost.

    The listing that had read the first version was acknowledged up to a second after that date.
    """
    key = "b/\ufffd1.png"
    walked = [Walked(2, FIRST, b"b/\xfe", promise=100, since=100)]
    old, new = StoredObject(key, 1, 60, "old"), StoredObject(key, 1, 94, "new")
    position = LAST + key.encode()
    indexed = {position: IndexRow(position, version_of(old), 60, 1)}
    for part in ((FIRST, b"b/\xfe"), (FIRST, b"c"), (b"a", LAST)):
        rules = MergeRules(floor_of_walked(walked, part), NOW, removes=True)
        found = found_page([new], versions_of([new]), Order.UTF16_AMBIGUOUS)
        assert merge_page(found, indexed, rules).times == [101]


def merged(
    found: Sequence[StoredObject],
    rows: Sequence[IndexRow] = (),
    floor: int = 0,
    *,
    removes: bool = True,
    min_age: int = 0,
) -> Merge:
    indexed = {row.position: row for row in rows}
    rules = MergeRules(lambda _position, _date: floor, NOW, removes, min_age)
    return merge_page(found_page(list(found), versions_of(found), Order.CODE_POINTS), indexed, rules)


def test_a_new_object_is_listed_at_its_own_time() -> None:
    found = StoredObject("a", 7, 400, "x")
    row = IndexRow(b"a", version_of(found), 400, 7)
    assert merged([found]) == Merge([400], [row], [], LateArrivals())
    assert merged([found], floor=400) == Merge([400], [row], [], LateArrivals()), "nobody has promised that second"


def test_an_object_that_is_known_keeps_its_listing_time() -> None:
    found = StoredObject("a", 7, 400, "x")
    row = IndexRow(b"a", version_of(found), 444, 7)
    assert merged([found], [row], floor=900) == Merge([444], [], [], LateArrivals())


def test_a_replaced_object_is_new() -> None:
    before, found = StoredObject("a", 7, 400, "x"), StoredObject("a", 8, 500, "y")
    row = IndexRow(b"a", version_of(before), 400, 7)
    assert merged([found], [row]) == Merge([500], [IndexRow(b"a", version_of(found), 500, 8)], [], LateArrivals())


def test_an_object_that_is_gone_is_removed_only_by_a_page_of_a_range() -> None:
    left, gone = StoredObject("b", 1, 1, None), IndexRow(b"a", 5, 400, 7)
    kept = IndexRow(b"b", version_of(left), 1, 1)
    assert merged([left], [gone, kept]) == Merge([1], [], [gone], LateArrivals())
    assert merged([left], [gone, kept], removes=False) == Merge([1], [], [], LateArrivals())
    assert merged([], [gone, kept]).removed == [gone, kept]


def test_a_late_arrival_is_listed_after_what_was_promised() -> None:
    late, later, in_time = (
        StoredObject("a", 1, 400, None),
        StoredObject("b", 1, 250, None),
        StoredObject("c", 1, 501, None),
    )
    merge = merged([late, later, in_time], floor=501)
    assert merge.times == [501, 501, 501]
    assert [row.listing_time for row in merge.written] == [501, 501, 501]
    assert merge.late == LateArrivals(2, NOW - 250)


def test_an_object_of_the_last_promised_second_is_not_counted_as_late() -> None:
    """In a busy datasource there are always some. With a minimal age, that is so for all objects of that age."""
    found = [StoredObject("a", 1, 499, None), StoredObject("b", 1, 500, None)]
    assert merged(found, floor=501).late == LateArrivals(1, NOW - 499)
    assert merged(found, floor=501, min_age=1).late == LateArrivals()


def test_an_object_from_the_future_is_listed_now() -> None:
    found = StoredObject("a", 1, NOW + 500, None)
    assert merged([found]).times == [NOW]
    assert merged([found]).late == LateArrivals()
    after = merged([found], floor=NOW + 1)
    assert (after.times, after.late) == ([NOW + 1], LateArrivals())
    assert merged([found], floor=NOW + 2).late == LateArrivals(1, 0)


def test_each_position_has_its_own_floor() -> None:
    objects = [StoredObject(key, 1, 5, None) for key in "abc"]
    found = found_page(objects, versions_of(objects), Order.CODE_POINTS)
    floors = {b"a": 0, b"b": 9, b"c": 5}
    merge = merge_page(found, {}, MergeRules(lambda position, _date: floors[position], NOW, removes=True))
    assert (merge.times, merge.late) == ([5, 9, 5], LateArrivals(1, NOW - 5))


def test_a_young_object_is_left_out_until_it_is_old_enough() -> None:
    young, old = StoredObject("a", 1, NOW - 2, None), StoredObject("b", 1, NOW - 3, None)
    merge = merged([young, old], min_age=3)
    assert (merge.times, [row.position for row in merge.written]) == ([NOTHING, NOW - 3], [b"b"])


def test_a_young_object_keeps_the_row_of_its_version_and_loses_that_of_another() -> None:
    """A file that is dated in the future was listed again after its date had passed."""
    found = StoredObject("a", 1, NOW + 2, None)
    known = IndexRow(b"a", version_of(found), NOW - 50, 1)
    assert merged([found], [known], min_age=3) == Merge([NOW - 50], [], [], LateArrivals())
    before = known._replace(version=5)
    assert merged([found], [before], min_age=3) == Merge([NOTHING], [], [before], LateArrivals())


def test_late_arrivals_are_added() -> None:
    assert LateArrivals(2, 30) + LateArrivals(1, 50) + LateArrivals() == LateArrivals(3, 50)


@pytest.mark.parametrize(
    ("positions", "start", "end", "expected"),
    [
        ([b"b", b"c"], b"a", b"c", True),
        ([b"b", b"c"], b"b", b"c", False),
        ([b"b", b"c"], b"a", b"b", False),
        ([b"c", b"b"], b"a", b"d", False),
        ([b"b", b"b"], b"a", b"d", False),
        ([], b"a", b"b", True),
        ([], b"b", b"b", True),
        ([], b"b", b"a", False),
        ([b"b", LAST + b"x", b"c", LAST + b"a"], b"a", b"c", True),
        ([LAST + b"x"], b"b", b"a", False),
    ],
)
def test_a_page_is_in_order_if_its_objects_are_where_the_order_puts_them(
    positions: list[bytes], start: bytes, end: bytes, expected: bool
) -> None:
    assert FoundPage(positions, [], []).is_in_order(start, end) is expected


@given(st.randoms(use_true_random=False), st.integers(0, NOW))
def test_a_merged_page_is_what_the_store_has(dice: random.Random, floor: int) -> None:
    """Merging the rows that a page wrote and removed gives the same listing times, and nothing is new again."""
    rows = {key.encode(): IndexRow(key.encode(), dice.randint(0, 3), dice.randint(0, NOW), 1) for key in "abcdefgh"}
    rows = {position: row for position, row in rows.items() if dice.random() < 0.6}
    found = [StoredObject(key, dice.randint(0, 9), dice.randint(0, 2 * NOW), None) for key in "abcdefgh"]
    found = [each for each in found if dice.random() < 0.6]
    merge = merged(found, list(rows.values()), floor)
    for removed in merge.removed:
        del rows[removed.position]
    rows |= {row.position: row for row in merge.written}
    assert sorted(rows) == [each.key.encode() for each in found]
    assert all(row.listing_time >= floor for row in merge.written)
    assert merged(found, list(rows.values()), NOW + 1) == Merge(merge.times, [], [], LateArrivals())
