"""Beginning and ending listings of a feed, within transactions."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, bindparam, exists, insert, select

from headwater.catalog.clock import now_ms
from headwater.catalog.feed.merging import IndexState, feed_dropped, remove_from_index
from headwater.catalog.feed.record import (
    KEPT_LISTINGS,
    FeedRecord,
    add_listing,
    end_listing,
    find_record,
    forget_claims,
    forget_walked,
    load_walked,
    lock_record,
    save_record,
    save_walk,
)
from headwater.catalog.feed.rows import unseen_rows
from headwater.catalog.tables import datasets, datasources, feeds
from headwater.domain.feed import (
    FeedListing,
    Promises,
    Range,
    Walked,
    cover_everything,
    promise_of,
)
from headwater.domain.key_order import Order

LOCK_DATASET = select(datasets.c.watermark).where(datasets.c.id == bindparam("dataset_id")).with_for_update()
_HAS_DATASOURCE = select(
    exists().where(datasources.c.id == bindparam("datasource_id"), datasources.c.dataset_id == bindparam("dataset_id"))
)


class ListingStart(NamedTuple):
    """A listing that begins.

    Attributes:
        dataset_id: the dataset.
        datasource_id: the datasource that it lists.
        order: the order in which the store lists; None if unknown.
        end: the last second of its window; None if the client did not choose one.
        now: the server's time in Unix seconds.
    """

    dataset_id: str
    datasource_id: str
    order: Order | None
    end: int | None
    now: int


class StartedListing(NamedTuple):
    """A listing that was registered.

    Attributes:
        listing: the listing.
        end: the last second of its window. If the client did not choose one, this is now, or the first second that was
            not promised before: it then has what has arrived since another listing of this second.
        state: the state of its index.
    """

    listing: FeedListing
    end: int
    state: IndexState


def state_of(record: FeedRecord) -> IndexState:
    """Return the state of the index of a feed."""
    owner = record.promises.owner
    return IndexState(record.id, record.key_order, record.ordered, record.complete, record.changes, owner)


def begin_listing(connection: Connection, start: ListingStart) -> StartedListing:
    """Register a listing and what it promises; create the feed if there is none.

    Raises:
        IndexChangedError: the dataset has another datasource now.
    """
    record = find_record(connection, start.dataset_id, lock=True) or _create(connection, start)
    parameters = {"datasource_id": start.datasource_id, "dataset_id": start.dataset_id}
    if not connection.execute(_HAS_DATASOURCE, parameters).scalar():
        raise feed_dropped()
    number = record.listings + 1
    end = max(start.now, record.promises.latest + 1) if start.end is None else start.end
    promise = start.now if start.end is None else promise_of(end, start.now)
    listing = FeedListing(record.id, number, promise)
    if record.out_of_order or start.order != record.key_order:
        unordered_since = record.listings if record.unordered_since is None else record.unordered_since
    else:
        unordered_since = None
    record = record._replace(
        listings=number,
        promises=record.promises.begin(number, listing.promise),
        unordered_since=unordered_since,
    )
    save_record(connection, record)
    if record.promises.owner == number:
        forget_claims(connection, record.id)
    add_listing(connection, listing)
    if record.complete:
        forget_walked(connection, record.id, number - KEPT_LISTINGS)
    return StartedListing(listing, end, state_of(record))


def _create(connection: Connection, start: ListingStart) -> FeedRecord:
    """Create the feed of a dataset. Everything up to the watermark was promised."""
    # The lock keeps the datasources as they are, and two listings from creating it twice.
    watermark = connection.execute(LOCK_DATASET, {"dataset_id": start.dataset_id}).scalar()
    if watermark is None:
        raise feed_dropped()
    existing = find_record(connection, start.dataset_id, lock=True)
    if existing is not None:
        return existing
    record = FeedRecord(
        id=0,
        key_order=start.order or Order.CODE_POINTS,
        unordered_since=0 if start.order is None else None,
        out_of_order=False,
        promises=Promises().acknowledge(watermark, start.now) if watermark else Promises(),
        listings=0,
        changes=0,
        complete=False,
        n_rows=0,
        n_bytes=0,
        completed_at=None,
    )
    values = {**record.values(), "dataset_id": start.dataset_id}
    created = connection.execute(insert(feeds).values(**values)).inserted_primary_key
    assert created is not None
    return record._replace(id=created[0])


def end_part(connection: Connection, listing: FeedListing, part: Range | None) -> bool:
    """Record the end of a listing or of one of its shards, as `FeedCatalog.end`.

    Returns:
        Whether rows may be left that none of its pages has found.

    Raises:
        IndexChangedError: the feed was dropped meanwhile.
    """
    record = lock_record(connection, listing.feed)
    if record is None:
        raise feed_dropped()
    completes = False
    if part is None:
        record = record._replace(promises=record.promises.end(listing.number))
        end_listing(connection, listing)
    else:
        walked = load_walked(connection, record.id)
        since = min((walk.since for walk in walked if walk.listing == listing.number), default=0)
        walked.append(Walked(listing.number, *part, listing.promise, since))
        completes = cover_everything(walk for walk in walked if walk.listing == listing.number)
        if completes:
            # Only now: the other shards of a listing may still list what it promises.
            promises = record.promises.end(listing.number)
            end_listing(connection, listing)
            record = record._replace(complete=True, completed_at=now_ms(), promises=promises)
        else:
            save_walk(connection, record.id, walked[-1])
            if not record.complete and cover_everything(walked):
                record = record._replace(complete=True)
    save_record(connection, record)
    if record.promises.owner is None:
        forget_claims(connection, record.id)
    if not completes or not _tells_what_is_gone(record, listing):
        return False
    # Without an order, to look for them takes as long as to read the whole index.
    return not record.ordered or bool(unseen_rows(connection, record.id, listing.number, ordered=True))


def _tells_what_is_gone(record: FeedRecord, listing: FeedListing) -> bool:
    """Return whether the listing has marked all rows that it has found: not if the order was still certain then."""
    return listing.number > (record.unordered_since or 0)


def remove_unseen(connection: Connection, listing: FeedListing) -> bool:
    """Delete some rows that no page has found since a listing began, which was complete; return whether there were any.

    These are rows of objects that are gone, and that no page deletes because their place in the order is not certain.
    """
    record = lock_record(connection, listing.feed)
    if record is None or not _tells_what_is_gone(record, listing):
        return False
    gone = unseen_rows(connection, record.id, listing.number, ordered=record.ordered)
    if not gone:
        return False
    remove_from_index(connection, record, listing, gone)
    return True


def withdraw_promise(connection: Connection, listing: FeedListing) -> None:
    """Take back the promise of a listing that has answered no request."""
    record = lock_record(connection, listing.feed)
    if record is not None and record.promises.owner == listing.number:
        earlier = record.promises.of_others
        save_record(connection, record._replace(promises=Promises(earlier, earlier, None)))
