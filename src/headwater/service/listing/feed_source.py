"""Objects by listing time: every page is merged into the index of the exact feed (docs/exact-feed.md)."""

from __future__ import annotations

import os
import time
from hashlib import blake2b
from typing import NamedTuple

from headwater.catalog.feed.feeds import FeedCatalog
from headwater.catalog.feed.merging import IndexState, PageRead, feed_dropped
from headwater.catalog.feed.record import Claim
from headwater.domain.feed import FeedListing, range_of_keys
from headwater.domain.key_range import Resume
from headwater.domain.objects import Key, StoredObject, versions_of
from headwater.domain.samples import is_sample
from headwater.domain.window import Window
from headwater.service.listing.source import ObjectPage, ObjectSource

MAX_PAGE_AGE_SECONDS = 300.0
"""Seconds after which a page that was read from a store is not merged. The catalog remembers changes for longer."""


class FeedRules(NamedTuple):
    """What a listing of a feed returns.

    Attributes:
        listing: the listing, as the feed knows it.
        window: the seconds of listing times that are returned.
        last_key: the last key of the shard that is listed; None if it ends with the listing.
        include_all_files: as in `is_sample`.
        covers: whether the source returns every object between two positions of `Resume`, and not only certain ones.
        now: the server's time in whole Unix seconds.
        min_age: new versions whose time is closer to now are left out, in seconds (`Store.min_age`).
        claim: the request.
    """

    listing: FeedListing
    window: Window
    last_key: Key | None
    include_all_files: bool
    covers: bool
    now: int
    min_age: int
    claim: Claim


class FeedSource:
    """The raw samples of another source by their listing time; an `ObjectSource`.

    Args:
        source: where objects come from.
        feeds: the index.
        rules: what is listed.
        state: the state of the index, read before the first page is read from the source.
    """

    def __init__(self, source: ObjectSource, feeds: FeedCatalog, rules: FeedRules, state: IndexState) -> None:
        self._source = source
        self._feeds = feeds
        self._rules = rules
        self._state: IndexState | None = state

    async def page(self, resume: Resume, limit: int, deadline: float) -> ObjectPage:
        """Return the page after `resume`; see `ObjectSource.page`.

        The page is empty and continues at `resume` if another request has changed the index while it was read.

        Raises:
            StoreError: as the other source.
            IndexChangedError: the feed was dropped meanwhile.
        """
        state, self._state = self._state or await self._feeds.state(self._rules.listing.feed), None
        if state is None:
            raise feed_dropped()
        began = time.monotonic()
        page = await self._source.page(resume, limit, deadline)
        read = self._to_merge(state, resume, page)
        if time.monotonic() - began > MAX_PAGE_AGE_SECONDS:
            return ObjectPage([], resume)
        merged = await self._feeds.merge(read, self._rules.now)
        if merged is None:
            return ObjectPage([], resume)
        if merged.all_in_window is not None:
            return page._replace(objects=read.objects if merged.all_in_window else [])
        first, last = self._rules.window
        listed = [found for found, at in zip(read.objects, merged.times, strict=True) if first <= at <= last]
        return page._replace(objects=listed, late=merged.late)

    def _to_merge(self, state: IndexState, resume: Resume, page: ObjectPage) -> PageRead:
        rules = self._rules
        samples = self._samples(page.objects)
        if not state.ordered:
            samples = list({found.key: found for found in samples}.values())
        covers = None
        if rules.covers:
            last_key = rules.last_key if page.resume is None else page.resume.after
            start, end = range_of_keys(resume.after, last_key, state.key_order)
            # A listing that leaves out the `.lightly/` folder may continue after the end of its shard.
            covers = start, max(start, end)
        return PageRead(
            listing=rules.listing,
            state=state,
            objects=samples,
            versions=versions_of(samples),
            covers=covers,
            claim=rules.claim,
            window=rules.window,
            min_age=rules.min_age,
        )

    def _samples(self, objects: list[StoredObject]) -> list[StoredObject]:
        include_all_files = self._rules.include_all_files
        return [found for found in objects if is_sample(found.key, include_all_files)]


def claim_of(resume: Resume, last_key: Key | None) -> Claim:
    """Return the claim of a new request that continues a listing, or one of its shards, at `resume`."""
    where = repr((resume, last_key)).encode("utf-8", "surrogatepass")
    return Claim(blake2b(where, digest_size=16).digest(), os.urandom(8))
