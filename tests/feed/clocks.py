"""Clocks that tests set, in a file that the servers of the tests read. Each history has a clock of its own."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

HEADER = "x-test-clock"
"""The request header with the number of the clock that the server uses for this request."""

FILE = "TEST_CLOCKS_FILE"
"""The environment variable with the path of the file."""

AHEAD = "TEST_CLOCKS_AHEAD"
"""The environment variable with the seconds that a server adds to every clock: clocks of replicas differ."""

BEGINNING = 1_000_000_000
"""The first second of a history. It is far from the real time: code that mixes the two is noticed."""

_CLOCK = struct.Struct("<q")
_COUNT = 4096
"""Clocks in the file. The number of a clock is used again when its history has long ended."""


class Clocks:
    """All clocks of a test run.

    Args:
        file: the file, which is created if it does not exist.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        if not file.exists():
            file.write_bytes(_CLOCK.pack(BEGINNING) * _COUNT)
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), 0)
        self._taken = 0

    def new(self) -> Clock:
        """Return a clock that stands at the beginning."""
        self._taken += 1
        clock = Clock(self, self._taken % _COUNT)
        clock.now = BEGINNING
        return clock

    def read(self, number: int) -> int:
        """Return the Unix seconds of a clock."""
        return int(_CLOCK.unpack_from(self._map, number * _CLOCK.size)[0])

    def write(self, number: int, seconds: int) -> None:
        """Set a clock. All processes see it immediately."""
        _CLOCK.pack_into(self._map, number * _CLOCK.size, seconds)

    def close(self) -> None:
        """Close the file."""
        self._map.close()


class Clock:
    """The clock of one history."""

    def __init__(self, clocks: Clocks, number: int) -> None:
        self._clocks = clocks
        self.number = number

    @property
    def now(self) -> int:
        """The Unix seconds."""
        return self._clocks.read(self.number)

    @now.setter
    def now(self, seconds: int) -> None:
        self._clocks.write(self.number, seconds)
