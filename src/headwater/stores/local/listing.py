"""Listing a folder tree in key order, one page at a time, starting after any key.

The entries of a folder are sorted with folders as `name/`. That is the order of complete keys as bytes: `a-b` and
`a.txt` precede everything in `a`, because `-` and `.` are less than `/`. (Python compares text by code point, which for
UTF-8 names is the order of their bytes.) A symbolic link has two entries, `name` and `name/`. What it points to is
determined when the listing reaches an entry, and one of the two is then skipped.

A listing holds the names of at most one folder per level, and a page deep in the tree reads only the folders on its own
path. Folders that are too deep are left out (`paths.MAX_DEPTH`).
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from headwater.domain.objects import Key, StoredObject, StorePage
from headwater.stores.local.inodes import generation_of, inodes_are_stable
from headwater.stores.local.listing_cache import ListingCache
from headwater.stores.local.paths import MAX_DEPTH, MAX_PATH_BYTES, byte_count
from headwater.stores.local.root import (
    ABSENT,
    LIST_PERMISSION,
    READ_NAMES,
    LocalRoot,
    Name,
    Parts,
    etag_of,
    explain,
    explain_folder,
    is_name,
    is_utf8,
    modified_of,
    parts_of,
    shown,
)

MAX_OPEN_FOLDERS = 64
"""Folders on the path of a page that are held open; those further up are opened again from below."""

LOST_AND_FOUND = "lost+found"
"""A folder that file systems reserve and only root may read: skipped if it cannot be read."""

_STAT_PERMISSION = LIST_PERMISSION + ", and, if the name is a link, on the folder that it points to"


@dataclass(slots=True)
class _Level:
    """A folder on the path of the listing.

    Attributes:
        base: its key, ending in `/`, or empty.
        folder: its descriptor; None while it is closed.
        real: its path without links.
        identity: its device and inode.
        prefix: only entries that begin with it are listed.
        resume: the entry to start after.
        child: a folder to list before this one's entries are read, and the key in it to start after.
        names: its entries, once they are read.
        index: the next entry.
    """

    base: Key
    folder: int | None
    real: Parts
    identity: tuple[int, int]
    prefix: str = ""
    resume: Name | None = None
    child: tuple[Name, Key] | None = None
    names: list[Name] | None = None
    index: int = 0

    def start_after(self, key: Key) -> None:
        """Start strictly after a key relative to this folder. The empty key is the folder itself."""
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
class TreeWalk:
    """The traversal for one page of a listing. Call `page` once.

    Args:
        root: the mount root.
        folder: the datasource's folder.
        cache: the names in large folders.
        page_seconds: seconds after which the page ends short.
        use_inodes: whether the generation of a file contains its inode number, on file systems that keep it.

    Attributes:
        left_out: how many folders and files the page left out because they are too deep, or their paths too long.
    """

    root: LocalRoot
    folder: Parts
    cache: ListingCache
    page_seconds: float
    use_inodes: bool = False
    left_out: int = 0
    _levels: list[_Level] = field(default_factory=list)
    _path: set[tuple[int, int]] = field(default_factory=set)
    _reached: Key | None = None
    _deadline: float = 0.0
    _stable: dict[int, bool] = field(default_factory=dict)
    _folder_bytes: int = 0

    def page(self, prefix: str, after: Key | None, limit: int) -> StorePage:
        """Return a page of at most `limit` files whose key begins with `prefix`, strictly after the key `after`.

        Raises:
            StoreError: the folder does not exist, or a folder in it cannot be read.
        """
        self._deadline = time.monotonic() + self.page_seconds
        self._folder_bytes = byte_count("/".join(self.folder))
        try:
            return self._page(limit) if self._begin(prefix, after) else StorePage([], None)
        finally:
            for level in self._levels:
                level.close()

    def _begin(self, prefix: str, after: Key | None) -> bool:
        """Open the folder that `prefix` names. Return False if the page must be empty."""
        try:
            top, real = self.root.open_folder(self.folder, READ_NAMES)
        except OSError as error:
            raise explain_folder(error, self.folder) from None
        level = _open_level("", top, real)
        self._levels.append(level)
        self._path.add(level.identity)
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
            self._path.add(entered.identity)
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
        folder: str | None = None
        while self._levels:
            level = self._levels[-1]
            # Not before the page has reached an entry, or the next one would begin at the same place again.
            if self._reached is not None and time.monotonic() >= self._deadline:
                return StorePage(objects, self._reached, unreadable, unreadable_folder=folder)
            if not self._reopen(level):
                self._leave(level)
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
                    folder = level.base if folder is None else folder
                    continue
                key = self._reached = level.base + name
                if name[-1] == "/":
                    if time.monotonic() >= self._deadline:
                        return StorePage(objects, key, unreadable, unreadable_folder=folder)
                    if entered := self._enter(level, name[:-1]):
                        self._descend(entered)
                        break
                    continue
                if self._is_too_long(key):
                    self.left_out += 1
                elif found := self._stat(level, name):
                    generation = self._generation(level, found)
                    objects.append(StoredObject(key, found.st_size, modified_of(found), etag_of(found), generation))
                if len(objects) >= limit or time.monotonic() >= self._deadline:
                    return StorePage(objects, key, unreadable, unreadable_folder=folder)
            else:
                self._leave(level)
        return StorePage(objects, None, unreadable, unreadable_folder=folder)

    def _entries(self, level: _Level) -> list[Name]:
        if level.names is None:
            assert level.folder is not None
            began = time.monotonic()
            try:
                names = self.cache.entries(level.folder, fresh=level.resume is None)
            except OSError as error:
                raise explain(error, f"list the folder {shown(level.real)}", LIST_PERMISSION) from None
            now = time.monotonic()
            if now - began > self.page_seconds / 2:
                # Otherwise a folder that takes long to read would leave no time for its entries.
                self._deadline = max(self._deadline, now + self.page_seconds / 2)
            level.index = max(
                bisect_left(names, level.prefix), 0 if level.resume is None else bisect_right(names, level.resume)
            )
            level.names = names
        return level.names

    def _stat(self, level: _Level, name: Name) -> os.stat_result | None:
        """Return the state of a regular file; None for anything else, or if it no longer exists."""
        assert level.folder is not None
        try:
            return self.root.stat_file(level.folder, level.real, name)
        except OSError as error:
            if error.errno in ABSENT:
                return None
            raise explain(error, f"look at {name!r} in the folder {shown(level.real)}", _STAT_PERMISSION) from None

    def _generation(self, level: _Level, found: os.stat_result) -> str | None:
        """Return the generation of a file in a folder; None if its ETag must do."""
        device = found.st_dev
        # The file system of a link's target may be another one, which nobody has asked about.
        if not self.use_inodes or device != level.identity[0]:
            return None
        stable = self._stable.get(device)
        if stable is None:
            assert level.folder is not None
            try:
                # Once per page, not per process: device numbers are used again for what is mounted later.
                stable = self._stable[device] = inodes_are_stable(level.folder)
            except OSError as error:
                raise explain(error, f"list the folder {shown(level.real)}", LIST_PERMISSION) from None
        return generation_of(found) if stable else None

    def _enter(self, level: _Level, name: Name) -> _Level | None:
        """Open a folder. Return None if it is no folder or has gone, or is a link out of the root or to a parent."""
        assert level.folder is not None
        base = f"{level.base}{name}/"
        if len(self.folder) + base.count("/") >= MAX_DEPTH or self._is_too_long(base):
            self.left_out += 1
            return None
        try:
            folder, real = self.root.enter(level.folder, level.real, name, READ_NAMES)
        except OSError as error:
            if error.errno in ABSENT or (isinstance(error, PermissionError) and name == LOST_AND_FOUND):
                return None
            raise explain(error, f"list the folder {shown((*level.real, name))}", LIST_PERMISSION) from None
        entered = _open_level(base, folder, real)
        if entered.identity in self._path:
            entered.close()
            return None
        return entered

    def _descend(self, level: _Level) -> None:
        self._levels.append(level)
        self._path.add(level.identity)
        if len(self._levels) > MAX_OPEN_FOLDERS:
            self._levels[-MAX_OPEN_FOLDERS - 1].close()

    def _leave(self, level: _Level) -> None:
        """Go back from the last level to the one above it."""
        self._levels.pop()
        self._path.discard(level.identity)
        if level.folder is not None and self._levels and self._levels[-1].folder is None:
            # From the root on it would take as many steps as the folder is deep, for each folder.
            self._levels[-1].folder = self.root.parent(level.folder, self._levels[-1].identity)
        level.close()

    def _is_too_long(self, key: Key) -> bool:
        room = MAX_PATH_BYTES - self._folder_bytes
        return len(key) * 4 > room and len(key.encode()) > room

    def _reopen(self, level: _Level) -> bool:
        """Open a folder again that was closed to limit open folders. Return False if it no longer exists."""
        if level.folder is None:
            try:
                level.folder, level.real = self.root.open_folder(level.real, READ_NAMES)
            except OSError as error:
                if error.errno in ABSENT:
                    return False
                raise explain(error, f"list the folder {shown(level.real)}", LIST_PERMISSION) from None
        return True
