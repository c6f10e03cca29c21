"""List by a file of relevant filenames: the store is asked for what the file names, and for nothing else."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Sequence

from headwater.domain.key_order import LAST_UNAMBIGUOUS, Order, sort_text
from headwater.domain.key_space import common
from headwater.domain.objects import Key, StoredObject, StorePage
from headwater.domain.selection import Selection, just_before
from headwater.service.listing.splitting import find_split_points
from headwater.service.listing.store_source import next_page
from headwater.service.selection_cache import find_object
from headwater.stores.base import Store

SPAN = 64
"""Names that are looked for at first in one page of the store; more where they lie densely."""

AT_ONCE = 16
"""Names that are asked for one by one, beside each other, where they lie far apart."""

_OVER = "\0"
"""A marker of our own: the prefix of the plan that `after` is was listed to its end. No store's marker is that."""

CUT_PREFIXES = 8
"""Prefixes at most within which a listing is cut; of more, each stays whole."""


async def collect(
    store: Store,
    plan: Selection,
    *,
    folder: str,
    after: Key | None,
    marker: str | None,
    until: Key | None,
    order: str,
    limit: int,
    stop_at: float,
) -> StorePage:
    """Find objects that a plan selects, at most `limit` of them, strictly after a key: a page of a store, as it were.

    Order is by code points, and within a prefix of the plan that of the store. Nothing is passed over: all up to
    `resume_after` has been looked at, which is None once the plan has ended.

    Args:
        store: where to look.
        plan: what is selected.
        folder: only keys that begin with it are looked at; empty for all.
        after: any key; None begins at the first.
        marker: of the page which ended at `after`.
        until: the bound with which a shard ends, itself included; None for the plan's own end.
        order: that of the store, as `cut_plan` told it with the bounds.
        limit: at least 1.
        stop_at: the time of `time.monotonic` from which the store is asked for nothing more.

    Raises:
        StoreError: as `Store.list_page`.
    """
    walk = _Walk(store, plan, folder, until, order)
    return await walk.go(after, marker, limit, stop_at)


class _Walk:
    def __init__(self, store: Store, plan: Selection, folder: str, until: Key | None, order: str) -> None:
        self._store = store
        self._plan = plan
        self._folder = folder
        self._until = until
        self._order = order
        self._prefixes = prefixes(plan, folder)
        self._objects: list[StoredObject] = []
        self._unreadable = 0

    async def go(self, after: Key | None, marker: str | None, limit: int, stop_at: float) -> StorePage:
        names = self._plan.names
        index = 0 if after is None else names.index(after, beyond=True)
        index = max(index, names.index(self._folder))
        end = len(names) if self._until is None else names.index(self._until, beyond=True)
        number = 0 if after is None else bisect_right(self._prefixes, after)
        if number and after is not None and after.startswith(self._prefixes[number - 1]):
            number -= 1
            # The file may have other lines by now, and a wider prefix is not over then.
            if marker == _OVER and after == self._prefixes[number]:
                number += 1
        if marker == _OVER:
            marker = None
        while True:
            prefix = self._prefixes[number] if number < len(self._prefixes) else None
            if prefix is not None and self._until is not None and prefix > self._until:
                prefix = None
            stop = end if prefix is None else min(end, names.index(prefix))
            span = SPAN
            while index < stop:
                part = names.part(index, min(index + min(span, limit - len(self._objects)), stop))
                index += len(part)
                part = [name for name in part if name.startswith(self._folder)]
                if not part:
                    index = stop = end  # names are sorted: the folder is over
                    break
                span = await self._find(part)
                after, marker = part[-1], None
                if self._is_enough(limit, stop_at):
                    return self._page(after, None)
            if prefix is None:
                return self._page(None, None)
            # Where the listing goes on within a prefix, or begins it.
            inside = after if after is not None and after.startswith(prefix) else None
            after, marker = await self._list(prefix, inside, marker if inside is not None else None, limit, stop_at)
            if marker is not None or after is not None:
                return self._page(after, marker)
            number += 1
            after = prefix
            if self._is_enough(limit, stop_at):
                return self._page(prefix, _OVER)

    def _page(self, after: Key | None, marker: str | None) -> StorePage:
        return StorePage(self._objects, after, self._unreadable, marker)

    def _is_enough(self, limit: int, stop_at: float) -> bool:
        return len(self._objects) >= limit or time.monotonic() >= stop_at

    async def _list(
        self, prefix: str, after: Key | None, marker: str | None, limit: int, stop_at: float
    ) -> tuple[Key | None, str | None]:
        """List below a prefix; (None, None) once all of it was looked at, else where to go on."""
        until = self._until if self._until is not None and self._until.startswith(prefix) else None
        while True:
            asked = limit - len(self._objects)
            page = await next_page(self._store, prefix, after, asked, marker, until, self._order)
            objects, after, marker = page.objects, page.resume_after, page.marker
            self._unreadable += page.unreadable
            looked_at = await self._select(objects, stop_at)
            if looked_at < len(objects):
                return objects[looked_at - 1].key, None
            if after is None:
                return None, None
            if self._is_enough(limit, stop_at):
                return after, marker

    async def _select(self, objects: list[StoredObject], stop_at: float) -> int:
        """Take what the plan selects; answer how many were looked at, one at least where there are any."""
        if not self._plan.has_patterns:
            self._objects += objects
            return len(objects)

        def select() -> tuple[list[StoredObject], int]:
            selected = []
            for number, found in enumerate(objects, 1):
                if self._plan.selects(found.key):
                    selected.append(found)
                if time.monotonic() >= stop_at:
                    return selected, number
            return selected, len(objects)

        selected, looked_at = await asyncio.to_thread(select)
        self._objects += selected
        return looked_at

    async def _find(self, names: Sequence[Key]) -> int:
        """Look for some names that follow each other in the plan; answer how many to look for at once after them.

        Where they lie densely in the store, one of its pages answers for many; where they do not, each is asked for.
        """
        found: list[StoredObject] = []
        rest = list(names)
        while len(rest) > 1 and self._store.can_start_after:
            left = await self._look_at_page(rest, found)
            dense = len(left) * 4 <= len(rest) * 3
            rest = left
            if not dense:
                break
        for start in range(0, len(rest), AT_ONCE):
            asked = (find_object(self._store, name) for name in rest[start : start + AT_ONCE])
            found += [each for each in await asyncio.gather(*asked) if each is not None]
        self._objects += sorted(found)
        return SPAN if len(rest) > 1 else min(4 * max(len(names), SPAN), self._store.list_limit)

    async def _look_at_page(self, names: list[Key], found: list[StoredObject]) -> list[Key]:
        """Look at one page of the store; add what it has of some names to `found`, and return those it says nothing of.

        A name that the page passed over is not there; whether it did depends on the order of the store.
        """
        order = await self._store.order()
        if order is None:
            return names
        names = sorted(names, key=lambda name: sort_text(name, order))
        begin = just_before(names[0])
        shared = common(min(names), max(names))
        page = await self._store.list_page(names[0][:shared], begin, min(self._store.list_limit, 2 * len(names)))
        wanted = dict.fromkeys(names)
        here = [each for each in page.objects if each.key in wanted]
        found += here
        for each in here:
            del wanted[each.key]
        first = sort_text(begin, order)
        last = None if page.resume_after is None else sort_text(page.resume_after, order)

        def passed(name: Key) -> bool:
            if order != Order.CODE_POINTS and max(name) > LAST_UNAMBIGUOUS:
                return False  # `ordered` does not tell such characters apart
            place = sort_text(name, order)
            return first < place and (last is None or place < last)

        return [name for name in wanted if name != page.resume_after and not passed(name)]


def prefixes(plan: Selection, folder: str) -> list[str]:
    """The prefixes of a plan as far as they lie in a folder, in order, narrowed to it."""
    if not folder:
        return plan.prefixes
    if any(folder.startswith(prefix) for prefix in plan.prefixes):
        return [folder]
    return [prefix for prefix in plan.prefixes if prefix.startswith(folder)]


async def find_selection_split_points(
    store: Store, plan: Selection, folder: str, shards: int
) -> tuple[list[Key], Order]:
    """Find bounds that cut what a plan selects into at most so many shards; see `service.shards.cut`.

    By the number of lines where the file names many files, and within prefixes where it has few of them.

    Raises:
        StoreError: as `cut`.
    """
    below = prefixes(plan, folder)
    order = Order.CODE_POINTS
    first = plan.names.index(folder)
    last = plan.names.index(folder + "\U0010ffff") if folder else len(plan.names)
    if len(below) > CUT_PREFIXES or (not below and last - first < 2):
        share, bounds = shards, [(prefix, 0, prefix) for prefix in below[1:]]
    else:
        share, bounds = max(1, shards // (len(below) + (last > first))), []
        cuts = await asyncio.gather(*(find_split_points(store, prefix, share) for prefix in below))
        order = cuts[0][1] if cuts else order
        for number, (prefix, (inner, _)) in enumerate(zip(below, cuts, strict=True)):
            bounds += [(prefix, at, bound) for at, bound in enumerate(inner, 1)]
            if number or last > first:
                bounds.append((prefix, 0, prefix))
    parts = min(share, last - first)
    for part in range(1, parts):
        name = plan.names[first + part * (last - first) // parts - 1]
        bounds.append((name, 0, name))
    chosen = [bound for _, _, bound in sorted(bounds)]
    if len(chosen) >= shards:
        chosen = [chosen[number * len(chosen) // shards] for number in range(1, shards)]
    return chosen, order
