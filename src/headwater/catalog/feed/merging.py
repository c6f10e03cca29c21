"""Merging pages of listings into the index."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection

from headwater.catalog.feed.record import (
    MAX_WALKED,
    Claim,
    FeedRecord,
    add_claim,
    count_late,
    forget_walked,
    has_changed,
    has_changed_elsewhere,
    is_repeated,
    load_walked,
    lock_record,
    record_change,
    save_record,
    save_walk,
)
from headwater.catalog.feed.rows import (
    ROWS_PER_TRANSACTION,
    mark_seen,
    remove_rows,
    rows_at,
    rows_between,
    summarize_rows,
    versions_between,
    write_rows,
)
from headwater.domain.errors import IndexChangedError
from headwater.domain.feed import (
    FIRST,
    LAST,
    FeedListing,
    Floor,
    IndexRow,
    LateArrivals,
    Merge,
    MergeRules,
    Range,
    Walked,
    cover_everything,
    floor_of_walked,
    found_page,
    merge_page,
)
from headwater.domain.objects import StoredObject
from headwater.domain.window import Window


class IndexState(NamedTuple):
    """What must be known of an index before a page is read from the store.

    Attributes:
        feed: the id of the feed.
        key_order: the order of its positions.
        ordered: whether the store lists in this order, so that a page is a range of positions.
        complete: whether every key was read at least once.
        changes: the number of the last change.
        owner: the number of the listing that made the latest promise, while it is in progress.
    """

    feed: int
    key_order: str
    ordered: bool
    complete: bool
    changes: int
    owner: int | None


class PageRead(NamedTuple):
    """A page of a listing that was read from the store.

    Attributes:
        listing: the listing.
        state: the state of the index before the page was read.
        objects: the objects of the page, each once.
        versions: their versions.
        claim: the request that has read the page.
        window: if all listing times are in it, or none is, one of them may be returned for all; None to get each.
        min_age: as in `MergeRules`.
        covers: where the page holds every object; None if it holds only certain ones.
    """

    listing: FeedListing
    state: IndexState
    objects: list[StoredObject]
    versions: list[int]
    covers: Range | None
    claim: Claim
    window: Window | None = None
    min_age: int = 0

    @property
    def range(self) -> Range | None:
        """The positions that the page covers; None if the order does not tell."""
        return self.covers if self.state.ordered else None


class OversizedRangeError(Exception):
    """The range of a page has so many rows that the page does not hold that they must be deleted in parts first."""


class MergedPage(NamedTuple):
    """What a page has become in the index.

    Attributes:
        times: the listing times of its objects, in their order.
        late: its late arrivals.
        all_in_window: whether all of `times` are in the window of the page, or none; None if that is not known.
    """

    times: list[int]
    late: LateArrivals = LateArrivals()
    all_in_window: bool | None = None


def match_page(connection: Connection, page: PageRead) -> MergedPage | None:
    """Return the listing times of a page that brings nothing new; None if it must be merged. Only reads."""
    if page.range is None:
        return _match_objects(connection, page)
    # A version is a hash that depends on the key, too. So equal sums of versions mean equal objects.
    versions = page.versions
    summary = summarize_rows(connection, page.state.feed, page.range, len(versions) + 1)
    if (summary.rows, summary.versions) != (len(versions), sum(versions)):
        return None
    if page.window is not None:
        first, last = page.window
        all_inside = first <= summary.earliest and summary.latest <= last
        if all_inside or summary.latest < first or summary.earliest > last:
            return MergedPage([summary.earliest] * len(versions), all_in_window=all_inside)
    rows = versions_between(connection, page.state.feed, page.range)
    if [row[0] for row in rows] != versions:
        return None
    return MergedPage([row[1] for row in rows])


def claim_and_match(connection: Connection, page: PageRead) -> MergedPage | None:
    """Record the request that has read a page, then return what `match_page` does.

    A repetition of the request that is merged later finds the claim. What one has merged before is in the index
    already: both transactions lock the feed.

    Raises:
        IndexChangedError: the feed was dropped meanwhile.
    """
    record = lock_record(connection, page.state.feed)
    if record is None:
        raise feed_dropped()
    add_claim(connection, page.listing, page.claim)
    if record.changes != page.state.changes and _has_repetition_changed(connection, page):
        return None
    return match_page(connection, page)


def _match_objects(connection: Connection, page: PageRead) -> MergedPage | None:
    found = found_page(page.objects, page.versions, page.state.key_order)
    if not page.state.ordered or any(position > LAST for position in found.positions):
        return None  # these rows are marked as seen
    indexed = {row.position: row for row in rows_at(connection, page.state.feed, found.positions)}
    rows = [indexed.get(position) for position in found.positions]
    if [row.version if row else None for row in rows] != found.versions:
        return None
    return MergedPage([row.listing_time for row in rows if row])


def merge_into_index(connection: Connection, page: PageRead, now: int) -> MergedPage | None:
    """Merge a page and return its listing times; None if it must be read again: the index has changed meanwhile.

    Raises:
        IndexChangedError: the feed was dropped meanwhile.
        OversizedRangeError: the rows that are gone must be deleted by `remove_gone` first.
    """
    record = lock_record(connection, page.state.feed)
    if record is None:
        raise feed_dropped()
    if record.complete != page.state.complete:
        return None
    if record.promises.owner == page.listing.number:
        add_claim(connection, page.listing, page.claim)
    found = found_page(page.objects, page.versions, record.key_order)
    if record.ordered != page.state.ordered or _is_stale(connection, page, found.positions):
        return None
    if page.range is not None and not found.is_in_order(*page.range):
        # From now on pages delete nothing, because what they cover is not certain.
        save_record(connection, record._replace(unordered_since=record.listings, out_of_order=True))
        return None
    indexed = _indexed(connection, page, found.positions)
    walked = [] if record.complete else load_walked(connection, record.id)
    rules = MergeRules(_floor(connection, record, page, walked), now, page.range is not None, page.min_age)
    merge = merge_page(found, indexed, rules)
    record = _apply(connection, record, page.listing, found.positions, indexed, merge)
    if not record.complete:
        record = _walk(connection, record, page, walked, now)
    save_record(connection, record)
    if merge.late.count:
        count_late(connection, page.listing, merge.late)
    return MergedPage(merge.times, merge.late)


def remove_gone(
    connection: Connection, page: PageRead, found: set[bytes], after: bytes
) -> tuple[PageRead, bytes] | None:
    """Delete some rows of the range of a page that the page does not hold.

    Args:
        connection: the connection.
        page: the page.
        found: the positions of its objects.
        after: the position to begin after.

    Returns:
        The page, which knows of this change, and the position up to which rows were compared; None as
        `merge_into_index`.

    Raises:
        IndexChangedError: the feed was dropped meanwhile.
    """
    assert page.range is not None
    record = lock_record(connection, page.state.feed)
    if record is None:
        raise feed_dropped()
    if record.ordered != page.state.ordered or _is_stale(connection, page, []):
        return None
    rows = rows_between(connection, record.id, (after, page.range[1]), ROWS_PER_TRANSACTION)
    record = remove_from_index(connection, record, page.listing, [row for row in rows if row.position not in found])
    changed = page._replace(state=page.state._replace(changes=record.changes))
    return changed, rows[-1].position if rows else page.range[1]


def _floor(connection: Connection, record: FeedRecord, page: PageRead, walked: list[Walked]) -> Floor:
    """Return the floor for the new versions of a page."""
    if not record.complete:
        return floor_of_walked(walked, page.range or (FIRST, LAST))
    again = is_repeated(connection, page.listing, page.claim)
    earliest = 1 + record.promises.before(page.listing.number, again=again)
    return lambda position, date: earliest


def feed_dropped() -> IndexChangedError:
    """Return the error for a feed that was dropped while a request used it."""
    return IndexChangedError(
        "the index of this dataset was reset, or its datasource changed, during this request; send it again"
    )


def _is_stale(connection: Connection, page: PageRead, positions: list[bytes]) -> bool:
    """Return whether the index may know more than the page, which was read before it changed."""
    if _has_repetition_changed(connection, page):
        return True
    ranges = [] if page.range is None else [page.range]
    elsewhere = positions if page.range is None else [position for position in positions if position > LAST]
    if elsewhere:
        ranges.append((min(elsewhere), max(elsewhere)))
    return any(has_changed(connection, page.state.feed, page.state.changes, each) for each in ranges)


def _has_repetition_changed(connection: Connection, page: PageRead) -> bool:
    """Return whether a request of the same listing has changed the index where the page cannot show it.

    It may have put an object into the window that this page should have, too.
    """
    if not page.state.complete or page.state.owner != page.listing.number:
        return False
    after = FIRST if page.range is None else LAST
    return has_changed_elsewhere(connection, page.listing, page.state.changes, after)


def _indexed(connection: Connection, page: PageRead, positions: list[bytes]) -> dict[bytes, IndexRow]:
    """Return the rows that a page is merged with: all in its range, and all of its objects.

    Raises:
        OversizedRangeError: there are too many.
    """
    feed = page.state.feed
    if page.range is None:
        return {row.position: row for row in rows_at(connection, feed, positions)}
    limit = len(positions) + ROWS_PER_TRANSACTION
    rows = rows_between(connection, feed, page.range, limit + 1)
    if len(rows) > limit:
        raise OversizedRangeError
    rows += rows_at(connection, feed, [position for position in positions if position > LAST])
    return {row.position: row for row in rows}


def _apply(
    connection: Connection,
    record: FeedRecord,
    listing: FeedListing,
    positions: list[bytes],
    indexed: dict[bytes, IndexRow],
    merge: Merge,
) -> FeedRecord:
    """Write what a page changes in the index; return the record with the new totals."""
    write_rows(connection, record.id, merge.written)
    seen = [position for position in positions if position > LAST] if record.ordered else positions
    mark_seen(connection, record.id, seen, record.listings)
    remove_rows(connection, record.id, [row.position for row in merge.removed])
    replaced = [indexed[row.position] for row in merge.written if row.position in indexed]
    return _count_changes(connection, record, listing, merge.written, [*replaced, *merge.removed])


def remove_from_index(
    connection: Connection, record: FeedRecord, listing: FeedListing, gone: list[IndexRow]
) -> FeedRecord:
    """Delete rows of objects that are gone; return the record, which is saved."""
    remove_rows(connection, record.id, [row.position for row in gone])
    record = _count_changes(connection, record, listing, [], gone)
    save_record(connection, record)
    return record


def _count_changes(
    connection: Connection, record: FeedRecord, listing: FeedListing, written: list[IndexRow], gone: list[IndexRow]
) -> FeedRecord:
    """Record that rows were written, and others replaced or deleted; return the record with the new totals."""
    changed = [row.position for row in (*written, *gone)]
    if not changed:
        return record
    record = record._replace(
        changes=record.changes + 1,
        n_rows=record.n_rows + len(written) - len(gone),
        n_bytes=record.n_bytes + sum(row.size for row in written) - sum(row.size for row in gone),
    )
    record_change(connection, listing, record.changes, (min(changed), max(changed)))
    return record


def _walk(connection: Connection, record: FeedRecord, page: PageRead, walked: list[Walked], now: int) -> FeedRecord:
    """Remember what a page has read, until everything was read; return the record."""
    number, promise = page.listing.number, page.listing.promise
    if page.range is None:
        walk = Walked(number, FIRST, LAST, promise, now, covers=False)
    else:
        start, end = page.range
        before = next((w for w in walked if w.listing == number and w.covers and w.end == start), None)
        walk = Walked(number, start if before is None else before.start, end, promise, now)
    save_walk(connection, record.id, walk)
    if cover_everything([*walked, walk]):
        return record._replace(complete=True)
    if len(walked) > MAX_WALKED:
        _forget_oldest_walks(connection, record.id, walked)
    return record


def _forget_oldest_walks(connection: Connection, feed: int, walked: list[Walked]) -> None:
    """Replace the ranges of the oldest listings by one that only limits objects that are dated after they began."""
    last = sorted(walked)[len(walked) // 2].listing
    oldest = [each for each in walked if each.listing <= last]
    forget_walked(connection, feed, last)
    promise, since = max(each.promise for each in oldest), max(each.since for each in oldest)
    save_walk(connection, feed, Walked(0, FIRST, LAST, promise, since, covers=False))
