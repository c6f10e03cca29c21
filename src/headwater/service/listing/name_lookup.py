"""Look for many named objects of a store, in few requests."""

from __future__ import annotations

import asyncio
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


class FoundNames(NamedTuple):
    """The objects that were found, in the order of their keys, and how many names to look for next time."""

    objects: list[StoredObject]
    next_batch: int


async def find_names(store: Store, names: Sequence[Key]) -> FoundNames:
    """Return the objects that have these names.

    If the store has them close together, one of its pages answers for many names; if not, each is a request.

    Args:
        store: the store.
        names: in ascending order, at least one.

    Raises:
        StoreError: as `Store.list_page`.
    """
    found: list[StoredObject] = []
    remaining = list(names)
    while len(remaining) > 1 and store.can_start_after:
        unanswered = await _find_on_page(store, remaining, found)
        is_dense = len(unanswered) * 4 <= len(remaining) * 3
        remaining = unanswered
        if not is_dense:
            break
    for start in range(0, len(remaining), MAX_CONCURRENT_LOOKUPS):
        lookups = (find_object(store, name) for name in remaining[start : start + MAX_CONCURRENT_LOOKUPS])
        found += [each for each in await asyncio.gather(*lookups) if each is not None]
    is_sparse = len(remaining) > 1
    return FoundNames(
        sorted(found), FIRST_BATCH if is_sparse else min(4 * max(len(names), FIRST_BATCH), store.list_limit)
    )


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
