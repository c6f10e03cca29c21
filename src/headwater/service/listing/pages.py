"""List files page by page, with read URLs. The one place that knows where rows come from.

Raw samples come from the INPUT datasource, files under `.lightly/` from the LIGHTLY datasource
(contract.md#two-datasources-of-one-dataset).
"""

from __future__ import annotations

import time
from typing import NamedTuple

import structlog

from headwater.auth.permissions import DatasetContext
from headwater.domain.cursor import Cursor
from headwater.domain.datasource import Datasource
from headwater.domain.errors import CatalogUnavailableError
from headwater.domain.lightly_folder import RAW, check_relevant_file
from headwater.domain.objects import Key, StoredObject, StorePage
from headwater.domain.samples import is_sample
from headwater.domain.selection import Selection
from headwater.domain.window import Window, check_seconds
from headwater.service.configure import require_input_datasource, require_lightly_datasource
from headwater.service.context import ServiceContext
from headwater.service.listing.selection_source import collect, find_selection_split_points
from headwater.service.listing.splitting import find_split_points
from headwater.service.listing.store_source import next_page
from headwater.stores.base import Store

TIME_SLICE = 3.0
"""Seconds after which a request asks the store for nothing more and hands back a cursor."""

MOST_SHARDS = 64
"""Shards that a listing is cut into at most, whatever is asked for: published clients list all of them at once, and a
user may have no more than `limits.MOST` requests under way."""

log = structlog.get_logger(__name__)


class Sample(NamedTuple):
    """One file: its name relative to the datasource's root, byte-faithful, and an absolute read URL."""

    file_name: str
    read_url: str


class SamplesPage(NamedTuple):
    """One page of a listing. It may be short or empty while `has_more`; `cursor` is never empty."""

    samples: list[Sample]
    cursor: str
    has_more: bool


class ListingRequest(NamedTuple):
    """What a request asks a listing for.

    `folder` is empty for raw samples, else the folder below `.lightly/` whose files are listed. `start` and `end` are
    the first and last second of the window; None means 0 and now, which the cursor then keeps. `relevant` names a
    file of relevant filenames. `cursor` is of the page before: folder, window and relevant filenames are then the
    cursor's, whatever the others say. `redirected` asks for read URLs that do not expire by themselves.
    """

    folder: str = RAW
    start: int | None = None
    end: int | None = None
    cursor: str | None = None
    relevant: str | None = None
    redirected: bool = False


async def list_samples(ctx: ServiceContext, dataset: DatasetContext, asked: ListingRequest) -> SamplesPage:
    """List files in key order (contract.md#lists-and-time-windows).

    Raises:
        DatasourceUnknownError: no datasource serves what is asked for.
        MalformedRequestError: the cursor is not one of this listing.
        RelevantFilenamesInvalidError: the file of relevant filenames is missing or cannot be used.
        StoreError: the store refused, or could not be reached after retries.
    """
    source = _source(dataset, asked.folder)
    if asked.cursor is None:
        state = _beginning(ctx, dataset, source, asked)
    else:
        state = ctx.cursors.open(asked.cursor, dataset.id, source.config.location.fingerprint, asked.folder)
    if state.done or state.window.empty:
        return SamplesPage([], ctx.cursors.seal(state._replace(done=True)), has_more=False)
    with ctx.limiter.hold(dataset.principal.user):
        return await _page(ctx, dataset, source, state, asked.redirected or source.config.ALWAYS_REDIRECTED)


async def divide(ctx: ServiceContext, dataset: DatasetContext, asked: ListingRequest, shards: int) -> list[str]:
    """Cut a listing into at most `shards` that can be read beside each other, one cursor for each.

    Together they are the whole listing and no two hold the same file. There is always one at least.

    Raises: as `list_samples`.
    """
    source = _source(dataset, asked.folder)
    whole = _beginning(ctx, dataset, source, asked)
    shards = min(shards, MOST_SHARDS)
    if shards == 1 or whole.window.empty:
        return [ctx.cursors.seal(whole)]
    with ctx.limiter.hold(dataset.principal.user):
        store = ctx.stores.open(source)
        if asked.relevant is None:
            bounds, order = await find_split_points(store, asked.folder, shards)
        else:
            plan = await _plan(ctx, dataset, asked.relevant)
            bounds, order = await find_selection_split_points(store, plan, asked.folder, shards)
    if not bounds:
        return [ctx.cursors.seal(whole)]
    shard = whole._replace(order=order, samples=None)
    # A key that is a bound itself belongs to the shard before: `after` passes it over, `past` lets it in.
    return [
        ctx.cursors.seal(shard._replace(after=after, until=until))
        for after, until in zip([None, *bounds], [*bounds, None], strict=True)
    ]


def _source(dataset: DatasetContext, folder: str) -> Datasource:
    return (require_input_datasource if folder == RAW else require_lightly_datasource)(dataset)


def _beginning(ctx: ServiceContext, dataset: DatasetContext, source: Datasource, asked: ListingRequest) -> Cursor:
    window = Window(
        0 if asked.start is None else check_seconds("from", asked.start),
        int(ctx.now()) if asked.end is None else check_seconds("to", asked.end),
    )
    if asked.relevant is not None:
        check_relevant_file(asked.relevant)
    counted = asked.folder == RAW and asked.relevant is None
    return Cursor(
        dataset.id,
        source.config.location.fingerprint,
        window,
        None,
        folder=asked.folder,
        relevant=asked.relevant,
        samples=0 if counted else None,
    )


async def _plan(ctx: ServiceContext, dataset: DatasetContext, name: str) -> Selection:
    source = require_lightly_datasource(dataset)
    return await ctx.selections.plan(ctx.stores.open(source), source, name)


async def _page(
    ctx: ServiceContext, dataset: DatasetContext, source: Datasource, state: Cursor, redirected: bool
) -> SamplesPage:
    store = ctx.stores.open(source)
    plan = None if state.relevant is None else await _plan(ctx, dataset, state.relevant)
    page = await _collect(store, state, dataset.dataset.include_all_files, ctx.settings.page_size, plan)
    keys = [found.key for found in page.objects]
    if redirected:
        urls = ctx.redirected_urls.sign(source, keys)
    else:
        urls = await store.sign(keys, ctx.settings.read_url_ttl)
    seen = state._replace(
        after=page.resume_after,
        marker=page.marker,
        done=page.resume_after is None,
        unreadable=state.unreadable + page.unreadable,
    )
    if seen.samples is not None:
        size = sum(found.size for found in page.objects)
        seen = seen._replace(samples=seen.samples + len(keys), size=seen.size + size)
    if seen.done:
        await _ended(ctx, source, seen)
    return SamplesPage(list(map(Sample, keys, urls)), ctx.cursors.seal(seen), has_more=not seen.done)


async def _ended(ctx: ServiceContext, source: Datasource, state: Cursor) -> None:
    """Note what is known once a listing went through. Whoever lists is not told of a catalog that could not take it."""
    if state.unreadable:
        log.warning("names left out of a listing: not UTF-8", dataset=state.dataset, names=state.unreadable)
    if state.samples is None or state.window.end > ctx.now():
        return
    try:
        await ctx.catalog.count_samples(state.dataset, source.id, *state.window, state.samples, state.size)
    except CatalogUnavailableError as error:
        log.warning("the samples of a listing were not counted", dataset=state.dataset, reason=error.message)


def _is_listed(key: Key, folder: str, include_all_files: bool) -> bool:
    return is_sample(key, include_all_files) if folder == RAW else not key.endswith("/")


async def _collect(
    store: Store, state: Cursor, include_all_files: bool, page_size: int, plan: Selection | None = None
) -> StorePage:
    """Read on in the store until the page is at least half full, the listing ends or the time slice is over.

    Half full, so that each request to the store asks for at least half a page: a listing of N keys then costs
    about N / page_size requests, whatever part of the keys are samples. Where there is a plan of relevant filenames,
    the store is asked for what that names.
    """
    stop_at = time.monotonic() + TIME_SLICE
    (first, last), after, marker, folder, until = state.window, state.after, state.marker, state.folder, state.until
    listed: list[StoredObject] = []
    unreadable = 0
    while True:
        limit = page_size - len(listed)
        if plan is None:
            page = await next_page(store, folder, after, limit, marker, until, state.order)
        else:
            page = await collect(
                store,
                plan,
                folder=folder,
                after=after,
                marker=marker,
                until=until,
                order=state.order,
                limit=limit,
                stop_at=stop_at,
            )
        after, marker = page.resume_after, page.marker
        unreadable += page.unreadable
        listed += [
            found
            for found in page.objects
            if first <= found.modified <= last and _is_listed(found.key, folder, include_all_files)
        ]
        if after is None or len(listed) * 2 >= page_size or time.monotonic() >= stop_at:
            return StorePage(listed, after, unreadable, marker)
