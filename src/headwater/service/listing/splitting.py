"""Cut a listing into shards of similar size, in few requests and without reading the bucket (contract.md#shards)."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from itertools import islice

from headwater.domain.key_order import LAST_UNAMBIGUOUS, Order, key_of_sort_text, sort_text
from headwater.domain.key_space import Gap, KeySpace, common
from headwater.domain.objects import Key
from headwater.domain.samples import LIGHTLY_FOLDER
from headwater.stores.base import Store

MOST_REQUESTS = 192
"""Pages that are asked for at most, whatever the bucket."""

TIME_SLICE = 8.0
"""Seconds after which nothing more is asked for, and what is known by then is used."""

MOST_DOUBTS = 48
"""How many of them at most make sure of what is expected."""

AT_ONCE = 16
"""Pages that are asked for beside each other."""

FIRST_PAGES = 2
"""Whole pages that are read first: a listing that ends in them is cut exactly."""

PROBE = 200
"""Objects that are asked for at other places."""

LONGEST = 1000
"""Bytes of a text that a listing is asked to begin after: providers have keys of up to 1,024."""

FINENESS = 4
"""Parts of a shard that are told apart."""


async def find_split_points(store: Store, prefix: str, shards: int) -> tuple[list[Key], Order]:
    """Find bounds that cut what a store holds below a prefix into at most so many shards of similar size.

    Returns at most `shards - 1` bounds, strictly ascending in the store's order, and that order, which
    `domain.shards.past` wants to be told. Shard i holds the keys after bound i - 1 up to bound i itself (`after` of
    `Store.list_page` is the one, `past(key, until, order)` tells of the other); the first begins with the listing and
    the last ends with it. No shard is known to be empty; where nothing is to be cut there are no bounds.

    Args:
        store: where to look.
        prefix: what is listed; empty for raw samples, and what lies under `.lightly/` is then passed over.
        shards: how many are wanted, at least 1.

    Raises:
        StoreError: as `Store.list_page`.
    """
    if shards <= 1 or not store.can_start_after:
        return [], Order.CODE_POINTS
    known = await store.order()
    order = Order.UTF16_AMBIGUOUS if known is None else known
    survey = _Survey(store, prefix, order)
    await survey.begin()
    if not await survey.look(shards):
        return [], order
    texts = survey.space.bounds(shards)
    if known is None:
        shared = await survey.shared()
        texts = [_agreed(text, shared) for text in texts]
    if order != Order.CODE_POINTS:
        texts = [_basic(text) for text in texts]
    return [survey.key(text) for text in _ascending(texts)], order


def _basic(text: str) -> str:
    """A text up to the first character that is ordered in one way by UTF-8 and in another by UTF-16."""
    return next((text[:index] for index, char in enumerate(text) if char > LAST_UNAMBIGUOUS), text)


def _agreed(text: str, shared: str) -> str:
    """A text up to the first character that is ordered otherwise where `/` is the first of all.

    Only `/` and what is less change places: a bound without these orders all keys alike. In what all keys begin with
    they do no harm.
    """
    agreed = next((text[:index] for index, char in enumerate(text) if char < "0" and index >= len(shared)), text)
    return agreed if len(agreed) > len(shared) else ""


def _ascending(texts: list[str]) -> list[str]:
    kept: list[str] = []
    for text in texts:
        if text > (kept[-1] if kept else ""):
            kept.append(text)
    return kept


class _Survey:
    """Pages of a listing here and there. For one call of `cut`."""

    def __init__(self, store: Store, prefix: str, order: Order) -> None:
        self._store = store
        self._prefix = prefix
        self._order = order
        self._top = "\U0010ffff" if order == Order.CODE_POINTS else LAST_UNAMBIGUOUS
        self.space = KeySpace(self._top)
        self._requests = 0

    async def begin(self) -> None:
        """Read the first pages, and step over the own folder."""
        if self._prefix:
            self.space.add("", *await self._read(None))
            return
        own = self._text(LIGHTLY_FOLDER)
        past_own = own + self._top
        keys, end = await self._read(None, own)
        before = [key for key in keys if key < own]
        beyond = [key for key in keys if key > past_own and not key.startswith(own)]
        if end is None:
            self.space.add("", before + beyond, None)
            return
        self.space.add("", before, end if end < own else past_own)
        self.space.add(own, [], past_own)
        if end <= past_own:
            beyond, end = await self._read(past_own)
        self.space.add(past_own, beyond, end)

    async def _read(self, start: str | None, stop: str | None = None) -> tuple[list[str], str | None]:
        """Read a few whole pages, or until one ends in the folder `stop`: the texts in them, sorted, and their end."""
        texts: list[str] = []
        after, marker, end = None if start is None else self.key(start), None, start or ""
        for _ in range(FIRST_PAGES):
            page = await self._store.list_page(self._prefix, after, self._store.list_limit, marker)
            self._requests += 1
            texts += [self._text(found.key) for found in page.objects]
            after, marker = page.resume_after, page.marker
            if after is None:
                return sorted(texts), None
            end = self._text(after)
            if stop is not None and end.startswith(stop):
                break
        return sorted(texts), end

    async def look(self, shards: int) -> bool:
        """Look where most is guessed to be, or least is known, until all parts are small beside a shard.

        False where the server turns out to be unable to begin after a key: to read a shard is then to read all that
        is before it, too.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(TIME_SLICE):
                await self._look(shards)
        return self._store.can_start_after

    async def _look(self, shards: int) -> None:
        doubts = MOST_DOUBTS
        while (left := min(AT_ONCE, MOST_REQUESTS - self._requests)) > 0:
            gaps = self.space.gaps()
            part = (len(self.space.seen) + sum(gap.weight for gap in gaps)) / (shards * FINENESS)
            heavy = [gap for gap in gaps if gap.weight > max(part, PROBE)]
            doubtful: set[str] = set()
            if doubts > 0 and not any(gap.ignorant for gap in heavy):
                doubtful = self._doubtful(gaps, part, min(left if not heavy else left // 4, doubts))
            places = self._heavy(heavy, part, left - len(doubtful)) | doubtful
            doubts -= len(doubtful)
            if not places:
                return
            found = await self._probe_all(sorted(places))
            if not self._store.can_start_after:
                return
            for start, keys, end in found:
                self.space.add(start, keys, end)

    async def _probe_all(self, places: list[str]) -> list[tuple[str, list[str], str | None]]:
        probes = [asyncio.ensure_future(self._probe(place)) for place in places]
        try:
            return await asyncio.gather(*probes)
        finally:
            for probe in probes:
                probe.cancel()

    def _heavy(self, gaps: list[Gap], part: float, count: int) -> set[str]:
        """Where to divide gaps into parts, or to learn why they look so large."""
        whole = sum(gap.weight for gap in gaps)
        places: set[str] = set()
        for gap in sorted(gaps, key=lambda gap: -gap.weight):
            left = count - len(places)
            if left <= 0:
                break
            if gap.ignorant:
                # What is found tells of all depths between: so a few of many depths are enough to begin with.
                step = math.ceil(len(gap.ignorant) / left)
                chosen = [self.space.jump(gap, depth) for depth in gap.ignorant[::-1][::step]]
            else:
                pieces = min(math.ceil(gap.weight / part), max(1, round(count * gap.weight / whole)))
                chosen = self.space.split(gap, pieces)
            places.update(place for place in chosen[:left] if self._is_possible(place, gap))
        return places

    def _doubtful(self, gaps: list[Gap], part: float, count: int) -> set[str]:
        """Where to make sure that nothing more comes, though more than a part could.

        First where one thing taken wrongly would matter; then where only several would.
        """
        trusting = [gap for gap in gaps if gap.trusting]
        at_most = [(max(gap.trusting, key=lambda trusted: trusted[1]), gap) for gap in trusting]
        jumps = [
            *((depth, gap) for (depth, less), gap in sorted(at_most, key=lambda one: -one[0][1]) if less > part),
            *(
                (gap.trusting[0][0], gap)
                for gap in sorted(trusting, key=lambda gap: -gap.possible)
                if gap.possible > part
            ),
        ]
        places = ((self.space.jump(gap, depth), gap) for depth, gap in jumps)
        return set(islice((place for place, gap in places if self._is_possible(place, gap)), count))

    def _is_possible(self, place: str, gap: Gap) -> bool:
        if place <= gap.after or (gap.before is not None and place >= gap.before):
            return False
        if self._order != Order.CODE_POINTS and max(place) > LAST_UNAMBIGUOUS:
            return False
        return len(self.key(place).encode()) <= LONGEST

    async def _probe(self, place: str) -> tuple[str, list[str], str | None]:
        page = await self._store.list_page(self._prefix, self.key(place), min(PROBE, self._store.list_limit))
        self._requests += 1
        keys = sorted(self._text(found.key) for found in page.objects)
        return place, keys, None if page.resume_after is None else self._text(page.resume_after)

    async def shared(self) -> str:
        """What all keys begin with, if it is known that there are no others."""
        texts = self.space.seen
        shared = texts[0][: common(texts[0], texts[-1])] if texts else ""
        if not shared or max(shared) > LAST_UNAMBIGUOUS:
            return ""
        _, others, end = await self._probe(shared + self._top)
        return shared if not others and end is None else ""

    def _text(self, key: Key) -> str:
        return sort_text(key, self._order)[len(self._prefix) :]

    def key(self, text: str) -> Key:
        """The key that a text stands for."""
        return self._prefix + key_of_sort_text(text, self._order)
