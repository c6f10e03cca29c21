"""Layouts of large buckets. Keys are computed from their index, so millions of objects take no memory."""

from __future__ import annotations

import datetime
import itertools
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import overload

from headwater.domain.objects import Key

OBJECTS = 3_000_000

_MIXED = 2**61 - 1
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

    def sizes(self, points: Sequence[Key]) -> list[int]:
        """Return how many keys each of the shards between these split points has."""
        ends = [bisect_right(self, point) for point in points]
        return [end - begin for begin, end in itertools.pairwise([0, *ends, self._count])]


def _folder(index: int) -> Key:
    return f"train/class_{index // 1000:04}/img_{index:08}.jpg"


def _flat(index: int) -> Key:
    return f"projects/2026/recordings/front camera/export-final/frame_{index:010}.png"


def _date(index: int) -> Key:
    moment = datetime.datetime(2023, 1, 1) + datetime.timedelta(seconds=30 * index)
    return f"{moment:%Y/%m/%d}/cam_{moment:%H%M%S}.jpg"


def _hash(index: int) -> Key:
    return f"{((index << 64) + index * 0x9E3779B97F4A7C15 % _MIXED * 8) * 2**64 // OBJECTS:032x}.jpg"


def _uneven(index: int) -> Key:
    """Three hundred folders of ten files, and one folder between them that has nearly all files."""
    small, huge = 1490, OBJECTS - 3000
    if index < small:
        return f"{index // 10:03}/{index % 10}.jpg"
    if index < small + huge:
        return f"149-all/img_{index - small:08}.jpg"
    return f"{(index - huge) // 10:03}/{(index - huge) % 10}.jpg"


def _words(index: int) -> Key:
    """Eight folders named by words, each twice as large as the one before it."""
    place = (index + OBJECTS // 255) * 255 // OBJECTS
    number = min(place.bit_length() - 1, 7)
    return f"{_WORDS[number]}/{index:07} – é🦊.jpg"


LAYOUTS = {
    "numbered folders": Layout(_folder),
    "flat, long prefix": Layout(_flat),
    "dates": Layout(_date),
    "hashes": Layout(_hash),
    "one huge folder": Layout(_uneven),
    "folders in words": Layout(_words),
}
"""Typical buckets, by name."""
