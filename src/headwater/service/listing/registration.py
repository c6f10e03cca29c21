"""Register listings with the exact feed, and record where they end (docs/exact-feed.md)."""

from __future__ import annotations

from typing import NamedTuple

import structlog

from headwater.auth.permissions import DatasetContext
from headwater.catalog.feed.listings import ListingStart, StartedListing
from headwater.catalog.feed.merging import IndexState
from headwater.domain.cursor import Cursor, ListingSpec
from headwater.domain.datasource import Datasource
from headwater.domain.errors import CatalogUnavailableError, IndexChangedError
from headwater.domain.feed import FeedListing, FeedMode, range_of_keys
from headwater.domain.lightly_folder import RAW
from headwater.service.context import ServiceContext
from headwater.service.feed import feed_mode
from headwater.stores.base import Store

log = structlog.get_logger(__name__)


class RegisteredListing(NamedTuple):
    """A listing at the beginning of a request.

    Attributes:
        cursor: the listing between two of its pages.
        state: the state of its index; None if it lists by date.
    """

    cursor: Cursor
    state: IndexState | None


async def begin_listing(
    ctx: ServiceContext,
    dataset: DatasetContext,
    datasource: Datasource,
    store: Store,
    cursor: Cursor,
    end: int | None,
) -> RegisteredListing:
    """Register a listing before its first page is read.

    - Raw samples are registered: the catalog knows what they promise from then on.
    - A listing by relevant filenames is registered once the datasource was read completely. Before that it lists by
      date and promises nothing, so that it leaves the dates of files that it does not select as they are.
    - Files under `.lightly/` are listed by date. No watermark is kept for them.

    Args:
        ctx: the service.
        dataset: the dataset.
        datasource: what is listed.
        store: its store.
        cursor: the beginning of the listing.
        end: the last second of the window; None if the client did not choose one.

    Raises:
        IndexChangedError: the datasource changed during this request.
        StoreError: as `Store.order`.
    """
    if cursor.spec.folder != RAW:
        return RegisteredListing(cursor, None)
    if feed_mode(ctx, dataset.dataset) is FeedMode.DATES:
        # Its pages are not in the index, which would show them a second time later.
        if await ctx.catalog.feed.drop(dataset.id):
            log.warning("feed_dropped", dataset=dataset.id, reason="its samples are listed by date now")
        return RegisteredListing(cursor, None)
    start = ListingStart(dataset.id, datasource.id, await store.order(), end, int(ctx.now()))
    if cursor.spec.selection_file is None:
        return _registered(cursor, await ctx.catalog.feed.begin(start))
    return _registered(cursor, await ctx.catalog.feed.begin_if_complete(start))


async def continue_listing(
    ctx: ServiceContext, dataset: DatasetContext, datasource: Datasource, store: Store, cursor: Cursor
) -> RegisteredListing:
    """Return a listing with the present state of its index.

    A listing that began by date goes on by date. So does one of an index that was dropped meanwhile, unless the feed is
    complete: it is then registered as one that has ended.

    Raises:
        IndexChangedError: the datasource changed during this request.
        StoreError: as `Store.order`.
    """
    spec = cursor.spec
    is_dated = spec.folder != RAW or feed_mode(ctx, dataset.dataset) is FeedMode.DATES
    state = None if is_dated or spec.listing is None else await ctx.catalog.feed.state(spec.listing.feed)
    if state is not None:
        return RegisteredListing(cursor, state)
    cursor = cursor._replace(spec=spec._replace(listing=None, start_after=cursor.progress.resume.after))
    if is_dated or spec.selection_file is not None:
        return RegisteredListing(cursor, None)
    start = ListingStart(dataset.id, datasource.id, await store.order(), spec.window.end, int(ctx.now()))
    return _registered(cursor, await ctx.catalog.feed.begin_if_complete(start, ended=True))


async def end_listing(ctx: ServiceContext, spec: ListingSpec, state: IndexState) -> None:
    """Record that a listing has served its last page, or that of one of its shards.

    Only the listing that owns the latest promise must be recorded: from its end on, the promise counts for its own
    cursors, too. So must the end of any listing while the index is not complete. Otherwise nothing is listed
    differently without the record: it says when the datasource was last read completely, and lets rows of deleted files
    go. So the page is served, even if the catalog is locked. No page waits for the deletion of these rows.

    Args:
        ctx: the service.
        spec: the listing.
        state: the state of its index at the beginning of its last request, or before.

    Raises:
        IndexChangedError: the datasource changed during this request.
        CatalogUnavailableError: the end must be recorded, and cannot be.
    """
    assert spec.listing is not None
    reads_all = spec.selection_file is None
    part = range_of_keys(spec.start_after, spec.last_key, state.key_order) if reads_all else None
    needed = not state.complete or state.owner == spec.listing.number
    try:
        unseen = await ctx.catalog.feed.end(spec.listing, part, needed=needed)
    except IndexChangedError:
        raise
    except CatalogUnavailableError as error:
        if needed:
            raise
        log.warning("listing_end_not_recorded", dataset=spec.dataset, reason=error.message)
        return
    if unseen:
        ctx.background.start("remove unseen rows", _remove_unseen(ctx, spec.dataset, spec.listing))


async def _remove_unseen(ctx: ServiceContext, dataset_id: str, listing: FeedListing) -> None:
    try:
        await ctx.catalog.feed.remove_unseen(listing)
    except CatalogUnavailableError as error:
        log.warning("unseen_rows_not_removed", dataset=dataset_id, reason=error.message)


def _registered(cursor: Cursor, started: StartedListing | None) -> RegisteredListing:
    if started is None:
        return RegisteredListing(cursor, None)
    spec = cursor.spec
    window = spec.window._replace(end=started.end)
    return RegisteredListing(cursor._replace(spec=spec._replace(window=window, listing=started.listing)), started.state)
