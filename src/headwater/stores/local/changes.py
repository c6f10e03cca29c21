"""Writing and removing single files below the mount root, so that a crash leaves the old or the new, never a part.

Everything here blocks: run it in a thread. Failures are `OSError`.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import ExitStack, suppress
from threading import Lock

from headwater.stores.local.root import PASS, READ_NAMES, LocalRoot, Name, OutsideRootError, Parts, encode

MAX_NOTED = 1000

SYNC_EVERY = 32 * 2**20
"""Bytes of a new file after which they are put on disk, so that the last of many does not take longer than it may."""

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class _OwnFolders:
    """The folders that writes of this process made, the latest `MAX_NOTED`: only these may a delete take away.

    A folder that is forgotten stays where it is, empty; one that a user made is never taken for one of ours.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._made: dict[tuple[bytes, Parts], object] = {}

    def note(self, root: LocalRoot, real: Parts) -> None:
        """Remember a folder, by its path without links."""
        with self._lock:
            self._made.pop((root.path, real), None)
            self._made[root.path, real] = object()
            while len(self._made) > MAX_NOTED:
                del self._made[next(iter(self._made))]

    def noted(self, root: LocalRoot, real: Parts) -> object | None:
        """Return what stands for this making of a folder; None where it is none of ours."""
        return self._made.get((root.path, real))

    def forget(self, root: LocalRoot, real: Parts, making: object) -> None:
        """Forget a folder, unless a write has made it again since."""
        with self._lock:
            if self._made.get((root.path, real)) is making:
                del self._made[root.path, real]


OWN_FOLDERS = _OwnFolders()


def temporary_name() -> Name:
    """Make a name to prepare a file under; `listing.TEMPORARY` knows it, so that it is never listed."""
    return f".headwater-{secrets.token_hex(16)}.tmp"


def write_file(root: LocalRoot, top: int, real: Parts, parts: Parts, data: bytes) -> None:
    """Create or replace a file, durably.

    Folders that are missing are made. Where the name is a symbolic link, the link is replaced, not followed.

    Args:
        root: the mount root.
        top: the open folder that `parts` is relative to.
        real: its path without links.
        parts: the path.
        data: the content.

    Raises:
        OSError: it cannot be; nothing but folders that were missing is left behind.
    """
    new = NewFile(root, top, real, parts)
    try:
        new.write(data)
        new.commit()
    finally:
        new.close()


class NewFile:
    """A file that is written bit by bit, and is there under its name at once or not at all. Whoever has one closes it.

    Args:
        root: the mount root.
        top: the open folder that `parts` is relative to; folders that are missing are made.
        real: its path without links.
        parts: the path.

    Raises:
        OSError: it cannot be; nothing but folders that were missing is left behind.
    """

    def __init__(self, root: LocalRoot, top: int, real: Parts, parts: Parts) -> None:
        self._name = encode(parts[-1])
        with ExitStack() as opened:
            folder = _enter_or_make_all(root, top, real, parts[:-1], opened)
            self._temporary: bytes | None = encode(temporary_name())
            self._fd = os.open(self._temporary, _NEW_FILE, 0o666, dir_fd=folder)
            self._folder = os.dup(folder)
        self._unsynced = 0
        # A caller that gave up closes it while another thread may still write, and a descriptor's number is used again.
        self._lock = Lock()

    def write(self, data: bytes) -> None:
        """Add to the file."""
        with self._lock:
            if self._fd < 0:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            self._unsynced += len(data)
            if self._unsynced >= SYNC_EVERY:
                os.fdatasync(self._fd)
                self._unsynced = 0

    def commit(self) -> None:
        """Put the file under its name, durably. Where the name is a symbolic link, the link is replaced."""
        with self._lock:
            if self._fd < 0 or self._temporary is None:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            os.fsync(self._fd)
            os.rename(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            self._temporary = None
            _sync_folder(self._folder)

    def close(self) -> None:
        """Give back what is open; a file that was not committed is as if it had never been."""
        with self._lock:
            if self._fd < 0:
                return
            fd, self._fd = self._fd, -1
            os.close(fd)
            try:
                if self._temporary is not None:
                    with suppress(OSError):
                        os.unlink(self._temporary, dir_fd=self._folder)
            finally:
                os.close(self._folder)


def make_folders(root: LocalRoot, top: int, parts: Parts) -> None:
    """Make the folders of a path that are missing.

    Args:
        root: the mount root.
        top: the mount root, open.
        parts: the path below it.

    Raises:
        OSError: one cannot be made.
    """
    with ExitStack() as opened:
        _enter_or_make_all(root, top, (), parts, opened)


def delete_file(root: LocalRoot, top: int, real: Parts, parts: Parts) -> None:
    """Remove a file, then each folder above it that this left empty, below `top`, if `write_file` has made it.

    A folder is no file, and is left alone. A symbolic link is removed, not followed.

    Args:
        root: the mount root.
        top: the open folder that `parts` is relative to.
        real: its path without links.
        parts: the path.

    Raises:
        OSError: it cannot be removed, or is not there.
    """
    with ExitStack() as opened:
        folder, way = top, []
        for name in parts[:-1]:
            above = folder
            folder, real = root.enter(above, real, name, PASS)
            opened.callback(os.close, folder)
            way.append((above, name, real))
        last = encode(parts[-1])
        if stat.S_ISDIR(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode):
            return
        os.unlink(last, dir_fd=folder)
        # Tidying up: a folder that is not empty, or may not be removed, ends it; a link to a folder does too.
        with suppress(OSError):
            for above, name, place in reversed(way):
                making = OWN_FOLDERS.noted(root, place)
                if making is None:
                    return
                os.rmdir(encode(name), dir_fd=above)
                OWN_FOLDERS.forget(root, place, making)


def _enter_or_make_all(root: LocalRoot, top: int, real: Parts, names: Parts, opened: ExitStack) -> int:
    folder = top
    for name in names:
        folder, real = _enter_or_make(root, folder, real, name)
        opened.callback(os.close, folder)
    return folder


def _enter_or_make(root: LocalRoot, folder: int, real: Parts, name: Name) -> tuple[int, Parts]:
    try:
        return root.enter(folder, real, name, PASS)
    except OutsideRootError:
        raise
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(encode(name), dir_fd=folder)
            OWN_FOLDERS.note(root, (*real, name))
            _sync_folder(folder)
        return root.enter(folder, real, name, PASS)


def _sync_folder(folder: int) -> None:
    """Put a folder's entries on disk, where the system lets us: one that may be written need not be readable."""
    try:
        readable = os.open(b".", READ_NAMES, dir_fd=folder)
    except PermissionError:
        return
    try:
        os.fsync(readable)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that cannot sync a folder
            raise
    finally:
        os.close(readable)
