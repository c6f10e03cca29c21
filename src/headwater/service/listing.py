"""List raw samples page by page, with read URLs. The one place that knows where rows come from."""

from __future__ import annotations

import time
from typing import NamedTuple

import structlog

from headwater.domain.cursor import Cursor
from headwater.domain.dataset import Dataset
from headwater.domain.datasource import Datasource
from headwater.domain.errors import DatasourceUnknown
from headwater.domain.objects import Key
from headwater.domain.purposes import input_of
from headwater.domain.samples import OWN_FOLDER, PAST_OWN_FOLDER, is_sample
from headwater.domain.users import Principal
from headwater.domain.window import Window, check_seconds
from headwater.service.datasets import Opened
from headwater.service.headwater import Headwater
from headwater.stores.base import Store

TIME_SLICE = 3.0
"""Seconds after which a request asks the store for nothing more and hands back a cursor."""

log = structlog.get_logger(__name__)


class Sample(NamedTuple):
    """One raw sample: its name relative to the datasource's root, byte-faithful, and an absolute read URL."""

    file_name: str
    read_url: str


class SamplesPage(NamedTuple):
    """One page of a listing. It may be short or empty while `has_more`; `cursor` is never empty."""

    samples: list[Sample]
    cursor: str
    has_more: bool


class _Found(NamedTuple):
    keys: list[Key]
    after: Key | None
    marker: str | None
    unreadable: int


async def list_samples(
    hw: Headwater,
    who: Principal,
    dataset: Opened,
    *,
    start: int | None = None,
    end: int | None = None,
    cursor: str | None = None,
) -> SamplesPage:
    """List raw samples in key order (contract, section 4).

    Args:
        hw: the service.
        who: the asking user.
        dataset: the dataset.
        start: first second of the window; None means 0.
        end: last second of the window, included; None means now, which the cursor then keeps.
        cursor: of the page before. The window is then the cursor's, whatever `start` and `end` say.

    Raises:
        DatasourceUnknown: no datasource serves raw samples.
        MalformedRequest: the cursor is not one of this listing.
        StoreError: the store refused, or could not be reached after retries.
    """
    source = input_of(await hw.catalog.datasources(dataset.id))
    if source is None:
        raise DatasourceUnknown("this dataset has no datasource to list; configure one first")
    place = source.config.place.fingerprint
    if cursor is None:
        state = Cursor(dataset.id, place, _window(hw, start, end), None)
    else:
        state = hw.cursors.open(cursor, dataset.id, place)
    if state.done or state.window.empty:
        return SamplesPage([], hw.cursors.seal(state._replace(done=True)), has_more=False)
    with hw.in_flight.of(who.user):
        return await _page(hw, dataset, source, state)


def _window(hw: Headwater, start: int | None, end: int | None) -> Window:
    return Window(
        0 if start is None else check_seconds("from", start),
        int(hw.now()) if end is None else check_seconds("to", end),
    )


async def _page(hw: Headwater, dataset: Dataset, source: Datasource, state: Cursor) -> SamplesPage:
    store = hw.stores.open(source)
    found = await _collect(store, state, dataset.every_file, hw.settings.page_size)
    urls = await store.sign(found.keys, hw.settings.read_url_ttl)
    done = found.after is None
    unreadable = state.unreadable + found.unreadable
    if done and unreadable:
        log.warning("names left out of a listing: not UTF-8", dataset=dataset.id, names=unreadable)
    seen = state._replace(after=found.after, marker=found.marker, done=done, unreadable=unreadable)
    return SamplesPage(list(map(Sample, found.keys, urls)), hw.cursors.seal(seen), has_more=not done)


async def _collect(store: Store, state: Cursor, every_file: bool, page_size: int) -> _Found:
    """Read on in the store until the page is at least half full, the listing ends or the time slice is over.

    Half full, so that each request to the store asks for at least half a page: a listing of N keys then costs
    about N / page_size requests, whatever part of the keys are samples.
    """
    stop_at = time.monotonic() + TIME_SLICE
    (first, last), after, marker = state.window, state.after, state.marker
    keys: list[Key] = []
    unreadable = 0
    while True:
        came_from = after or ""
        page = await store.list_page("", after, min(store.list_limit, page_size - len(keys)), marker)
        keys += [
            key for key, _, modified, _ in page.objects if first <= modified <= last and is_sample(key, every_file)
        ]
        unreadable += page.unreadable
        after, marker = page.resume_after, page.marker
        # Once, on the way in: a store that orders by UTF-16 has names of the folder behind the place that is gone to.
        entering = after is not None and after.startswith(OWN_FOLDER) and not came_from.startswith(OWN_FOLDER)
        if entering and store.can_start_after:
            after, marker = PAST_OWN_FOLDER, None
        if after is None or len(keys) * 2 >= page_size or time.monotonic() >= stop_at:
            return _Found(keys, after, marker, unreadable)
