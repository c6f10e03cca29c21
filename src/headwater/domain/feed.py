"""The rule of the exact feed: which listing time an object version gets (docs/exact-feed.md).

Every listing *promises* the last second of its window: nothing may appear in that window later. A version that the
index does not have yet therefore gets

    listing_time = max(floor, min(date, now))        floor = 1 + the latest promise of any other listing

The promise of the listing itself counts, too, once it has ended, and for what another of its requests has read.
All functions here are pure. `catalog.feed` keeps the values and calls the functions within transactions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple

from headwater.domain.key_order import LAST_UNAMBIGUOUS, Order, sort_text
from headwater.domain.objects import Key, StoredObject

MAX_PROMISE_AHEAD_SECONDS = 3600
"""How far after the server's now a listing may promise. A later `to` means "everything", and promises only now: counted
in full, it would hide new samples from all other clients until then."""

MAX_WATERMARK_AHEAD_SECONDS = 86_400
"""The same for a watermark, which only the consumer itself sets."""

NOTHING = -1
"""The promise of a feed that no listing has promised anything in. Every second is later."""

FIRST = b""
"""The position before every key."""

LAST = b"\xff"
"""The position after every key that has a place in the order. UTF-8 has no such byte."""

MAX_PLACED_BYTES = 1_500
"""PostgreSQL allows about 2,700 bytes for an entry of an index. Keys with longer positions than this count as keys
without a place in the order, and are identified by a hash."""

Range = tuple[bytes, bytes]
"""The positions after the first one, up to the second one."""

_AFTER_EVERYTHING = 1 << 62
"""Counts as the date of a version that replaces another one: it has appeared after listings have read that one."""

_AFTER_PLACED = b"\xfe"
"""Follows the part of a key that has a place, where the rest has none. UTF-8 has no such byte either."""


class FeedMode(StrEnum):
    """How the listings of raw samples choose what is in a window."""

    EXACT = "exact"
    """By listing time: every object version is in exactly one window of consecutive polls."""

    DATES = "dates"
    """By the time that the store gives an object."""


class FeedListing(NamedTuple):
    """A listing that a feed knows. All shards of a split are one listing.

    Attributes:
        feed: the id of the feed. A feed that was reset has another id.
        number: the number of the listing in its feed, from 1.
        promise: the last second that the listing promises.
    """

    feed: int
    number: int
    promise: int


class Promises(NamedTuple):
    """What the listings of a feed have promised.

    Attributes:
        latest: the latest promise of all listings and watermarks.
        of_others: the same without the listing that made `latest`.
        owner: the number of that listing while it is in progress; None if `latest` counts for every listing.
    """

    latest: int = NOTHING
    of_others: int = NOTHING
    owner: int | None = None

    def begin(self, number: int, promise: int) -> Promises:
        """Return the promises after the listing `number` has begun."""
        if promise > self.latest:
            return Promises(promise, self.latest, number)
        return self._replace(of_others=max(self.of_others, promise))

    def acknowledge(self, watermark: int, now: int) -> Promises:
        """Return the promises after a watermark was set. It holds for every listing, also for the one it comes from."""
        watermark = min(watermark, now + MAX_WATERMARK_AHEAD_SECONDS)
        if watermark > self.latest:
            return Promises(watermark, watermark, None)
        return self._replace(of_others=max(self.of_others, watermark))

    def end(self, number: int) -> Promises:
        """Return the promises after the listing `number` has served its last page: they count for its cursors, too."""
        return Promises(self.latest, self.latest, None) if self.owner == number else self

    def before(self, number: int, *, again: bool = False) -> int:
        """Return the latest promise that a page of the listing `number` must keep.

        Args:
            number: the listing.
            again: whether another request of the listing has read this part of the datasource, too. The client may have
                used the answer to that one, so the promise of the listing itself counts.
        """
        return self.of_others if self.owner == number and not again else self.latest


def promise_of(end: int, now: int) -> int:
    """Return what a listing promises whose window ends with the second `end`."""
    return end if end <= now + MAX_PROMISE_AHEAD_SECONDS else now


class Walked(NamedTuple):
    """Positions that one listing has read. Kept until the datasource was read completely for the first time.

    Attributes:
        listing: the number of the listing.
        start: the position after which it read.
        end: the last position that it read.
        promise: what it promises.
        since: when it began, in Unix seconds. Matters where it is not known which keys it has passed.
        covers: whether it has read every key in between; if not, it has read some keys anywhere.
    """

    listing: int
    start: bytes
    end: bytes
    promise: int
    since: int
    covers: bool = True


def cover_everything(walked: Iterable[Walked]) -> bool:
    """Return whether every key was read by one of these walks."""
    reach = FIRST
    for start, end in sorted((each.start, each.end) for each in walked if each.covers):
        if start > reach:
            return False
        reach = max(reach, end)
    return reach >= LAST


Floor = Callable[[bytes, int], int]
"""Returns the earliest listing time for a new version, by the position and the date of an object."""


def floor_of_walked(walked: Sequence[Walked], part: Range) -> Floor:
    """Return the floor in a datasource that was never read completely.

    Only what a listing has read limits listing times. So a first listing that was given up leaves the dates of all
    other objects as they are. An object without a place is limited by listings that have read the whole part in which
    it was found. Where the order does not tell more, a listing limits objects that are dated after it began; an older
    one was most likely there before.

    A listing is limited by what it has read itself, too. Otherwise a request that a client gave up and repeated could,
    if it is handled last, put an object into a window that the client has seen without it.

    Args:
        walked: what listings have read.
        part: the function is only called for objects that were found in this range.
    """
    start, end = part
    inside = [each for each in walked if not each.covers or (each.start < end and each.end > start)]
    around = [each for each in walked if each.covers and each.start <= start and each.end >= end]
    latest_around = max((each.promise for each in around), default=NOTHING)

    def floor(position: bytes, date: int) -> int:
        is_placed = position <= LAST
        latest = NOTHING if is_placed else latest_around
        for each in inside if is_placed else walked:
            limits = each.start < position <= each.end if is_placed and each.covers else date >= each.since
            if limits and each.promise > latest:
                latest = each.promise
        return 1 + latest

    return floor


def row_position(key: Key, order: str) -> bytes:
    """Return the position of an object in an index that is sorted in this order. Each key has its own.

    Keys that the order cannot place for certain are after `LAST`.
    """
    if order == Order.CODE_POINTS:
        position = key.encode()
    elif not key.isascii() and max(key) > LAST_UNAMBIGUOUS:
        position = LAST + key.encode()
    else:
        position = sort_text(key, order).encode()
    return position if len(position) <= MAX_PLACED_BYTES else LAST + LAST + blake2b(position, digest_size=32).digest()


def boundary_position(key: Key, order: str) -> bytes:
    """Return the position at which a page begins or ends that begins after, or ends with, this key.

    A row before `LAST` is at or before this position exactly if the store lists it at or before the key.
    """
    if order == Order.CODE_POINTS:
        return key.encode()[:MAX_PLACED_BYTES]
    unambiguous = next((index for index, char in enumerate(key) if char > LAST_UNAMBIGUOUS), None)
    if unambiguous is None:
        return sort_text(key, order).encode()[:MAX_PLACED_BYTES]
    # Every order puts these characters after all others.
    return sort_text(key[:unambiguous], order).encode()[:MAX_PLACED_BYTES] + _AFTER_PLACED


def range_of_keys(after: Key | None, last: Key | None, order: str) -> Range:
    """Return the positions between which the keys after `after`, up to `last`, are; None is the first or last key."""
    return (
        FIRST if after is None else boundary_position(after, order),
        LAST if last is None else boundary_position(last, order),
    )


class FoundPage(NamedTuple):
    """The objects that the store has in a part of the order, with their positions and versions, in three lists."""

    positions: list[bytes]
    versions: list[int]
    objects: list[StoredObject]

    def is_in_order(self, start: bytes, end: bytes) -> bool:
        """Return whether the objects are where the order puts them, after the position `start` and up to `end`."""
        positions = [position for position in self.positions if position < LAST]
        if not positions:
            return start <= end
        return start < positions[0] and positions[-1] <= end and positions == sorted(set(positions))


def found_page(objects: list[StoredObject], versions: list[int], order: str) -> FoundPage:
    """Return objects of a store and their versions with their positions in an index of this order."""
    return FoundPage([row_position(found.key, order) for found in objects], versions, objects)


class IndexRow(NamedTuple):
    """A row of the index: an object version, and the second in which listings show it."""

    position: bytes
    version: int
    listing_time: int
    size: int


@dataclass(frozen=True, slots=True)
class LateArrivals:
    """Versions whose date is in a window that was listed before they appeared.

    Those that are dated in the last second of that window are not counted: in a busy datasource there are always some.

    Attributes:
        count: how many.
        delay: the longest time in seconds from an object's date until it was found.
    """

    count: int = 0
    delay: int = 0

    def __add__(self, other: LateArrivals) -> LateArrivals:
        """Return both together."""
        return LateArrivals(self.count + other.count, max(self.delay, other.delay))


class Merge(NamedTuple):
    """What a page changes in the index.

    Attributes:
        times: the listing times of the objects that were found, in their order; `NOTHING` for one that is left out.
        written: rows to insert or to replace.
        removed: rows to delete.
        late: the late arrivals among `written`.
    """

    times: list[int]
    written: list[IndexRow]
    removed: list[IndexRow]
    late: LateArrivals


class MergeRules(NamedTuple):
    """How a page is merged.

    Attributes:
        floor: the earliest listing time of new versions.
        now: the server's time in Unix seconds.
        removes: whether rows that were not found are deleted. Not if the page does not cover its part of the order.
        min_age: a new version whose time is closer to now, in seconds, is left out: it may still be written.
    """

    floor: Floor
    now: int
    removes: bool
    min_age: int = 0


def merge_page(found: FoundPage, indexed: Mapping[bytes, IndexRow], rules: MergeRules) -> Merge:
    """Merge what the store has in a part of the order into the index of that part.

    Args:
        found: what the store has.
        indexed: the rows of that part, by position.
        rules: how.
    """
    floor, now, removes, min_age = rules
    times: list[int] = []
    written: list[IndexRow] = []
    late = delay = 0
    held_back: set[bytes] = set()
    for position, version, (_, size, modified, _, _) in zip(*found, strict=True):
        row = indexed.get(position)
        if row is None or row.version != version:
            if min_age and abs(now - modified) < min_age:
                held_back.add(position)
                times.append(NOTHING)
                continue
            at = modified if modified < now else now
            earliest = floor(position, modified if row is None else _AFTER_EVERYTHING)
            if earliest > at:
                if earliest - 1 > at + min_age:
                    late, delay = late + 1, max(delay, now - at)
                at = earliest
            row = IndexRow(position, version, at, size)
            written.append(row)
        times.append(row.listing_time)
    removed: list[IndexRow] = []
    if removes:
        left = set(found.positions) - held_back
        removed = [row for position, row in indexed.items() if position not in left]
    return Merge(times, written, removed, LateArrivals(late, delay))
