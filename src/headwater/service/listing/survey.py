"""Read pages of a listing here and there, to learn how its keys are distributed."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from itertools import islice

from headwater.domain.key_order import LAST_UNAMBIGUOUS, Order, key_of_sort_text, sort_text
from headwater.domain.key_space import Gap, KeySpace
from headwater.domain.name_shapes import common_prefix_length
from headwater.domain.objects import Key
from headwater.domain.samples import LIGHTLY_FOLDER
from headwater.net.compute import compute
from headwater.stores.base import Store

MAX_REQUESTS = 192
"""The most pages that are requested to split a listing, whatever the bucket."""

MAX_CHECKS = 48
"""The most requests that only check an expectation."""

MAX_CONCURRENT_PROBES = 16
"""The number of pages that are requested concurrently."""

FIRST_PAGES = 2
"""Full pages that are read first. A listing that ends in them is split exactly."""

PROBE_KEYS = 200
"""Keys that are requested at other positions."""

MAX_POSITION_BYTES = 1000
"""The longest text after which a listing is begun. Providers allow keys of up to 1,024 bytes."""

PARTS_PER_SHARD = 4
"""How many parts of a shard are told apart."""


class Survey:
    """Learns about the keys of one listing. Used for a single split.

    All positions are sort texts (`key_order.sort_text`) without the prefix of the listing.

    Args:
        store: the store, which can begin a listing after any key.
        prefix: which keys are listed; empty for raw samples.
        order: the order of the store.
        deadline: the time of the event loop after which nothing more is requested.
        max_requests: the most pages that are requested.

    Attributes:
        space: what is known about the keys.
    """

    def __init__(self, store: Store, prefix: str, order: Order, deadline: float, max_requests: int) -> None:
        self._store = store
        self._deadline = deadline
        self._max_requests = max_requests
        self._prefix = prefix
        self._order = order
        self._top = "\U0010ffff" if order == Order.CODE_POINTS else LAST_UNAMBIGUOUS
        self.space = KeySpace(self._top)
        self._requests = 0

    def key(self, text: str) -> Key:
        """Return the key at a position."""
        return self._prefix + key_of_sort_text(text, self._order)

    async def read_first_pages(self) -> None:
        """Read the first pages, without what is in the `.lightly/` folder of the root.

        Raises:
            TimeoutError: the store is too slow.
        """
        async with asyncio.timeout_at(self._deadline):
            for run in await self._first_runs():
                await compute(self.space.add, *run)

    async def _first_runs(self) -> list[tuple[str, list[str], str | None]]:
        """Return what `KeySpace.add` takes."""
        if self._prefix:
            return [("", *await self._read_pages(None))]
        folder = self._text(LIGHTLY_FOLDER)
        after_folder = folder + self._top
        keys, end = await self._read_pages(None, folder)
        before = [key for key in keys if key < folder]
        after = [key for key in keys if key > after_folder and not key.startswith(folder)]
        if end is None:
            return [("", before + after, None)]
        runs = [("", before, end if end < folder else after_folder), (folder, [], after_folder)]
        if end <= after_folder:
            after, end = await self._read_pages(after_folder)
        return [*runs, (after_folder, after, end)]

    async def explore(self, shards: int) -> bool:
        """Probe where most keys are expected or least is known, until each part is small compared with a shard.

        Returns:
            False if the server turns out to be unable to begin after a key: reading a shard would mean reading
            everything before it, too.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._deadline):
                await self._explore(shards)
        return self._store.can_start_after

    async def split_points(self, shards: int) -> list[str]:
        """Return the texts by which `KeySpace` splits the listing, by what is known."""
        return await compute(self.space.split_points, shards)

    async def shared_prefix(self) -> str:
        """Return the text that all keys begin with; empty if it is not certain that there are no other keys."""
        texts = self.space.seen
        shared = texts[0][: common_prefix_length(texts[0], texts[-1])] if texts else ""
        if not shared or max(shared) > LAST_UNAMBIGUOUS:
            return ""
        try:
            async with asyncio.timeout_at(self._deadline):
                _, others, end = await self._probe(shared + self._top)
        except TimeoutError:
            return ""
        return shared if not others and end is None else ""

    def _text(self, key: Key) -> str:
        return sort_text(key, self._order)[len(self._prefix) :]

    async def _read_pages(self, start: str | None, stop: str | None = None) -> tuple[list[str], str | None]:
        """Read a few full pages, or until a page ends in the folder `stop`; return their sorted texts and their end."""
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

    async def _explore(self, shards: int) -> None:
        checks = MAX_CHECKS
        while (requests := min(MAX_CONCURRENT_PROBES, self._max_requests - self._requests)) > 0:
            # In a thread: with long keys it takes a good part of a second.
            positions, to_check = await compute(self._plan, shards, requests, checks)
            checks -= to_check
            if not positions:
                return
            found = await self._probe_all(sorted(positions))
            if not self._store.can_start_after:
                return
            for run in found:
                await compute(self.space.add, *run)

    def _plan(self, shards: int, requests: int, checks: int) -> tuple[set[str], int]:
        """Return where to probe next, and how many of these probes only check an expectation."""
        gaps = self.space.gaps()
        part = (len(self.space.seen) + sum(gap.weight for gap in gaps)) / (shards * PARTS_PER_SHARD)
        heavy = [gap for gap in gaps if gap.weight > max(part, PROBE_KEYS)]
        to_check: set[str] = set()
        if checks > 0 and not any(gap.unknown_depths for gap in heavy):
            to_check = self._positions_to_check(gaps, part, min(requests if not heavy else requests // 4, checks))
        return self._positions_to_divide(heavy, part, requests - len(to_check)) | to_check, len(to_check)

    async def _probe_all(self, positions: list[str]) -> list[tuple[str, list[str], str | None]]:
        probes = [asyncio.ensure_future(self._probe(position)) for position in positions]
        try:
            return await asyncio.gather(*probes)
        finally:
            for probe in probes:
                probe.cancel()

    def _positions_to_divide(self, heavy: list[Gap], part: float, count: int) -> set[str]:
        """Return positions that divide gaps into parts, or that show why the gaps look so large."""
        total = sum(gap.weight for gap in heavy)
        positions: set[str] = set()
        for gap in sorted(heavy, key=lambda gap: -gap.weight):
            left = count - len(positions)
            if left <= 0:
                break
            if gap.unknown_depths:
                # What is found tells about all depths in between, so a few of many depths are enough to begin with.
                step = math.ceil(len(gap.unknown_depths) / left)
                chosen = [self.space.jump(gap, depth) for depth in gap.unknown_depths[::-1][::step]]
            else:
                pieces = min(math.ceil(gap.weight / part), max(1, round(count * gap.weight / total)))
                chosen = self.space.split(gap, pieces)
            positions.update(position for position in chosen[:left] if self._is_possible(position, gap))
        return positions

    def _positions_to_check(self, gaps: list[Gap], part: float, count: int) -> set[str]:
        """Return positions that check that no more keys come, although there is room for more than a part.

        First those where a single wrong expectation would matter, then those where only several would.
        """
        expecting = [gap for gap in gaps if gap.expectations]
        largest = [(max(gap.expectations, key=lambda expected: expected[1]), gap) for gap in expecting]
        jumps = [
            *((depth, gap) for (depth, less), gap in sorted(largest, key=lambda one: -one[0][1]) if less > part),
            *(
                (gap.expectations[0][0], gap)
                for gap in sorted(expecting, key=lambda gap: -gap.possible)
                if gap.possible > part
            ),
        ]
        positions = ((self.space.jump(gap, depth), gap) for depth, gap in jumps)
        return set(islice((position for position, gap in positions if self._is_possible(position, gap)), count))

    def _is_possible(self, position: str, gap: Gap) -> bool:
        if position <= gap.after or (gap.before is not None and position >= gap.before):
            return False
        if self._order != Order.CODE_POINTS and max(position) > LAST_UNAMBIGUOUS:
            return False
        return len(self.key(position).encode()) <= MAX_POSITION_BYTES

    async def _probe(self, position: str) -> tuple[str, list[str], str | None]:
        """Return the position, the sorted texts of a short page after it, and where the page ends."""
        page = await self._store.list_page(self._prefix, self.key(position), min(PROBE_KEYS, self._store.list_limit))
        self._requests += 1
        texts = sorted(self._text(found.key) for found in page.objects)
        return position, texts, None if page.resume_after is None else self._text(page.resume_after)
