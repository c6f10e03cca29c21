"""Split a listing into shards of similar size, in few requests and without reading the bucket (contract.md#shards)."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from headwater.domain.key_order import LAST_UNAMBIGUOUS, Order
from headwater.domain.objects import Key
from headwater.domain.selection import Selection
from headwater.service.listing.selection_source import prefixes_in
from headwater.service.listing.survey import MAX_REQUESTS, Survey
from headwater.stores.base import Store

SURVEY_SECONDS = 8.0
"""Seconds after which the store is sent no further request; what is known by then is used."""

MAX_SPLIT_PREFIXES = 8
"""The most prefixes of a selection within which a listing is split. If there are more, each stays in one shard."""


class Split(NamedTuple):
    """Where a listing is split.

    Shard i holds the keys after point i - 1 up to point i itself; the first shard begins with the listing and the last
    one ends with it.

    Attributes:
        points: the split points, strictly ascending in the order of the store.
        order: that order, which `KeyRange` needs to compare keys with split points.
    """

    points: list[Key]
    order: Order


NOT_SPLIT = Split([], Order.CODE_POINTS)


async def find_split_points(store: Store, prefix: str, shards: int, max_requests: int = MAX_REQUESTS) -> Split:
    """Find at most `shards - 1` split points that split what a store has into shards of similar size.

    No shard is known to be empty. There are no split points if nothing can be split, or if the store does not answer in
    `SURVEY_SECONDS`.

    Args:
        store: the store.
        prefix: which keys are listed; empty for raw samples, which leave out the `.lightly/` folder.
        shards: the number of shards wanted, at least 1.
        max_requests: the most pages that are requested.

    Raises:
        StoreError: as `Store.list_page`.
    """
    if shards <= 1 or not store.can_start_after:
        return NOT_SPLIT
    deadline = asyncio.get_running_loop().time() + SURVEY_SECONDS
    try:
        async with asyncio.timeout_at(deadline):
            known_order = await store.order()
        order = Order.UTF16_AMBIGUOUS if known_order is None else known_order
        survey = Survey(store, prefix, order, deadline, max_requests)
        await survey.read_first_pages()
    except TimeoutError:
        return NOT_SPLIT
    if not await survey.explore(shards):
        return Split([], order)
    texts = await survey.split_points(shards)
    if known_order is None:
        shared = await survey.shared_prefix()
        texts = [_same_in_all_orders(text, shared) for text in texts]
    if order != Order.CODE_POINTS:
        texts = [_unambiguous(text) for text in texts]
    return Split([survey.key(text) for text in _ascending(texts)], order)


async def find_selection_split_points(store: Store, selection: Selection, folder: str, shards: int) -> Split:
    """Find split points that split what a selection selects into at most `shards` shards.

    Names are split by their number, and prefixes are split within, if there are few of them.

    Args:
        store: the store.
        selection: what is selected.
        folder: only what is in this folder is listed; empty for raw samples.
        shards: the number of shards wanted, at least 2.

    Raises:
        StoreError: as `find_split_points`.
    """
    names = selection.names
    first = names.index(folder)
    last = names.index(folder + "\U0010ffff") if folder else len(names)
    prefixes = prefixes_in(selection, folder)
    order = Order.CODE_POINTS
    # Each is (prefix or name, position within it, split point): sorting by the first two gives the order of the
    # listing, because keys under one prefix come in the order of the store.
    points: list[tuple[str, int, Key]]
    if len(prefixes) > MAX_SPLIT_PREFIXES or (not prefixes and last - first < 2):
        share = shards
        points = [(prefix, 0, prefix) for prefix in prefixes[1:]]
    else:
        share = max(1, shards // (len(prefixes) + (last > first)))
        points = []
        max_requests = MAX_REQUESTS // max(len(prefixes), 1)
        splits = await asyncio.gather(*(find_split_points(store, prefix, share, max_requests) for prefix in prefixes))
        if splits:
            order = splits[0].order
        for number, (prefix, split) in enumerate(zip(prefixes, splits, strict=True)):
            points += [(prefix, position, point) for position, point in enumerate(split.points, 1)]
            if number or last > first:
                points.append((prefix, 0, prefix))
    parts = min(share, last - first)
    for part in range(1, parts):
        name = names[first + part * (last - first) // parts - 1]
        points.append((name, 0, name))
    chosen = [point for _, _, point in sorted(points)]
    if len(chosen) >= shards:
        chosen = [chosen[number * len(chosen) // shards] for number in range(1, shards)]
    return Split(chosen, order)


def _unambiguous(text: str) -> str:
    """Return the part of a text before the first character that UTF-8 and UTF-16 order differently."""
    return next((text[:index] for index, char in enumerate(text) if char > LAST_UNAMBIGUOUS), text)


def _same_in_all_orders(text: str, shared: str) -> str:
    """Return the part of a text that orders keys alike whether or not `/` comes before every other character.

    Only `/` and the characters before it change places between these orders. In `shared`, with which all keys begin,
    they do no harm. The result is empty if nothing is left after `shared`.
    """
    end = next((index for index, char in enumerate(text) if char < "0" and index >= len(shared)), len(text))
    return text[:end] if end > len(shared) else ""


def _ascending(texts: list[str]) -> list[str]:
    """Return `texts` without those that are not greater than all before them."""
    kept: list[str] = []
    for text in texts:
        if text > (kept[-1] if kept else ""):
            kept.append(text)
    return kept
