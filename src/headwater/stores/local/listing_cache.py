"""The sorted names in a folder, kept between the pages of a listing if the folder is large."""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

from headwater.stores.local.paths import TEMPORARY_NAME
from headwater.stores.local.root import Name, entry_name, is_utf8

SORT_RUN_NAMES = 50_000
"""Names sorted in one step, which takes some 25 ms."""


class _Entries(NamedTuple):
    stamp: tuple[int, int]
    read_at: float
    names: list[Name]


class ListingCache:
    """The sorted entries of large folders, so that not every page of one reads and sorts it again.

    Folders are identified by device and inode. The entries of a folder are valid while its modification and change
    times are unchanged, if those were at least `SETTLED_NS` old when it was read: a change within the resolution of
    the clock would not show (git treats its index in the same way). They are valid for `MAX_AGE_SECONDS` at most,
    because not every file system maintains the times of folders; mounted buckets do not. For the same reason the first
    page of a folder always reads it; only later pages use the cache.
    """

    MIN_NAMES = 500
    """Smaller folders are read again; that costs less than evicting large ones."""

    MAX_NAMES = 1_000_000
    """Names held in total, some 100 MB. A single folder may have more, and is then the only one held."""

    MAX_AGE_SECONDS = 60.0
    SETTLED_NS = 2 * 10**9

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: OrderedDict[tuple[int, int], _Entries] = OrderedDict()
        self._names = 0

    def entries(self, folder: int, *, fresh: bool) -> list[Name]:
        """Return the sorted entries of an open folder. Callers must not change the list, which is shared.

        Args:
            folder: opened with `READ_NAMES`.
            fresh: read the folder in any case.

        Raises:
            OSError: the folder cannot be read.
        """
        state = os.fstat(folder)
        identity, stamp = (state.st_dev, state.st_ino), (state.st_mtime_ns, state.st_ctime_ns)
        now = time.monotonic()
        if not fresh:
            with self._lock:
                held = self._held.get(identity)
                if held and held.stamp == stamp and now - held.read_at < self.MAX_AGE_SECONDS:
                    self._held.move_to_end(identity)
                    return held.names
        settled = time.time_ns() - max(stamp) > self.SETTLED_NS
        names = read_entries(folder)
        with self._lock:
            self._drop(identity)
            if settled and len(names) >= self.MIN_NAMES:
                self._held[identity] = _Entries(stamp, now, names)
                self._names += len(names)
                while self._names > self.MAX_NAMES and len(self._held) > 1:
                    self._drop(next(iter(self._held)))
        return names

    def _drop(self, identity: tuple[int, int]) -> None:
        if held := self._held.pop(identity, None):
            self._names -= len(held.names)


def read_entries(folder: int) -> list[Name]:
    """Return the sorted entries of an open folder: files, links, and folders as `name/`."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry_name(entry)
            if entry.is_file(follow_symlinks=False):
                if not name.startswith(".headwater-") or not TEMPORARY_NAME.fullmatch(name):
                    names.append(name)
            elif entry.is_dir(follow_symlinks=False):
                names.append(name + "/")
            elif entry.is_symlink():
                names.append(name)
                if is_utf8(name):  # otherwise it would be counted twice as unreadable
                    names.append(name + "/")
    return sort_in_steps(names)


def sort_in_steps(names: list[Name], step: int = SORT_RUN_NAMES) -> list[Name]:
    """Return the names as `sorted` does, in steps between which other threads can run.

    One `sort` of a million names holds the interpreter's lock for 0.7 s, which stops every request. Here runs of `step`
    names are sorted, then split at the same few names, and the parts between two split points are merged. The total
    time is the same, and no step takes longer than some 30 ms.
    """
    if len(names) <= step:
        names.sort()
        return names
    runs = [names[at : at + step] for at in range(0, len(names), step)]
    for run in runs:
        run.sort()
    distance = max(1, step // len(runs))
    samples = sorted(name for run in runs for name in run[distance // 2 :: distance])
    merged: list[Name] = []
    begins = [0] * len(runs)
    for number in range(1, len(runs) + 1):
        if number < len(runs):
            split_point = samples[number * len(samples) // len(runs)]
            ends = [bisect_left(run, split_point) for run in runs]
        else:
            ends = [len(run) for run in runs]
        part: list[Name] = []
        for run, begin, end in zip(runs, begins, ends, strict=True):
            part += run[begin:end]
        part.sort()  # detects the sorted runs and merges them
        merged += part
        begins = ends
    return merged
