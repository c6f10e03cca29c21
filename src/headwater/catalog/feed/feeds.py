"""The feeds of all datasets: their indexes, and what listings have promised (docs/exact-feed.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple
from weakref import WeakValueDictionary

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, update

from headwater.catalog.clock import now_ms
from headwater.catalog.engine import Database
from headwater.catalog.feed.merging import (
    IndexState,
    MergedPage,
    PageRead,
    claim_page,
    count_changes,
    feed_dropped,
    match_page,
    merge_into_index,
)
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
from headwater.catalog.feed.rows import remove_rows, remove_some, unseen_rows
from headwater.catalog.tables import datasets, datasources, feed_listings, feeds
from headwater.domain.feed import (
    NOTHING,
    FeedListing,
    LateArrivals,
    Merge,
    Promises,
    Walked,
    cover_everything,
    promise_of,
)
from headwater.domain.key_order import Order

_LOCK_DATASET = select(datasets.c.watermark).where(datasets.c.id == bindparam("dataset_id")).with_for_update()
_HAS_DATASOURCE = select(
    exists().where(datasources.c.id == bindparam("datasource_id"), datasources.c.dataset_id == bindparam("dataset_id"))
)

_STATE = select(feeds.c.key_order, feeds.c.unordered_since, feeds.c.complete, feeds.c.changes, feeds.c.owner).where(
    feeds.c.id == bindparam("feed"), feeds.c.dataset_id.is_not(None)
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
            not promised before: a listing of everything then has what has arrived since another listing of this second.
        state: the state of its index.
    """

    listing: FeedListing
    end: int
    state: IndexState


class RememberedListing(NamedTuple):
    """A listing of a feed; times in milliseconds since 1970, the promise in Unix seconds."""

    number: int
    begun_at: int
    ended_at: int | None
    promise: int
    late: LateArrivals


class FeedSummary(NamedTuple):
    """What an operator can know about a feed, and its last listings, the newest first."""

    record: FeedRecord
    listings: Sequence[RememberedListing]


class FeedCatalog:
    """The feeds. A dataset has at most one, of the datasource from which its raw samples come."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._merging: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def begin(self, start: ListingStart) -> StartedListing:
        """Register a listing and what it promises. Creates the feed of the dataset if there is none.

        Raises:
            CatalogUnavailableError: the dataset has another datasource now.
        """

        return await self._database.write(lambda connection: _begin(connection, start))

    async def begin_if_complete(self, start: ListingStart, *, ended: bool = False) -> StartedListing | None:
        """Register a listing that does not read everything. None if the feed is not complete: nothing is registered.

        Args:
            start: the listing.
            ended: the listing began before this feed knew it, so that its own promise counts for it, too.

        Raises:
            CatalogUnavailableError: as `begin`.
        """

        def work(connection: Connection) -> StartedListing | None:
            record = find_record(connection, start.dataset_id, lock=True)
            if record is None or not record.complete:
                return None
            started = _begin(connection, start)
            if ended:
                _end(connection, started.listing, None, None)
            return started

        known = await self._database.read(lambda connection: find_record(connection, start.dataset_id))
        return await self._database.write(work) if known is not None and known.complete else None

    async def state(self, feed: int) -> IndexState | None:
        """Return the state of an index, to be read before a page of the store; None if the feed was dropped."""

        def work(connection: Connection) -> IndexState | None:
            row = connection.execute(_STATE, {"feed": feed}).first()
            return None if row is None else IndexState(feed, row[0], row[1] is None, *row[2:])

        return await self._database.read(work)

    async def id_of(self, dataset_id: str) -> int | None:
        """Return the id of the feed of a dataset; None if it has none."""
        query = select(feeds.c.id).where(feeds.c.dataset_id == dataset_id)
        return await self._database.read(lambda connection: connection.execute(query).scalar())

    async def merge(self, page: PageRead, now: int) -> MergedPage | None:
        """Merge a page into the index and return its listing times.

        A page that brings nothing new costs one read. If its listing made the latest promise, this is a small
        transaction, which is not flushed to disk. One page of a feed is merged at a time by this process, so that
        others do not wait for more than one.

        Args:
            page: the page.
            now: the server's time in Unix seconds.

        Returns:
            None if the index has changed since the page was read. It must be read from the store again.

        Raises:
            CatalogUnavailableError: the feed was dropped meanwhile.
        """
        if page.state.complete:
            if page.state.owner == page.listing.number:
                matched = await self._database.write(lambda connection: claim_page(connection, page), durable=False)
            else:
                matched = await self._database.read(lambda connection: match_page(connection, page))
            if matched is not None:
                return matched
        feed = page.state.feed
        lock = self._merging.get(feed) or self._merging.setdefault(feed, asyncio.Lock())
        async with lock:
            return await self._database.write(lambda connection: merge_into_index(connection, page, now))

    async def end(self, listing: FeedListing, start: bytes | None, end: bytes | None) -> None:
        """Record that a listing has served its last page, or that of one of its shards.

        Args:
            listing: the listing.
            start: it has read everything after this position,
            end: up to this one. Both are None if it reads only certain objects.
        """
        unseen = await self._database.write(lambda connection: _end(connection, listing, start, end))
        while unseen:
            unseen = await self._database.write(lambda connection: _remove_unseen(connection, listing))

    async def summary(self, dataset_id: str) -> FeedSummary | None:
        """Return what there is to know about the feed of a dataset; None if it has none."""

        def work(connection: Connection) -> FeedSummary | None:
            record = find_record(connection, dataset_id)
            if record is None:
                return None
            query = select(feed_listings).where(feed_listings.c.feed == record.id)
            rows = connection.execute(query.order_by(feed_listings.c.listing.desc())).all()
            listings = [
                RememberedListing(
                    row.listing, row.begun_at, row.ended_at, row.promise, LateArrivals(row.late, row.delay)
                )
                for row in rows
            ]
            return FeedSummary(record, listings)

        return await self._database.read(work)

    async def drop(self, dataset_id: str) -> bool:
        """Drop the feed of a dataset; return whether it had one. `sweep` deletes its rows."""
        if await self.id_of(dataset_id) is None:
            return False
        return await self._database.write(lambda connection: drop_feed(connection, dataset_id))

    async def sweep(self) -> int:
        """Delete the rows of feeds that were dropped, some at a time; return how many feeds these were."""
        query = select(feeds.c.id).where(feeds.c.dataset_id.is_(None))
        dropped = await self._database.read(lambda connection: connection.execute(query).scalars().all())
        for feed in dropped:
            await self._remove(feed)
        return len(dropped)

    async def _remove(self, feed: int) -> None:
        while await self._database.write(lambda connection: remove_some(connection, feed)):
            pass
        statement = delete(feeds).where(feeds.c.id == feed)
        await self._database.write(lambda connection: connection.execute(statement))


def state_of(record: FeedRecord) -> IndexState:
    """Return the state of the index of a feed."""
    owner = record.promises.owner
    return IndexState(record.id, record.key_order, record.ordered, record.complete, record.changes, owner)


def acknowledge_watermark(connection: Connection, dataset_id: str, watermark: int, now: int) -> None:
    """Record the promise that a watermark makes. Part of the transaction that sets the watermark."""
    record = find_record(connection, dataset_id, lock=True)
    if record is None:
        return
    promises = record.promises.acknowledge(watermark, now)
    if promises != record.promises:
        save_record(connection, record._replace(promises=promises))


def drop_feed(connection: Connection, dataset_id: str) -> bool:
    """Drop the feed of a dataset, whose counts stay; return whether it had one. Part of a transaction."""
    # All transactions lock the dataset first.
    connection.execute(_LOCK_DATASET, {"dataset_id": dataset_id})
    record = find_record(connection, dataset_id, lock=True)
    if record is None:
        return False
    connection.execute(update(feeds).where(feeds.c.id == record.id).values(dataset_id=None))
    if record.complete:
        counts = {"n_samples": record.n_rows, "size_in_bytes": record.n_bytes}
        connection.execute(update(datasets).where(datasets.c.id == dataset_id).values(**counts))
    return True


def _begin(connection: Connection, start: ListingStart) -> StartedListing:
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
    watermark = connection.execute(_LOCK_DATASET, {"dataset_id": start.dataset_id}).scalar()
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
        promises=Promises().acknowledge(watermark, start.now) if watermark else Promises(NOTHING, NOTHING),
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


def _end(connection: Connection, listing: FeedListing, start: bytes | None, end: bytes | None) -> bool:
    """Record the end of a listing; return whether rows may be left that none of its pages has found."""
    record = lock_record(connection, listing.feed)
    if record is None:
        raise feed_dropped()
    completes = False
    if start is None or end is None:
        record = record._replace(promises=record.promises.end(listing.number))
        end_listing(connection, listing)
    else:
        walked = load_walked(connection, record.id)
        since = min((walk.since for walk in walked if walk.listing == listing.number), default=0)
        walked.append(Walked(listing.number, start, end, listing.promise, since))
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
    if not completes or listing.number <= (record.unordered_since or 0):
        return False
    return bool(unseen_rows(connection, record.id, listing.number, ordered=record.ordered))


def _remove_unseen(connection: Connection, listing: FeedListing) -> bool:
    """Delete some rows that no page has found since a listing began, which was complete; return whether there were any.

    These are rows of objects that are gone, and that no page deletes because their place in the order is not certain.
    """
    record = lock_record(connection, listing.feed)
    if record is None:
        return False
    gone = unseen_rows(connection, record.id, listing.number, ordered=record.ordered)
    if not gone:
        return False
    remove_rows(connection, record.id, [row.position for row in gone])
    save_record(connection, count_changes(connection, record, Merge([], [], gone, LateArrivals()), []))
    return True
