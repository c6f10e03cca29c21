"""Many names in sorted order, in little memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from headwater.domain.objects import Key

BLOCK_NAMES = 256
"""Names that are stored in one piece of bytes, and unpacked together."""


class SortedNames:
    """Sorted names without duplicates. They take about as much memory as their text.

    Args:
        names: strictly ascending, as UTF-8, without line breaks.
    """

    def __init__(self, names: Iterable[bytes] = ()) -> None:
        self._firsts: list[bytes] = []
        self._blocks: list[bytes] = []
        self._count = 0
        block: list[bytes] = []
        for name in names:
            block.append(name)
            if len(block) == BLOCK_NAMES:
                self._add(block)
                block = []
        if block:
            self._add(block)

    def _add(self, block: list[bytes]) -> None:
        self._firsts.append(block[0])
        self._blocks.append(b"\n".join(block))
        self._count += len(block)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Key:
        return self._block(index // BLOCK_NAMES)[index % BLOCK_NAMES].decode()

    def __contains__(self, key: object) -> bool:
        if not self._count or not isinstance(key, str):
            return False
        raw = key.encode()
        number = bisect_right(self._firsts, raw) - 1
        return number >= 0 and b"\n" not in raw and raw in self._block(number)

    def packed(self) -> Iterator[bytes]:
        """Iterate over the names as UTF-8. One block is unpacked at a time."""
        for number in range(len(self._blocks)):
            yield from self._block(number)

    def index(self, key: Key, *, after_equal: bool = False) -> int:
        """Return how many names are less than `key`; with `after_equal`, less than or equal to it."""
        raw = key.encode()
        number = max(0, bisect_right(self._firsts, raw) - 1)
        if number >= len(self._blocks):
            return 0
        return number * BLOCK_NAMES + (bisect_right if after_equal else bisect_left)(self._block(number), raw)

    def end_of_prefix(self, prefix: str) -> int:
        """Return the index of the first name after those that begin with `prefix`."""
        low, high = self.index(prefix), len(self)
        while low < high:
            middle = (low + high) // 2
            if self[middle].startswith(prefix):
                low = middle + 1
            else:
                high = middle
        return low

    def part(self, begin: int, end: int) -> list[Key]:
        """Return the names from index `begin` to before index `end`."""
        begin, end = max(begin, 0), min(end, self._count)
        if begin >= end:
            return []
        found: list[bytes] = []
        for number in range(begin // BLOCK_NAMES, (end - 1) // BLOCK_NAMES + 1):
            found += self._block(number)
        first = begin % BLOCK_NAMES
        return [name.decode() for name in found[first : first + end - begin]]

    def _block(self, number: int) -> list[bytes]:
        return self._blocks[number].split(b"\n")
