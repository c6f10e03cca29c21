"""How evenly, and with how many requests, a listing is split into shards: a part of `make bench`.

`python -m benchmarks.shards` runs only this. Each key is computed from its index, so that a bucket of millions of
objects needs no memory.
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import overload

from headwater.domain.objects import Key
from headwater.service.listing.splitting import find_split_points
from tests.stores.memory import MemoryStore

OBJECTS = 3_000_000
SHARDS = (8, 32)

_HASH_MODULUS = 2**61 - 1
_WORDS = ("animals", "birds", "cars", "dogs", "fish", "people", "signs", "trains")


class Layout(Sequence[Key]):
    """Keys in ascending order, each computed from its index."""

    def __init__(self, key: Callable[[int], Key], count: int = OBJECTS) -> None:
        self._key = key
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Key: ...

    @overload
    def __getitem__(self, index: slice) -> list[Key]: ...

    def __getitem__(self, index: int | slice) -> Key | list[Key]:
        if isinstance(index, slice):
            return [self._key(number) for number in range(*index.indices(self._count))]
        return self._key(index)

    def sizes(self, split_points: Sequence[Key]) -> list[int]:
        """Return how many keys each shard between these split points has."""
        ends = [bisect_right(self, point) for point in split_points]
        return [end - begin for begin, end in itertools.pairwise([0, *ends, self._count])]


def _folder(index: int) -> Key:
    return f"train/class_{index // 1000:04}/img_{index:08}.jpg"


def _flat(index: int) -> Key:
    return f"projects/2026/recordings/front camera/export-final/frame_{index:010}.png"


def _date(index: int) -> Key:
    moment = datetime.datetime(2023, 1, 1) + datetime.timedelta(seconds=30 * index)
    return f"{moment:%Y/%m/%d}/cam_{moment:%H%M%S}.jpg"


def _hash(index: int) -> Key:
    return f"{((index << 64) + index * 0x9E3779B97F4A7C15 % _HASH_MODULUS * 8) * 2**64 // OBJECTS:032x}.jpg"


def _uneven(index: int) -> Key:
    """Three hundred folders of ten keys, and one folder that contains almost all keys."""
    small, huge = 1490, OBJECTS - 3000
    if index < small:
        return f"{index // 10:03}/{index % 10}.jpg"
    if index < small + huge:
        return f"149-all/img_{index - small:08}.jpg"
    return f"{(index - huge) // 10:03}/{(index - huge) % 10}.jpg"


def _words(index: int) -> Key:
    """Eight folders with words as names, each twice as large as the previous one."""
    position = (index + OBJECTS // 255) * 255 // OBJECTS
    number = min(position.bit_length() - 1, 7)
    return f"{_WORDS[number]}/{index:07} – é🦊.jpg"


LAYOUTS = {
    "numbered folders": Layout(_folder),
    "flat, long prefix": Layout(_flat),
    "dates": Layout(_date),
    "hashes": Layout(_hash),
    "one huge folder": Layout(_uneven),
    "folders in words": Layout(_words),
}
"""Layouts of buckets, by name."""


def rows() -> list[str]:
    """Split the listing of each bucket; return rows of a table."""
    found = []
    for (name, layout), shards in itertools.product(LAYOUTS.items(), SHARDS):
        store = MemoryStore(layout)
        began = time.process_time()
        split_points, _ = asyncio.run(find_split_points(store, "", shards))
        seconds = time.process_time() - began
        sizes, mean = layout.sizes(split_points), len(layout) / shards
        found.append(
            f"| {name} | {shards} | {store.requests} | {store.read_keys:,} ({store.read_keys / len(layout):.1%}) "
            f"| {max(sizes) / mean:.2f} | {min(sizes) / mean:.2f} |"
        )
        print(f"  {name:<20} {shards:3} shards  {store.requests:4} requests  {seconds:5.2f} s of CPU", flush=True)
    return found


def table() -> str:
    """Return the table in `docs/listing.md`."""
    head = "| layout | shards | requests | keys read | largest / mean | smallest / mean |\n|---|---|---|---|---|---|"
    return "\n".join([head, *rows()])


def main() -> None:
    """Measure and print the table."""
    print(f"Splitting the listings of {OBJECTS:,} keys:", flush=True)
    print(f"\n{table()}")


if __name__ == "__main__":
    main()
