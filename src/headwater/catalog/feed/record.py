"""The row of a feed, and what belongs to it: claims, changes, walked ranges, listings."""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam, delete, insert, select, text, update

from headwater.catalog.clock import now_ms
from headwater.catalog.tables import feed_changes, feed_claims, feed_listings, feed_walked, feeds
from headwater.domain.feed import FeedListing, LateArrivals, Promises, Range, Walked

CHANGES_KEPT_MS = 600_000
"""How long it is remembered where an index has changed. No page may be merged that was read longer ago."""

FORGET_CHANGES_EVERY = 50
"""With every so many changes, old ones are deleted."""

MAX_WALKED = 1_000
"""How many walked ranges a feed keeps. With more, the ranges of its oldest listings become one."""

KEPT_LISTINGS = 20
"""How many listings of a feed are remembered, with their late arrivals."""

_BY_DATASET = select(feeds).where(feeds.c.dataset_id == bindparam("dataset_id"))
_BY_ID = select(feeds).where(feeds.c.id == bindparam("feed"), feeds.c.dataset_id.is_not(None))
_LOCK_BY_DATASET, _LOCK_BY_ID = _BY_DATASET.with_for_update(), _BY_ID.with_for_update()
_CHANGED_SINCE = (
    select(feed_changes.c.number)
    .where(
        feed_changes.c.feed == bindparam("feed"),
        feed_changes.c.number > bindparam("since"),
        feed_changes.c.range_start <= bindparam("range_end"),
        feed_changes.c.range_end >= bindparam("range_start"),
    )
    .limit(1)
)
_CHANGED_BY_LISTING = text(
    "SELECT 1 FROM feed_changes WHERE feed = :feed AND number > :since AND listing = :listing AND range_end > :after "
    "LIMIT 1"
)
_FORGET_CHANGES = delete(feed_changes).where(
    feed_changes.c.feed == bindparam("feed_id"), feed_changes.c.at < bindparam("before")
)
_WALKED = select(
    feed_walked.c.listing,
    feed_walked.c.range_start,
    feed_walked.c.range_end,
    feed_walked.c.promise,
    feed_walked.c.since,
    feed_walked.c.covers,
).where(feed_walked.c.feed == bindparam("feed"))
_SAVE_WALK = text(
    "INSERT INTO feed_walked (feed, listing, range_start, range_end, promise, since, covers) "
    "VALUES (:feed, :listing, :start, :end, :promise, :since, :covers) "
    "ON CONFLICT (feed, listing, range_start, covers) DO UPDATE SET range_end = excluded.range_end "
    "WHERE feed_walked.range_end < excluded.range_end"
)
_ADD_CLAIM = text(
    "INSERT INTO feed_claims (feed, listing, begins_at, request) SELECT :feed, :listing, :begins_at, :request "
    "WHERE (SELECT count(*) FROM feed_claims WHERE feed = :feed AND listing = :listing AND begins_at = :begins_at) < 2 "
    "ON CONFLICT DO NOTHING"
)
_OTHER_CLAIM = text(
    "SELECT 1 FROM feed_claims WHERE feed = :feed AND listing = :listing AND begins_at = :begins_at "
    "AND request != :request LIMIT 1"
)
_ADD_CHANGE = insert(feed_changes)
_SAVE = (
    update(feeds)
    .where(feeds.c.id == bindparam("feed_id"))
    .values(
        {column.name: bindparam(column.name) for column in feeds.columns if column.name not in ("id", "dataset_id")}
    )
)
_COUNT_LATE = (
    update(feed_listings)
    .where(feed_listings.c.feed == bindparam("feed_id"), feed_listings.c.listing == bindparam("number"))
    .values(
        late=feed_listings.c.late + bindparam("count"),
        delay=sa.case(
            (feed_listings.c.delay < bindparam("new_delay"), bindparam("new_delay")), else_=feed_listings.c.delay
        ),
    )
)


class Claim(NamedTuple):
    """A request of a listing, by which its repetition is recognised.

    Attributes:
        begins_at: where it begins; the same for requests with the same cursor.
        request: a random value.
    """

    begins_at: bytes
    request: bytes


class FeedRecord(NamedTuple):
    """The row of a feed, as `tables.feeds` describes it."""

    id: int
    key_order: str
    unordered_since: int | None
    out_of_order: bool
    promises: Promises
    listings: int
    changes: int
    complete: bool
    n_rows: int
    n_bytes: int
    completed_at: int | None

    @property
    def ordered(self) -> bool:
        """Whether the store lists in `key_order`, so that a page is a range of positions."""
        return self.unordered_since is None

    @classmethod
    def of_row(cls, row: sa.Row[Any]) -> FeedRecord:
        """Return the record of a row of `tables.feeds`."""
        promises = Promises(row.promised, row.promised_by_others, row.owner)
        values = {name: getattr(row, name) for name in cls._fields if name != "promises"}
        return cls(promises=promises, **values)

    def values(self) -> dict[str, Any]:
        """Return the columns of the row, without its id."""
        values = self._asdict()
        del values["id"]
        latest, of_others, owner = values.pop("promises")
        return {**values, "promised": latest, "promised_by_others": of_others, "owner": owner}


def find_record(connection: Connection, dataset_id: str, *, lock: bool = False) -> FeedRecord | None:
    """Return the feed of a dataset, or None if there is no feed."""
    row = connection.execute(_LOCK_BY_DATASET if lock else _BY_DATASET, {"dataset_id": dataset_id}).first()
    return None if row is None else FeedRecord.of_row(row)


def lock_record(connection: Connection, feed: int) -> FeedRecord | None:
    """Return a feed, which nobody else changes until the transaction ends; None if it was dropped."""
    row = connection.execute(_LOCK_BY_ID, {"feed": feed}).first()
    return None if row is None else FeedRecord.of_row(row)


def save_record(connection: Connection, record: FeedRecord) -> None:
    """Store a feed that was locked."""
    connection.execute(_SAVE, {"feed_id": record.id, **record.values()})


def has_changed(connection: Connection, feed: int, since: int, part: Range) -> bool:
    """Return whether the index has changed in a range after the change with the number `since`."""
    start, end = part
    parameters = {"feed": feed, "since": since, "range_start": start, "range_end": end}
    return connection.execute(_CHANGED_SINCE, parameters).first() is not None


def has_changed_elsewhere(connection: Connection, listing: FeedListing, since: int, after: bytes) -> bool:
    """Return whether a request of this listing has changed the index at a position after `after`."""
    parameters = {"feed": listing.feed, "listing": listing.number, "since": since, "after": after}
    return connection.execute(_CHANGED_BY_LISTING, parameters).first() is not None


def record_change(connection: Connection, listing: FeedListing, number: int, part: Range) -> None:
    """Remember that the index has changed in a range, and now and then forget old changes."""
    start, end = part
    at = now_ms()
    change = {"feed": listing.feed, "number": number, "listing": listing.number, "at": at}
    connection.execute(_ADD_CHANGE, {**change, "range_start": start, "range_end": end})
    if number % FORGET_CHANGES_EVERY == 0:
        connection.execute(_FORGET_CHANGES, {"feed_id": listing.feed, "before": at - CHANGES_KEPT_MS})


def add_claim(connection: Connection, listing: FeedListing, claim: Claim) -> None:
    """Record a request. Two that begin at the same place are enough for each later one to find another."""
    connection.execute(_ADD_CLAIM, {"feed": listing.feed, "listing": listing.number, **claim._asdict()})


def is_repeated(connection: Connection, listing: FeedListing, claim: Claim) -> bool:
    """Return whether another request of the listing begins at the same place."""
    parameters = {"feed": listing.feed, "listing": listing.number, **claim._asdict()}
    return connection.execute(_OTHER_CLAIM, parameters).first() is not None


def forget_claims(connection: Connection, feed: int) -> None:
    """Delete the claims of a feed. They count only while their listing owns the latest promise."""
    connection.execute(delete(feed_claims).where(feed_claims.c.feed == feed))


def load_walked(connection: Connection, feed: int) -> list[Walked]:
    """Return what the listings of a feed have walked."""
    return [Walked(*row) for row in connection.execute(_WALKED, {"feed": feed})]


def save_walk(connection: Connection, feed: int, walk: Walked) -> None:
    """Store a walked range; one with the same beginning gets longer."""
    connection.execute(_SAVE_WALK, {"feed": feed, **walk._asdict()})


def forget_walked(connection: Connection, feed: int, up_to: int | None = None) -> None:
    """Delete the walked ranges of a feed, or only those of its listings up to a number."""
    condition = feed_walked.c.feed == feed
    if up_to is not None:
        condition &= feed_walked.c.listing <= up_to
    connection.execute(delete(feed_walked).where(condition))


def add_listing(connection: Connection, listing: FeedListing) -> None:
    """Remember a listing that begins, and forget old ones."""
    feed, number, promise = listing.feed, listing.number, listing.promise
    connection.execute(
        insert(feed_listings).values(feed=feed, listing=number, begun_at=now_ms(), promise=promise, late=0, delay=0)
    )
    old = feed_listings.c.listing <= number - KEPT_LISTINGS
    connection.execute(delete(feed_listings).where(feed_listings.c.feed == feed, old))


def count_late(connection: Connection, listing: FeedListing, late: LateArrivals) -> None:
    """Add late arrivals to a listing, if it is remembered."""
    parameters = {"feed_id": listing.feed, "number": listing.number, "count": late.count, "new_delay": late.delay}
    connection.execute(_COUNT_LATE, parameters)


def end_listing(connection: Connection, listing: FeedListing) -> None:
    """Remember when a listing has ended, if it is remembered."""
    mine = (feed_listings.c.feed == listing.feed, feed_listings.c.listing == listing.number)
    connection.execute(update(feed_listings).where(*mine).values(ended_at=now_ms()))
