"""Register listings with the exact feed, and record where they end (docs/exact-feed.md)."""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import NamedTuple

import structlog

from headwater.auth.permissions import DatasetContext
from headwater.catalog.feed.listings import ListingStart, StartedListing
from headwater.catalog.feed.merging import IndexState
from headwater.catalog.feed.record import Claim
from headwater.domain.cursor import Cursor, ListingSpec
from headwater.domain.datasource import Datasource
from headwater.domain.feed import FIRST, LAST, FeedMode, boundary_position
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
        claim: the request.
    """

    cursor: Cursor
    state: IndexState | None
    claim: Claim


async def begin_listing(
    ctx: ServiceContext,
    dataset: DatasetContext,
    datasource: Datasource,
    store: Store,
    cursor: Cursor,
    *,
    has_end: bool,
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
        has_end: whether the client chose the end of the window.

    Raises:
        CatalogUnavailableError: the datasource changed during this request.
        StoreError: as `Store.order`.
    """
    claim = _claim_of(cursor)
    if cursor.spec.folder != RAW:
        return RegisteredListing(cursor, None, claim)
    if feed_mode(ctx, dataset.dataset) is FeedMode.DATES:
        # Its pages are not in the index, which would show them a second time later.
        if await ctx.catalog.feed.drop(dataset.id):
            log.warning("feed_dropped", dataset=dataset.id, reason="its samples are listed by date now")
        return RegisteredListing(cursor, None, claim)
    start = await _start_of(ctx, dataset, datasource, store, cursor.spec)
    start = start if has_end else start._replace(end=None)
    if cursor.spec.selection_file is None:
        return _registered(cursor, await ctx.catalog.feed.begin(start), claim)
    return _registered(cursor, await ctx.catalog.feed.begin_if_complete(start), claim)


async def continue_listing(
    ctx: ServiceContext, dataset: DatasetContext, datasource: Datasource, store: Store, cursor: Cursor
) -> RegisteredListing:
    """Return a listing with the present state of its index.

    A listing that began by date goes on by date. So does one of an index that was dropped meanwhile, unless the feed is
    complete: it is then registered as one that has ended.

    Raises:
        CatalogUnavailableError: the datasource changed during this request.
        StoreError: as `Store.order`.
    """
    spec = cursor.spec
    is_dated = spec.folder != RAW or feed_mode(ctx, dataset.dataset) is FeedMode.DATES
    claim = _claim_of(cursor)
    state = None if is_dated or spec.listing is None else await ctx.catalog.feed.state(spec.listing.feed)
    if state is not None:
        return RegisteredListing(cursor, state, claim)
    cursor = cursor._replace(spec=spec._replace(listing=None, start_after=cursor.progress.resume.after))
    if is_dated or spec.selection_file is not None:
        return RegisteredListing(cursor, None, claim)
    start = await _start_of(ctx, dataset, datasource, store, spec)
    return _registered(cursor, await ctx.catalog.feed.begin_if_complete(start, ended=True), claim)


async def end_listing(ctx: ServiceContext, spec: ListingSpec, state: IndexState) -> None:
    """Record that a listing has served its last page, or that of one of its shards."""
    assert spec.listing is not None
    if spec.selection_file is not None:
        await ctx.catalog.feed.end(spec.listing, None, None)
        return
    start = FIRST if spec.start_after is None else boundary_position(spec.start_after, state.key_order)
    end = LAST if spec.last_key is None else boundary_position(spec.last_key, state.key_order)
    await ctx.catalog.feed.end(spec.listing, start, end)


async def _start_of(
    ctx: ServiceContext, dataset: DatasetContext, datasource: Datasource, store: Store, spec: ListingSpec
) -> ListingStart:
    return ListingStart(dataset.id, datasource.id, await store.order(), spec.window.end, int(ctx.now()))


def _claim_of(cursor: Cursor) -> Claim:
    """Return the claim of a request that continues at a cursor, or begins a listing."""
    where = repr((cursor.progress.resume, cursor.spec.last_key))
    return Claim(blake2b(where.encode("utf-8", "surrogatepass"), digest_size=16).digest(), os.urandom(8))


def _registered(cursor: Cursor, started: StartedListing | None, claim: Claim) -> RegisteredListing:
    if started is None:
        return RegisteredListing(cursor, None, claim)
    spec = cursor.spec
    window = spec.window._replace(end=started.end)
    return RegisteredListing(
        cursor._replace(spec=spec._replace(window=window, listing=started.listing)), started.state, claim
    )
