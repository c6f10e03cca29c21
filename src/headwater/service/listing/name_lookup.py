"""Look for many named objects of a store, in few requests."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from headwater.domain.key_order import LAST_UNAMBIGUOUS, Order, just_before, sort_text
from headwater.domain.name_shapes import common_prefix_length
from headwater.domain.objects import Key, StoredObject
from headwater.stores.base import Store
from headwater.stores.lookup import find_object

FIRST_BATCH = 64
"""The number of names that are looked for together at first. More if the store has many of them close together."""

MAX_CONCURRENT_LOOKUPS = 16
"""The number of names that are looked for concurrently, one request each, if they are far apart."""


class LookupLimits(NamedTuple):
    """When to stop looking for names: a store that is slow, or that has few of them, gets a page in several requests.

    Attributes:
        deadline: the time of `time.monotonic` after which the store is sent no further request.
        requests: the most requests to send.
    """

    deadline: float
    requests: int


class FoundNames(NamedTuple):
    """The answer for names.

    Attributes:
        objects: the objects that were found, in the order of their keys.
        answered: for how many of the names, the first ones, this is the whole answer. At least one.
        requests: how many requests the store was sent.
        next_batch: how many names to look for next time.
    """

    objects: list[StoredObject]
    answered: int
    requests: int
    next_batch: int


async def find_names(store: Store, names: Sequence[Key], limits: LookupLimits) -> FoundNames:
    """Return the objects that have these names.

    If the store has them close together, one of its pages answers for many names; if not, each is a request. The first
    name is always looked for, even if the time is over.

    Args:
        store: the store.
        names: in ascending order, at least one.
        limits: when to stop.

    Raises:
        StoreError: as `Store.list_page`.
    """
    found: list[StoredObject] = []
    remaining = list(names)
    requests = 0

    def is_over() -> bool:
        return requests >= limits.requests or time.monotonic() >= limits.deadline

    while len(remaining) > 1 and store.can_start_after and not is_over():
        requests += 1
        unanswered = await _find_on_page(store, remaining, found)
        is_dense = len(unanswered) * 4 <= len(remaining) * 3
        remaining = unanswered
        if not is_dense:
            break
    is_sparse = len(remaining) > 1
    remaining.sort()
    while remaining and (not is_over() or remaining[0] == names[0]):
        count = 1 if is_over() else min(MAX_CONCURRENT_LOOKUPS, limits.requests - requests)
        now, remaining = remaining[:count], remaining[count:]
        requests += len(now)
        found += [each for each in await _find_each(store, now) if each is not None]
    answered = bisect_left(names, remaining[0]) if remaining else len(names)
    if remaining:
        found = [each for each in found if each.key < remaining[0]]
    next_batch = FIRST_BATCH if is_sparse else min(4 * max(len(names), FIRST_BATCH), store.list_limit)
    return FoundNames(sorted(found), answered, requests, next_batch)


async def _find_each(store: Store, names: Sequence[Key]) -> list[StoredObject | None]:
    """Look for names concurrently, one request each. If one fails, the others are given up."""
    lookups = [asyncio.ensure_future(find_object(store, name)) for name in names]
    try:
        return await asyncio.gather(*lookups)
    finally:
        for lookup in lookups:
            lookup.cancel()


async def _find_on_page(store: Store, names: list[Key], found: list[StoredObject]) -> list[Key]:
    """Add the objects that one page of the store has to `found`; return the names that the page does not answer for.

    A name that the page has passed does not exist. Which names it has passed depends on the order of the store.
    """
    order = await store.order()
    if order is None:
        return names
    names = sorted(names, key=lambda name: sort_text(name, order))
    begin = just_before(names[0])
    shared = common_prefix_length(min(names), max(names))
    page = await store.list_page(names[0][:shared], begin, min(store.list_limit, 2 * len(names)))
    wanted = dict.fromkeys(names)
    for each in page.objects:
        if each.key in wanted:
            found.append(each)
            del wanted[each.key]
    first = sort_text(begin, order)
    last = None if page.resume_after is None else sort_text(page.resume_after, order)

    def is_passed(name: Key) -> bool:
        if order != Order.CODE_POINTS and max(name) > LAST_UNAMBIGUOUS:
            return False  # the sort text does not tell such characters apart
        text = sort_text(name, order)
        return first < text and (last is None or text < last)

    return [name for name in wanted if name != page.resume_after and not is_passed(name)]
