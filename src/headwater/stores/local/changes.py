"""Writing and deleting single files under the mount root. A crash leaves the old content or the new, never a part.

All functions block: call them in a thread. They raise `OSError`.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import ExitStack, suppress
from threading import Lock
from typing import NamedTuple

from headwater.stores.local.paths import TEMPORARY_NAME
from headwater.stores.local.root import (
    READ_NAMES,
    TRAVERSE,
    LocalRoot,
    Name,
    OutsideRootError,
    Parts,
    encode,
    entry_name,
)

SYNC_BYTES = 32 * 2**20
"""Bytes of a new file after which they are synced to the disk, so that `commit` stays within its time limit."""

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def temporary_name() -> Name:
    """Return a new name to prepare a file under. It matches `paths.TEMPORARY_NAME`, so it is never listed."""
    return f".headwater-{secrets.token_hex(16)}.tmp"


def write_file(root: LocalRoot, top: int, real: Parts, parts: Parts, data: bytes) -> None:
    """Create or replace a file, durably.

    Missing folders are created. If the name is a symbolic link, the link is replaced, not followed.

    Args:
        root: the mount root.
        top: the open folder that `parts` is relative to.
        real: the path of `top` without links.
        parts: the path.
        data: the content.

    Raises:
        OSError: the file cannot be written. Only folders that were missing are left behind.
    """
    new = NewFile(root, top, real, parts)
    try:
        new.write(data)
        new.commit()
    finally:
        new.close()


class NewFile:
    """A file that is written in blocks and appears under its name completely or not at all. The caller closes it.

    Args:
        root: the mount root.
        top: the open folder that `parts` is relative to. Missing folders are created.
        real: the path of `top` without links.
        parts: the path.

    Raises:
        OSError: the file cannot be written. Only folders that were missing are left behind.
    """

    def __init__(self, root: LocalRoot, top: int, real: Parts, parts: Parts) -> None:
        self._name = encode(parts[-1])
        self._folder = _enter_or_create_all(root, top, real, parts[:-1])
        try:
            self._temporary: bytes | None = encode(temporary_name())
            self._fd = os.open(self._temporary, _NEW_FILE, 0o666, dir_fd=self._folder)
        except BaseException:
            os.close(self._folder)
            raise
        self._unsynced = 0
        # A caller that gives up closes the file while another thread may still write, and descriptors are reused.
        self._lock = Lock()

    def write(self, data: bytes) -> None:
        """Append to the file."""
        with self._lock:
            if self._fd < 0:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            self._unsynced += len(data)
            if self._unsynced >= SYNC_BYTES:
                os.fdatasync(self._fd)
                self._unsynced = 0

    def commit(self) -> None:
        """Move the file to its name, durably. If the name is a symbolic link, the link is replaced."""
        with self._lock:
            if self._fd < 0 or self._temporary is None:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            os.fsync(self._fd)
            os.rename(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            self._temporary = None
            _sync_folder(self._folder)

    def close(self) -> None:
        """Close all descriptors. A file that was not committed is removed."""
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


class Leftovers(NamedTuple):
    """What `remove_leftovers` found in a folder: the folders in it, and how many temporary files it removed."""

    folders: list[Parts]
    removed: int


def remove_leftovers(root: LocalRoot, folder: Parts, before: float) -> Leftovers:
    """Delete the temporary files in a folder that writes left behind when their process was killed.

    Args:
        root: the mount root.
        folder: the path of the folder. Links in it are not followed.
        before: only files that were last written before this time, in Unix seconds, are deleted.

    Raises:
        OSError: the folder cannot be read.
    """
    folders: list[Parts] = []
    removed = 0
    opened, _ = root.open_folder(folder, READ_NAMES)
    try:
        with os.scandir(opened) as entries:
            for entry in entries:
                name = entry_name(entry)
                if entry.is_dir(follow_symlinks=False):
                    folders.append((*folder, name))
                elif TEMPORARY_NAME.fullmatch(name) and entry.is_file(follow_symlinks=False):
                    with suppress(OSError):
                        if entry.stat(follow_symlinks=False).st_mtime < before:
                            os.unlink(encode(name), dir_fd=opened)
                            removed += 1
    finally:
        os.close(opened)
    return Leftovers(folders, removed)


def create_folders(root: LocalRoot, top: int, parts: Parts) -> None:
    """Create the missing folders of a path.

    Args:
        root: the mount root.
        top: the mount root, open.
        parts: the path, relative to it.

    Raises:
        OSError: a folder cannot be created.
    """
    os.close(_enter_or_create_all(root, top, (), parts))


def delete_file(root: LocalRoot, top: int, real: Parts, parts: Parts) -> None:
    """Delete a file, then its parent folders under `top` that became empty and that a write of this process created.

    A folder is not deleted. If the name is a symbolic link, the link is deleted, not its target.

    Args:
        root: the mount root.
        top: the open folder that `parts` is relative to.
        real: the path of `top` without links.
        parts: the path.

    Raises:
        OSError: the file cannot be deleted, or does not exist.
    """
    with ExitStack() as opened:
        folder, path = top, []
        for name in parts[:-1]:
            parent = folder
            folder, real = root.enter(parent, real, name, TRAVERSE)
            opened.callback(os.close, folder)
            path.append((parent, name, real))
        last = encode(parts[-1])
        if stat.S_ISDIR(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode):
            return
        os.unlink(last, dir_fd=folder)
        # Stops at the first folder that is not empty, cannot be removed, or was entered through a link.
        with suppress(OSError):
            for parent, name, real in reversed(path):
                creation = root.created.find(root.path, real)
                if creation is None:
                    return
                os.rmdir(encode(name), dir_fd=parent)
                root.created.remove(root.path, real, creation)


def _enter_or_create_all(root: LocalRoot, top: int, real: Parts, names: Parts) -> int:
    """Return the open folder of a path, for the caller to close. Missing folders are created."""
    folder = os.dup(top)
    for name in names:
        parent = folder
        try:
            folder, real = _enter_or_create(root, parent, real, name)
        finally:
            os.close(parent)
    return folder


def _enter_or_create(root: LocalRoot, folder: int, real: Parts, name: Name) -> tuple[int, Parts]:
    try:
        return root.enter(folder, real, name, TRAVERSE)
    except OutsideRootError:
        raise
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(encode(name), dir_fd=folder)
            root.created.add(root.path, (*real, name))
            _sync_folder(folder)
        return root.enter(folder, real, name, TRAVERSE)


def _sync_folder(folder: int) -> None:
    """Sync a folder's entries to the disk, if the folder is readable; a writable one need not be."""
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
