"""List files page by page, with read URLs.

Raw samples come from the INPUT datasource, files under `.lightly/` from the LIGHTLY datasource
(contract.md#two-datasources-of-one-dataset).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import structlog

from headwater.auth.permissions import DatasetContext
from headwater.catalog.feed.merging import IndexState
from headwater.domain.cursor import Cursor, ListingSpec, Progress
from headwater.domain.datasource import Datasource
from headwater.domain.errors import CatalogUnavailableError, HeadwaterError
from headwater.domain.feed import FeedMode, LateArrivals
from headwater.domain.key_range import Resume
from headwater.domain.lightly_folder import RAW, check_selection_file
from headwater.domain.objects import StoredObject
from headwater.domain.selection import Selection
from headwater.domain.window import Window, check_seconds
from headwater.observability.work import count
from headwater.service.configure import require_input_datasource, require_lightly_datasource
from headwater.service.context import ServiceContext
from headwater.service.feed import feed_mode
from headwater.service.listing.dated_source import DatedSource
from headwater.service.listing.feed_source import FeedRules, FeedSource, claim_of
from headwater.service.listing.registration import (
    RegisteredListing,
    begin_listing,
    continue_listing,
    end_listing,
)
from headwater.service.listing.selection_source import SelectionSource
from headwater.service.listing.source import ObjectPage, ObjectSource
from headwater.service.listing.splitting import NOT_SPLIT, Split, find_selection_split_points, find_split_points
from headwater.service.listing.store_source import StoreSource
from headwater.stores.base import Store

PAGE_SECONDS = 3.0
"""Seconds after which a request sends the store no further request and returns a cursor."""

MAX_SHARDS = 64
"""The most shards that a listing is split into. Published clients list all shards concurrently, and a user may have at
most `limits.MAX_REQUESTS_PER_USER` requests in flight."""

log = structlog.get_logger(__name__)


class Sample(NamedTuple):
    """A listed file: its key, and an absolute read URL."""

    file_name: str
    read_url: str


class SamplesPage(NamedTuple):
    """A page of a listing.

    Attributes:
        samples: may be few or none while `has_more`.
        cursor: never empty.
        has_more: whether the listing goes on.
        feed: how the window selects.
        objects: what the store has, for each sample.
    """

    samples: list[Sample]
    cursor: str
    has_more: bool
    feed: FeedMode
    objects: Sequence[StoredObject] = ()


class SplitListing(NamedTuple):
    """A cursor for each shard of a listing, at least one, and how its window selects."""

    cursors: list[str]
    feed: FeedMode


class ListingRequest(NamedTuple):
    """What a request wants to list.

    Attributes:
        folder: the folder under `.lightly/` whose files are listed; empty for raw samples.
        start: the first second of the window; None for 0.
        end: the last second of the window; None for now, which the cursor then keeps. In an exact feed see also
            `StartedListing.end`.
        cursor: the cursor of the page before. If given, its window and selection are used, and `start`, `end` and
            `selection_file` are ignored.
        selection_file: the key of a relevant-filenames file.
        redirected: whether to return redirected URLs, which do not expire by themselves.
    """

    folder: str = RAW
    start: int | None = None
    end: int | None = None
    cursor: str | None = None
    selection_file: str | None = None
    redirected: bool = False


async def list_samples(ctx: ServiceContext, dataset: DatasetContext, request: ListingRequest) -> SamplesPage:
    """Return the page of a listing that the request asks for (contract.md#lists-and-time-windows).

    Raises:
        DatasourceUnknownError: the dataset has no datasource for these files.
        MalformedRequestError: the cursor does not belong to this listing.
        RelevantFilenamesInvalidError: the relevant-filenames file is missing or cannot be used.
        StoreError: the store refused, or could not be reached after retries.
    """
    datasource = _datasource_of(dataset, request.folder)
    cursor = _open_cursor(ctx, dataset, datasource, request)
    spec, progress = cursor
    if progress.done or spec.window.is_empty:
        cursor = Cursor(spec, progress._replace(done=True))
        return SamplesPage([], ctx.cursors.seal(cursor), has_more=False, feed=feed_mode(ctx, dataset.dataset))
    with ctx.limiter.hold(dataset.principal.user):
        store = ctx.stores.open(datasource)
        (spec, progress), state = listing = await _register(ctx, dataset, datasource, store, cursor, request)
        async with _withdrawn_on_error(ctx, spec if request.cursor is None else None):
            source = await _source_of(ctx, dataset, store, listing)
            page = await read_page(source, progress.resume, ctx.settings.page_size)
            _count_page(spec, page)
            keys = [found.key for found in page.objects]
            if request.redirected or datasource.config.ALWAYS_REDIRECTED:
                urls = ctx.redirected_urls.sign(datasource, keys)
            else:
                urls = await store.sign(keys, ctx.settings.read_url_ttl)
        if page.unreadable_folder is not None:
            ctx.unreadable_names.found(spec, page.unreadable_folder)
        progress = _advance(progress, page)
        if progress.done:
            await _finish(ctx, spec, progress, state)
    cursor = Cursor(spec, progress)
    samples = list(map(Sample, keys, urls))
    return SamplesPage(samples, ctx.cursors.seal(cursor), not progress.done, _feed_of(spec), page.objects)


async def split_listing(
    ctx: ServiceContext, dataset: DatasetContext, request: ListingRequest, shards: int
) -> SplitListing:
    """Split a listing into at most `shards` shards that can be read concurrently; return a cursor for each.

    Together the shards are the whole listing, and no two hold the same file. There is always at least one.

    Raises: as `list_samples`.
    """
    datasource = _datasource_of(dataset, request.folder)
    whole = _begin(ctx, dataset, datasource, request)
    shards = min(shards, MAX_SHARDS)
    split = NOT_SPLIT
    if not whole.spec.window.is_empty:
        with ctx.limiter.hold(dataset.principal.user):
            store = ctx.stores.open(datasource)
            whole, _ = await _register(ctx, dataset, datasource, store, whole, request)
            if shards > 1:
                async with _withdrawn_on_error(ctx, whole.spec):
                    split = await _split(ctx, dataset, store, whole.spec, shards)
    if not split.points:
        return SplitListing([ctx.cursors.seal(whole)], _feed_of(whole.spec))
    spec = whole.spec._replace(order=split.order)
    # A key that equals a split point belongs to the shard before it: `after` excludes it, `last_key` includes it.
    ends = zip([None, *split.points], [*split.points, None], strict=True)
    parts = (
        Cursor(spec._replace(start_after=after, last_key=last_key), Progress(Resume(after))) for after, last_key in ends
    )
    return SplitListing([ctx.cursors.seal(part) for part in parts], _feed_of(spec))


async def read_page(source: ObjectSource, resume: Resume, page_size: int) -> ObjectPage:
    """Return the objects of the next page: read on until it is half full, the listing ends or time is over.

    The page is at least half full so that each request to the store asks for at least half a page: a listing of N keys
    then costs about N / page_size requests, whatever share of the keys is listed.
    """
    deadline = time.monotonic() + PAGE_SECONDS
    listed: list[StoredObject] = []
    unreadable, late = 0, LateArrivals()
    folder: str | None = None
    while True:
        found = await source.page(resume, page_size - len(listed), deadline)
        listed += found.objects
        unreadable += found.unreadable
        folder = found.unreadable_folder if folder is None else folder
        late += found.late
        if found.resume is None or len(listed) * 2 >= page_size or time.monotonic() >= deadline:
            return ObjectPage(listed, found.resume, unreadable, late, folder)
        resume = found.resume


def _feed_of(spec: ListingSpec) -> FeedMode:
    return FeedMode.DATES if spec.listing is None else FeedMode.EXACT


def _datasource_of(dataset: DatasetContext, folder: str) -> Datasource:
    return (require_input_datasource if folder == RAW else require_lightly_datasource)(dataset)


def _open_cursor(
    ctx: ServiceContext, dataset: DatasetContext, datasource: Datasource, request: ListingRequest
) -> Cursor:
    if request.cursor is None:
        return _begin(ctx, dataset, datasource, request)
    return ctx.cursors.open(request.cursor, dataset.id, datasource.config.location.fingerprint, request.folder)


def _begin(ctx: ServiceContext, dataset: DatasetContext, datasource: Datasource, request: ListingRequest) -> Cursor:
    window = Window(
        0 if request.start is None else check_seconds("from", request.start),
        int(ctx.now()) if request.end is None else check_seconds("to", request.end),
    )
    if request.selection_file is not None:
        check_selection_file(request.selection_file)
    spec = ListingSpec(
        dataset.id, datasource.config.location.fingerprint, window, request.folder, request.selection_file
    )
    return Cursor(spec, Progress())


@asynccontextmanager
async def _withdrawn_on_error(ctx: ServiceContext, spec: ListingSpec | None) -> AsyncIterator[None]:
    """Take back what a new listing promises if its first request fails.

    The client repeats the request, often with the same window, and would otherwise get new files one window later.
    """
    try:
        yield
    except HeadwaterError:
        if spec is not None and spec.listing is not None:
            with suppress(CatalogUnavailableError):
                await ctx.catalog.feed.withdraw(spec.listing)
        raise


async def _register(
    ctx: ServiceContext,
    dataset: DatasetContext,
    datasource: Datasource,
    store: Store,
    cursor: Cursor,
    request: ListingRequest,
) -> RegisteredListing:
    if request.cursor is not None:
        return await continue_listing(ctx, dataset, datasource, store, cursor)
    return await begin_listing(ctx, dataset, datasource, store, cursor, request.end)


async def _source_of(
    ctx: ServiceContext, dataset: DatasetContext, store: Store, listing: RegisteredListing
) -> ObjectSource:
    (spec, progress), state = listing
    include_all_files = dataset.dataset.include_all_files
    source: ObjectSource
    if spec.selection_file is None:
        source = StoreSource(store, spec.key_range)
    else:
        source = SelectionSource(store, await _load_selection(ctx, dataset, spec.selection_file), spec.key_range)
    if spec.listing is None or state is None:
        return DatedSource(source, spec.folder, spec.window, include_all_files=include_all_files)
    rules = FeedRules(
        listing=spec.listing,
        window=spec.window,
        last_key=spec.last_key,
        include_all_files=include_all_files,
        covers=spec.selection_file is None,
        now=int(ctx.now()),
        min_age=store.min_age,
        claim=claim_of(progress.resume, spec.last_key),
    )
    return FeedSource(source, ctx.catalog.feed, rules, state)


async def _split(ctx: ServiceContext, dataset: DatasetContext, store: Store, spec: ListingSpec, shards: int) -> Split:
    if spec.selection_file is None:
        return await find_split_points(store, spec.folder, shards)
    selection = await _load_selection(ctx, dataset, spec.selection_file)
    return await find_selection_split_points(store, selection, spec.folder, shards)


async def _load_selection(ctx: ServiceContext, dataset: DatasetContext, file: str) -> Selection:
    datasource = require_lightly_datasource(dataset)
    return await ctx.selections.load(ctx.stores.open(datasource), datasource, file)


def _count_page(spec: ListingSpec, page: ObjectPage) -> None:
    feed = _feed_of(spec)
    count("pages", feed)
    count("rows", feed, amount=len(page.objects))
    count("late_arrivals", amount=page.late.count)


def _advance(progress: Progress, page: ObjectPage) -> Progress:
    """Return how far a listing has come with this page."""
    return Progress(
        page.resume or Resume(),
        page.resume is None,
        progress.unreadable + page.unreadable,
        progress.late + page.late,
    )


async def _finish(ctx: ServiceContext, spec: ListingSpec, progress: Progress, state: IndexState | None) -> None:
    """Record that a listing, or one of its shards, has served its last page."""
    ctx.unreadable_names.finish(spec, progress.unreadable)
    if progress.late.count:
        log.info("late_arrivals", dataset=spec.dataset, count=progress.late.count, delay=progress.late.delay)
    if spec.listing is not None and state is not None:
        await end_listing(ctx, spec, state)
