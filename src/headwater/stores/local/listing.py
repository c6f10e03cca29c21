"""Listing a folder tree in key order, a page at a time, from any key on.

A folder's entries are sorted with folders as `name/`. That is the order of whole keys as bytes: `a-b` and `a.txt`
come before everything in `a`, for `-` and `.` are less than `/`. (Python compares text by code point, which for
UTF-8 names is the order of their bytes.) A symbolic link stands in the list twice, as `name` and as `name/`; what it
leads to is found out when its turn comes, and one of the two is then passed over.

At most one folder's names per level are held, and a page deep in the tree reads only the folders on its own path.
"""

from __future__ import annotations

import os
import re
import time
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from headwater.domain.objects import Key, StoredObject, StorePage
from headwater.stores.local.root import (
    ABSENT,
    READ_NAMES,
    TO_LIST,
    LocalRoot,
    Name,
    Parts,
    entry_name,
    etag_of,
    explain,
    explain_folder,
    is_name,
    is_utf8,
    modified_of,
    parts_of,
    shown,
)

TIME_SLICE = 1.5
"""Seconds after which a page ends short, with `resume_after` where it stands."""

OPEN_LEVELS = 64
"""Folders of one page's path that are held open; those further up are opened again when their turn comes."""

TEMPORARY = re.compile(r"\.headwater-[0-9a-f]{32}\.tmp")
"""Names under which `LocalStore.write` prepares a file; never listed."""

SORTED_AT_ONCE = 50_000
"""Names sorted in one step, some 25 ms."""

LOST_AND_FOUND = "lost+found"
"""A folder that file systems keep for themselves, closed to all but root: passed over where it cannot be read."""

_TO_LOOK = TO_LIST + ", and where the name is a link, on the one that it leads to"
_ALL = ""


class _Entries(NamedTuple):
    stamp: tuple[int, int]
    read_at: float
    names: list[Name]


class ListingCache:
    """The sorted entries of large folders, so that each page of one does not read and sort it again.

    An entry is good while the folder's modification and change times are what they were, if those were old
    enough when it was read (a change within the clock's grain would not show; git treats its index likewise),
    and for `MAX_AGE` seconds at the most: not every file system keeps the times of folders, mounted buckets do
    not. For the same reason a listing that begins with a folder reads it anew, always; only its later pages
    are answered from here.
    """

    MIN_NAMES = 500
    """Smaller folders are read again; that costs less than pushing large ones out."""

    MAX_NAMES = 1_000_000
    """Held in all, some 100 MB; a single folder may be above it, and is then the only one."""

    MAX_AGE = 60.0
    SETTLED_NS = 2 * 10**9

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: OrderedDict[tuple[int, int], _Entries] = OrderedDict()
        self._names = 0

    def entries(self, folder: int, *, fresh: bool) -> list[Name]:
        """Return the sorted entries of an open folder; they are shared, so leave them as they are.

        Args:
            folder: opened with `READ_NAMES`.
            fresh: read it in any case.

        Raises:
            OSError: it cannot be read.
        """
        state = os.fstat(folder)
        place, stamp = (state.st_dev, state.st_ino), (state.st_mtime_ns, state.st_ctime_ns)
        now = time.monotonic()
        if not fresh:
            with self._lock:
                held = self._held.get(place)
                if held and held.stamp == stamp and now - held.read_at < self.MAX_AGE:
                    self._held.move_to_end(place)
                    return held.names
        settled = time.time_ns() - max(stamp) > self.SETTLED_NS
        names = read_entries(folder)
        with self._lock:
            self._drop(place)
            if settled and len(names) >= self.MIN_NAMES:
                self._held[place] = _Entries(stamp, now, names)
                self._names += len(names)
                while self._names > self.MAX_NAMES and len(self._held) > 1:
                    self._drop(next(iter(self._held)))
        return names

    def _drop(self, place: tuple[int, int]) -> None:
        if held := self._held.pop(place, None):
            self._names -= len(held.names)


LISTINGS = ListingCache()
"""Shared by all stores of the process: entries are told apart by device and inode."""


def read_entries(folder: int) -> list[Name]:
    """Read and sort the entries of an open folder: files, links, and folders as `name/`. Nothing else is named."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry_name(entry)
            if entry.is_file(follow_symlinks=False):
                if not name.startswith(".headwater-") or not TEMPORARY.fullmatch(name):
                    names.append(name)
            elif entry.is_dir(follow_symlinks=False):
                names.append(name + "/")
            elif entry.is_symlink():
                names.append(name)
                if is_utf8(name):  # or it would be counted twice
                    names.append(name + "/")
    return sort_in_steps(names)


def sort_in_steps(names: list[Name], step: int = SORTED_AT_ONCE) -> list[Name]:
    """Sort names as `sorted` does, in steps between which other threads have their turn.

    One `sort` of a million names holds the interpreter's lock for 0.7 s, and with it every request. Here runs of
    `step` names are sorted, then cut at the same few names, and what lies between two cuts is merged: that takes no
    longer in all, and no step longer than some 30 ms.
    """
    if len(names) <= step:
        names.sort()
        return names
    runs = [names[at : at + step] for at in range(0, len(names), step)]
    for run in runs:
        run.sort()
    apart = max(1, step // len(runs))
    samples = sorted(name for run in runs for name in run[apart // 2 :: apart])
    merged: list[Name] = []
    begins = [0] * len(runs)
    for number in range(1, len(runs) + 1):
        if number < len(runs):
            cut = samples[number * len(samples) // len(runs)]
            ends = [bisect_left(run, cut) for run in runs]
        else:
            ends = [len(run) for run in runs]
        part: list[Name] = []
        for run, begin, end in zip(runs, begins, ends, strict=True):
            part += run[begin:end]
        part.sort()  # of a few sorted runs, which it finds and merges
        merged += part
        begins = ends
    return merged


@dataclass(slots=True)
class _Level:
    """A folder on the way: `base` is its key, ending in `/` (or empty), `real` its path without links.

    `child` is a folder to go into before this one's entries are read, and the key in it to start after. `resume` is
    the entry to start after. Only entries that begin with `prefix` count.
    """

    base: Key
    folder: int | None
    real: Parts
    identity: tuple[int, int]
    prefix: str = _ALL
    resume: Name | None = None
    child: tuple[Name, Key] | None = None
    names: list[Name] | None = None
    index: int = 0

    def start_after(self, key: Key) -> None:
        """Start strictly after a key relative to this folder; the empty key is the folder itself."""
        if not key:
            return
        head, slash, rest = key.partition("/")
        self.resume = head + slash
        if slash and is_name(head) and self.resume.startswith(self.prefix):
            self.child = (head, rest)

    def close(self) -> None:
        folder, self.folder = self.folder, None
        if folder is not None:
            os.close(folder)


def _open_level(base: Key, folder: int, real: Parts) -> _Level:
    state = os.fstat(folder)
    return _Level(base, folder, real, (state.st_dev, state.st_ino))


@dataclass(slots=True)
class Walk:
    """One page of a listing. For one call of `page`."""

    root: LocalRoot
    folder: Parts
    cache: ListingCache
    time_slice: float
    _levels: list[_Level] = field(default_factory=list)
    _above: list[tuple[int, int]] = field(default_factory=list)
    _stop_at: float = 0.0

    def page(self, prefix: str, after: Key | None, limit: int) -> StorePage:
        """List at most `limit` files whose key begins with `prefix`, strictly after the key `after`.

        Raises:
            StoreError: the folder is not there, or a folder in it cannot be read.
        """
        self._stop_at = time.monotonic() + self.time_slice
        try:
            return self._page(limit) if self._begin(prefix, after) else StorePage([], None)
        finally:
            for level in self._levels:
                level.close()

    def _begin(self, prefix: str, after: Key | None) -> bool:
        """Open the folder that `prefix` names; False where nothing can come."""
        try:
            top, real = self.root.open_folder(self.folder, READ_NAMES)
        except OSError as error:
            raise explain_folder(error, self.folder) from None
        level = _open_level(_ALL, top, real)
        self._levels.append(level)
        base, slash, rest = prefix.rpartition("/")
        base += slash
        parts = parts_of(base[:-1]) if base else ()
        if parts is None:
            return False
        for name in parts:
            entered = self._enter(level, name)
            level.close()
            if entered is None:
                return False
            self._above.append(level.identity)
            self._levels[:] = [level := entered]
        level.prefix = rest
        if after is not None and after > base:
            if not after.startswith(base):
                return False
            level.start_after(after[len(base) :])
        return True

    def _page(self, limit: int) -> StorePage:
        objects: list[StoredObject] = []
        unreadable = 0
        while self._levels:
            level = self._levels[-1]
            if not self._reopen(level):
                self._levels.pop()
                continue
            if level.child is not None:
                (name, rest), level.child = level.child, None
                if entered := self._enter(level, name):
                    entered.start_after(rest)
                    self._descend(entered)
                continue
            names = self._entries(level)
            while level.index < len(names):
                name = names[level.index]
                if not name.startswith(level.prefix):
                    level.index = len(names)
                    break
                level.index += 1
                if not is_utf8(name):
                    unreadable += 1
                    continue
                key = level.base + name
                if name[-1] == "/":
                    if time.monotonic() >= self._stop_at:
                        return StorePage(objects, key, unreadable)
                    if entered := self._enter(level, name[:-1]):
                        self._descend(entered)
                        break
                    continue
                if found := self._look_at(level, name):
                    objects.append(StoredObject(key, found.st_size, modified_of(found), etag_of(found)))
                if len(objects) >= limit or time.monotonic() >= self._stop_at:
                    return StorePage(objects, key, unreadable)
            else:
                level.close()
                self._levels.pop()
        return StorePage(objects, None, unreadable)

    def _entries(self, level: _Level) -> list[Name]:
        if level.names is None:
            assert level.folder is not None
            began = time.monotonic()
            try:
                names = self.cache.entries(level.folder, fresh=level.resume is None)
            except OSError as error:
                raise explain(error, f"list the folder {shown(level.real)}", TO_LIST) from None
            now = time.monotonic()
            if now - began > self.time_slice / 2:
                # Or a folder that takes long to read would leave no time to get anywhere in it.
                self._stop_at = max(self._stop_at, now + self.time_slice / 2)
            level.index = max(
                bisect_left(names, level.prefix), 0 if level.resume is None else bisect_right(names, level.resume)
            )
            level.names = names
        return level.names

    def _look_at(self, level: _Level, name: Name) -> os.stat_result | None:
        """Return what a regular file is; None for anything else, and for what has gone meanwhile."""
        assert level.folder is not None
        try:
            return self.root.stat_file(level.folder, level.real, name)
        except OSError as error:
            if error.errno in ABSENT:
                return None
            raise explain(error, f"look at {name!r} in the folder {shown(level.real)}", _TO_LOOK) from None

    def _enter(self, level: _Level, name: Name) -> _Level | None:
        """Open a folder; None where it is none, has gone meanwhile, leads out, or leads back to itself."""
        assert level.folder is not None
        try:
            folder, real = self.root.enter(level.folder, level.real, name, READ_NAMES)
        except OSError as error:
            if error.errno in ABSENT or (isinstance(error, PermissionError) and name == LOST_AND_FOUND):
                return None
            raise explain(error, f"list the folder {shown((*level.real, name))}", TO_LIST) from None
        entered = _open_level(f"{level.base}{name}/", folder, real)
        if entered.identity in self._above or any(entered.identity == outer.identity for outer in self._levels):
            entered.close()
            return None
        return entered

    def _descend(self, level: _Level) -> None:
        self._levels.append(level)
        if len(self._levels) > OPEN_LEVELS:
            self._levels[-OPEN_LEVELS - 1].close()

    def _reopen(self, level: _Level) -> bool:
        """Open a folder again that was closed to keep few of them open; False where it has gone."""
        if level.folder is None:
            try:
                level.folder, level.real = self.root.open_folder(level.real, READ_NAMES)
            except OSError as error:
                if error.errno in ABSENT:
                    return False
                raise explain(error, f"list the folder {shown(level.real)}", TO_LIST) from None
        return True
