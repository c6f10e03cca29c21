"""Cut a listing into shards of similar size, in few requests and without reading the bucket (contract, section 8)."""

from __future__ import annotations

import asyncio
import math
import time

from headwater.domain.key_space import Gap, KeySpace
from headwater.domain.objects import Key
from headwater.domain.samples import OWN_FOLDER
from headwater.domain.shards import LAST_BASIC, Order, ordered, unordered
from headwater.stores.base import Store

MOST_REQUESTS = 192
"""Pages that are asked for at most, whatever the bucket."""

TIME_SLICE = 8.0
"""Seconds after which nothing more is asked for, and what is known by then is used."""

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


async def cut(store: Store, prefix: str, shards: int) -> tuple[list[Key], Order]:
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
    order = Order.CODE_POINTS
    survey = _Survey(store, prefix, order)
    await survey.begin()
    await survey.look(shards)
    return survey.bounds(shards), order


class _Survey:
    """Pages of a listing here and there. For one call of `cut`."""

    def __init__(self, store: Store, prefix: str, order: Order) -> None:
        self._store = store
        self._prefix = prefix
        self._order = order
        self._top = "\U0010ffff" if order == Order.CODE_POINTS else LAST_BASIC
        self._space = KeySpace(self._top)
        self._requests = 0
        self._stop_at = time.monotonic() + TIME_SLICE

    async def begin(self) -> None:
        """Read the first pages, and step over the own folder."""
        own = self._text(OWN_FOLDER) if not self._prefix else None
        start, keys = "", []
        after, marker = None, None
        for number in range(FIRST_PAGES + 1):
            page = await self._store.list_page(self._prefix, after, self._store.list_limit, marker)
            self._requests += 1
            texts = [self._text(found.key) for found in page.objects]
            keys += [text for text in texts if own is None or not text.startswith(own)]
            after, marker = page.resume_after, page.marker
            if after is None:
                self._space.add(start, sorted(keys), None)
                return
            end = self._text(after)
            if own is not None and end > own:
                self._space.add(start, sorted(key for key in keys if key < own), own + self._top)
                start, keys = own + self._top, [key for key in keys if key > own + self._top]
                if end <= start:
                    after, marker, end = self._key(start), None, start
                own = None
                continue
            if number + 1 >= FIRST_PAGES:
                break
        self._space.add(start, sorted(keys), end)

    async def look(self, shards: int) -> None:
        """Look where most is guessed to be, or least is known, until all parts are small beside a shard."""
        explored = 0
        while time.monotonic() < self._stop_at and (left := min(AT_ONCE, MOST_REQUESTS - self._requests)) > 0:
            gaps = self._space.gaps()
            part = (self._space.known + sum(gap.weight for gap in gaps)) / (shards * FINENESS)
            places = self._heavy(gaps, max(part, PROBE), left)
            if len(places) < left and explored < AT_ONCE + shards:
                more = self._doubtful(gaps, part, min(left - len(places), AT_ONCE + shards - explored))
                explored += len(more - places)
                places |= more
            if not places:
                return
            found = await asyncio.gather(*map(self._probe, places))
            for start, keys, end in sorted(found, key=lambda one: one[0]):
                self._space.add(start, keys, end)

    def _heavy(self, gaps: list[Gap], part: float, count: int) -> set[str]:
        """Where to divide the gaps that are larger than a part, or to learn why they look so large."""
        heavy = sorted((gap for gap in gaps if gap.weight > part), key=lambda gap: -gap.weight)
        whole = sum(gap.weight for gap in heavy)
        places: set[str] = set()
        for gap in heavy:
            left = count - len(places)
            if left <= 0:
                break
            if gap.ignorant:
                # What is found tells of all depths between: so a few of many depths are enough to begin with.
                step = math.ceil(len(gap.ignorant) / left)
                chosen = [self._space.jump(gap, depth) for depth in gap.ignorant[::-1][::step]]
            else:
                pieces = min(math.ceil(gap.weight / part), max(1, round(count * gap.weight / whole)))
                chosen = self._space.split(gap, pieces)
            places.update(place for place in chosen[:left] if self._is_possible(place, gap))
        return places

    def _doubtful(self, gaps: list[Gap], part: float, count: int) -> set[str]:
        """Where to make sure that nothing more comes, though more than a part could."""
        doubtful = sorted((gap for gap in gaps if gap.trusting and gap.possible > part), key=lambda gap: -gap.possible)
        jumps = [(self._space.jump(gap, gap.trusting[0]), gap) for gap in doubtful]
        return set([place for place, gap in jumps if self._is_possible(place, gap)][:count])

    def _is_possible(self, place: str, gap: Gap) -> bool:
        if place <= gap.after or (gap.before is not None and place >= gap.before):
            return False
        if self._order != Order.CODE_POINTS and max(place) > LAST_BASIC:
            return False
        return len(self._key(place).encode()) <= LONGEST

    async def _probe(self, place: str) -> tuple[str, list[str], str | None]:
        page = await self._store.list_page(self._prefix, self._key(place), min(PROBE, self._store.list_limit))
        self._requests += 1
        keys = sorted(self._text(found.key) for found in page.objects)
        return place, keys, None if page.resume_after is None else self._text(page.resume_after)

    def bounds(self, shards: int) -> list[Key]:
        """The bounds, as far as they are known by now."""
        return [self._key(text) for text in self._space.bounds(shards)]

    def _text(self, key: Key) -> str:
        return ordered(key, self._order)[len(self._prefix) :]

    def _key(self, text: str) -> Key:
        return self._prefix + unordered(text, self._order)
