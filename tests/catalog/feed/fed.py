"""Datasets with a feed, used through the methods of `FeedCatalog`, and what their tables hold."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from headwater.catalog.catalog import Catalog
from headwater.catalog.feed.listings import ListingStart, StartedListing
from headwater.catalog.feed.merging import IndexState, MergedPage, PageRead
from headwater.catalog.feed.record import Claim, FeedRecord
from headwater.catalog.tables import feed_rows
from headwater.domain.dataset import NewDataset
from headwater.domain.feed import FIRST, LAST, range_of_keys
from headwater.domain.key_order import Order
from headwater.domain.objects import Key, StoredObject, versions_of
from tests.catalog.values import config, put

NOW = 1_700_000_000


def found(key: Key, version: int = 0, modified: int = NOW - 1000, size: int = 1) -> StoredObject:
    """Return an object; its ETag is the number of its version."""
    return StoredObject(key, size, modified, str(version))


def several(keys: Iterable[Key], **members: int) -> list[StoredObject]:
    """Return an object for each key."""
    return [found(key, **members) for key in keys]


class Fed(NamedTuple):
    """A dataset with a datasource for raw samples, whose store lists in this order."""

    catalog: Catalog
    dataset: str
    datasource: str
    order: Order | None = Order.CODE_POINTS

    def start(self, end: int = NOW, now: int = NOW) -> ListingStart:
        """Return what a listing to `end` registers."""
        return ListingStart(self.dataset, self.datasource, self.order, end, now)

    async def begin(self, end: int = NOW, now: int = NOW) -> StartedListing:
        """Register a listing."""
        return await self.catalog.feed.begin(self.start(end, now))

    async def state(self) -> IndexState:
        """Return the state of the index."""
        feed = await self.catalog.feed.id_of(self.dataset)
        assert feed is not None
        state = await self.catalog.feed.state(feed)
        assert state is not None
        return state

    async def read(
        self,
        started: StartedListing,
        objects: list[StoredObject],
        after: Key | None = None,
        up_to: Key | None = None,
        *,
        state: IndexState | None = None,
        now: int = NOW,
        request: bytes | None = None,
    ) -> MergedPage | None:
        """Merge a page of a listing: what the store has after a key, up to another one."""
        state = state or await self.state()
        covers = range_of_keys(after, up_to, state.key_order)
        claim = Claim((after or "").encode(), request or os.urandom(8))
        return await self.catalog.feed.merge(
            PageRead(started.listing, state, objects, versions_of(objects), covers, claim), now
        )

    async def read_some(
        self, started: StartedListing, objects: list[StoredObject], *, state: IndexState | None = None
    ) -> MergedPage | None:
        """Merge a page that has only certain objects."""
        state = state or await self.state()
        return await self.catalog.feed.merge(
            PageRead(started.listing, state, objects, versions_of(objects), None, Claim(b"", os.urandom(8))), NOW
        )

    async def end(self, started: StartedListing) -> None:
        """End a listing that has read everything."""
        if await self.catalog.feed.end(started.listing, (FIRST, LAST)):
            await self.catalog.feed.remove_unseen(started.listing)

    async def list_all(self, objects: list[StoredObject], end: int = NOW, now: int = NOW) -> dict[Key, int]:
        """List everything as one page, and return the listing times."""
        started = await self.begin(end, now)
        merged = await self.read(started, objects, now=now)
        assert merged is not None
        await self.end(started)
        return dict(zip([each.key for each in objects], merged.times, strict=True))

    async def record(self) -> FeedRecord:
        """Return the row of the feed."""
        summary = await self.catalog.feed.summary(self.dataset)
        assert summary is not None
        return summary.record

    async def counts(self) -> tuple[int, int]:
        """Return the counts of the dataset."""
        dataset = await self.catalog.datasets.get(self.dataset)
        assert dataset is not None
        return dataset.n_samples, dataset.size_in_bytes

    async def positions(self) -> list[bytes]:
        """Return the positions of all rows of the index."""
        feed = (await self.state()).feed
        query = sa.select(feed_rows.c.position).where(feed_rows.c.feed == feed).order_by(feed_rows.c.position)
        return [bytes(row[0]) for row in await rows_of(self.catalog, query)]


async def make_fed(catalog: Catalog, name: str = "fed", order: Order | None = Order.CODE_POINTS) -> Fed:
    """Make a dataset with a datasource for raw samples."""
    dataset = await catalog.datasets.add("ann", NewDataset(name=name))
    await catalog.datasources.change(dataset.id, put(dataset.id, config(fullPath="a/b")))
    ((source,),) = (await catalog.datasources.ids([dataset.id])).values()
    return Fed(catalog, dataset.id, source, order)


async def rows_of(catalog: Catalog, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
    """Return the rows of a query."""
    return await catalog._database.read(lambda connection: connection.execute(query).all())


async def count_rows(catalog: Catalog, table: sa.Table, feed: int | None = None) -> int:
    """Return how many rows a table has, or how many of a feed."""
    query = sa.select(sa.func.count()).select_from(table)
    if feed is not None:
        query = query.where(table.c.feed == feed)
    ((count,),) = await rows_of(catalog, query)
    assert isinstance(count, int)
    return count
