"""The feeds of all datasets: their indexes, and what listings have promised (docs/exact-feed.md)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, update

from headwater.catalog.audit import record
from headwater.catalog.database import BOOKKEEPING_SECONDS, Database, hold_place, outside_request
from headwater.catalog.feed.listings import (
    LOCK_DATASET,
    ListingStart,
    StartedListing,
    begin_listing,
    end_part,
    remove_unseen,
    withdraw_promise,
)
from headwater.catalog.feed.merging import (
    IndexState,
    MergedPage,
    OversizedRangeError,
    PageRead,
    claim_and_match,
    match_page,
    merge_into_index,
    remove_gone,
)
from headwater.catalog.feed.record import (
    FeedRecord,
    find_record,
    save_record,
)
from headwater.catalog.feed.rows import remove_some
from headwater.catalog.tables import datasets, feed_listings, feeds
from headwater.domain.audit import AuditEntry
from headwater.domain.feed import (
    FeedListing,
    LateArrivals,
    Range,
    row_position,
)
from headwater.net.users import UserPlaces

_STATE = select(feeds.c.key_order, feeds.c.unordered_since, feeds.c.complete, feeds.c.changes, feeds.c.owner).where(
    feeds.c.id == bindparam("feed"), feeds.c.dataset_id.is_not(None)
)


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
        self._places = UserPlaces(database.merges_per_user)
        self._places_of_feed = UserPlaces(1)

    async def begin(self, start: ListingStart) -> StartedListing:
        """Register a listing and what it promises. Creates the feed of the dataset if there is none.

        Raises:
            IndexChangedError: the dataset has another datasource now.
        """
        return await self._database.write(lambda connection: begin_listing(connection, start))

    async def begin_if_complete(self, start: ListingStart, *, ended: bool = False) -> StartedListing | None:
        """Register a listing that does not read everything. None if the feed is not complete: nothing is registered.

        Args:
            start: the listing.
            ended: the listing began before this feed knew it, so that its own promise counts for it, too.

        Raises:
            IndexChangedError: as `begin`.
        """

        def work(connection: Connection) -> StartedListing | None:
            record = find_record(connection, start.dataset_id, lock=True)
            if record is None or not record.complete:
                return None
            started = begin_listing(connection, start)
            if ended:
                end_part(connection, started.listing, None)
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
        transaction, which is not flushed to disk. Pages of a user are merged in turn by this process, so that the
        writes of others do not wait for all pages of one user.

        Args:
            page: the page.
            now: the server's time in Unix seconds.

        Returns:
            None if the index has changed since the page was read. It must be read from the store again.

        Raises:
            IndexChangedError: the feed was dropped meanwhile.
        """
        if page.state.complete:
            matched = await self._match(page)
            if matched is not None:
                return matched
        while True:
            try:
                return await self._merge(page, now)
            except OversizedRangeError:
                smaller = await self._remove_gone(page)
                if smaller is None:
                    return None
                page = smaller

    async def withdraw(self, listing: FeedListing) -> None:
        """Take back the promise of a listing whose first request has failed: nobody has seen any of its pages."""
        await self._database.write(lambda connection: withdraw_promise(connection, listing), wait=BOOKKEEPING_SECONDS)

    async def _match(self, page: PageRead) -> MergedPage | None:
        if page.state.owner != page.listing.number:
            return await self._database.read(lambda connection: match_page(connection, page))
        async with self._turn(page.state.feed):
            return await self._database.write(lambda connection: claim_and_match(connection, page), durable=False)

    async def _merge(self, page: PageRead, now: int) -> MergedPage | None:
        async with self._turn(page.state.feed):
            return await self._database.write(lambda connection: merge_into_index(connection, page, now))

    @asynccontextmanager
    async def _turn(self, feed: int) -> AsyncIterator[None]:
        """Wait until an index may be written for the user of this task: one page of each feed, and a few in all.

        Transactions on one feed lock it, so several would only take connections from other feeds.
        """
        places_of_feed, places = self._places_of_feed.of_current_user(feed), self._places.of_current_user()
        async with hold_place(places_of_feed), hold_place(places):
            yield

    async def _remove_gone(self, page: PageRead) -> PageRead | None:
        """Delete most of the rows of a range that a page does not hold, some at a time; None if the page is stale."""
        found = {row_position(each.key, page.state.key_order) for each in page.objects}
        assert page.range is not None
        position, end = page.range
        while position < end:
            after, unchanged = position, page
            async with self._turn(page.state.feed):
                removed = await self._database.write(
                    lambda connection: remove_gone(connection, unchanged, found, after),  # noqa: B023
                    long=True,
                )
            if removed is None:
                return None
            page, position = removed
        return page

    async def end(self, listing: FeedListing, part: Range | None, *, needed: bool = True) -> bool:
        """Record that a listing has served its last page, or that of one of its shards.

        Args:
            listing: the listing.
            part: where it has read everything; None if it reads only certain objects.
            needed: whether the page must not be served if this fails. If not, it is given up soon.

        Returns:
            Whether there may be rows for `remove_unseen` to delete.

        Raises:
            IndexChangedError: the feed was dropped meanwhile.
        """
        wait = None if needed else BOOKKEEPING_SECONDS
        return await self._database.write(lambda connection: end_part(connection, listing, part), wait=wait)

    async def remove_unseen(self, listing: FeedListing) -> None:
        """Delete the rows of objects that are gone, which no page of a listing that has ended has deleted.

        No request needs to wait for that: listings do not show these rows. They are deleted some at a time; those that
        are left if this fails are deleted after the next complete listing.
        """
        with outside_request():
            left = True
            while left:
                async with self._turn(listing.feed):
                    left = await self._database.write(lambda connection: remove_unseen(connection, listing), long=True)

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

    async def drop(self, dataset_id: str, entry: AuditEntry | None = None) -> bool:
        """Drop the feed of a dataset; return whether it had one. `sweep` deletes its rows."""
        if await self.id_of(dataset_id) is None:
            return False

        def work(connection: Connection) -> bool:
            dropped = drop_feed(connection, dataset_id)
            record(connection, entry if dropped else None)
            return dropped

        return await self._database.write(work)

    async def sweep(self) -> int:
        """Delete the rows of feeds that were dropped, some at a time; return how many feeds these were."""
        query = select(feeds.c.id).where(feeds.c.dataset_id.is_(None))
        dropped = await self._database.read(lambda connection: connection.execute(query).scalars().all())
        for feed in dropped:
            await self._remove(feed)
        return len(dropped)

    async def _remove(self, feed: int) -> None:
        while await self._database.write(lambda connection: remove_some(connection, feed), long=True):
            pass
        statement = delete(feeds).where(feeds.c.id == feed)
        await self._database.write(lambda connection: connection.execute(statement), long=True)


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
    connection.execute(LOCK_DATASET, {"dataset_id": dataset_id})
    record = find_record(connection, dataset_id, lock=True)
    if record is None:
        return False
    connection.execute(update(feeds).where(feeds.c.id == record.id).values(dataset_id=None))
    if record.complete:
        counts = {"n_samples": record.n_rows, "size_in_bytes": record.n_bytes}
        connection.execute(update(datasets).where(datasets.c.id == dataset_id).values(**counts))
    return True
