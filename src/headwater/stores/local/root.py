"""The mount root of LOCAL datasources. All access to a disk goes through this module, and none leads out of the root.

Folders are opened one name at a time, each relative to the previous one and without following links. So nothing that
is swapped between a check and its use can lead elsewhere. If a name is a symbolic link, the whole path is resolved, and
if the result is under the root, it is opened in the same way.

All functions block, forever if a disk hangs: call them in `disk_threads`. They raise `OSError`; `explain` turns one
into an error that a store may raise.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from headwater.domain.errors import CredentialsRefusedError, LocationInvalidError, StoreError, StoreUnavailableError
from headwater.domain.objects import Key
from headwater.stores.local.created_folders import CreatedFolders

Name = str
"""One name in a folder. A byte that is not UTF-8 is represented by a lone surrogate (`surrogateescape`)."""

Parts = tuple[Name, ...]
"""A path relative to the mount root; () is the root itself."""

_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
TRAVERSE = _FOLDER | getattr(os, "O_PATH", os.O_RDONLY)
"""Flags that open a folder to traverse it. Execute permission on the folder is enough."""

READ_NAMES = _FOLDER | os.O_RDONLY
"""Flags that open a folder to read the names in it."""

_READ_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

ABSENT = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG))
"""Error numbers for "there is no such file"."""

LIST_PERMISSION = "read and execute permission on the folder"
READ_PERMISSION = "read permission on the file, and execute permission on the folders above it"
WRITE_PERMISSION = "write and execute permission on the folder"

_MAX_READ_BYTES = 2**20
"""Bytes per system call: Python allocates them before it knows how many the file has."""

_NO_FILE_HERE = ABSENT | {errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.EINVAL, errno.EILSEQ}
_REFUSED = frozenset((errno.EACCES, errno.EPERM))
_UTF8 = sys.getfilesystemencoding().lower() == "utf-8"


def encode(name: Name) -> bytes:
    """Return a name as the bytes on the disk."""
    return name.encode("utf-8", "surrogateescape")


def decode(raw: bytes) -> Name:
    """Return a name for the bytes on the disk."""
    return raw.decode("utf-8", "surrogateescape")


def entry_name(entry: os.DirEntry[str]) -> Name:
    """Return the name of a folder's entry, even if Python decodes names with another encoding, as the locale says."""
    return entry.name if _UTF8 else decode(os.fsencode(entry.name))


def is_utf8(name: Name) -> bool:
    """Return whether a name can be part of a key."""
    try:
        return name.isascii() or bool(name.encode())
    except UnicodeEncodeError:
        return False


def is_name(text: str) -> bool:
    """Return whether a file can have this name."""
    return bool(text) and text not in (".", "..") and "/" not in text and "\0" not in text and is_utf8(text)


def parts_of(key: Key) -> Parts | None:
    """Return the names in a key; None if no file on a disk can have this key."""
    parts = tuple(key.split("/"))
    return parts if all(map(is_name, parts)) else None


class OutsideRootError(FileNotFoundError):
    """A symbolic link leads out of the mount root. Reads and listings treat it as absent."""


class _IsLinkError(Exception):
    """A name in the path is a symbolic link."""


class OpenFile:
    """A regular file under the mount root, open for reading. The caller closes it."""

    __slots__ = ("_fd", "stat")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        try:
            self.stat = os.fstat(fd)
        except BaseException:
            self.close()
            raise

    def read_at(self, offset: int, size: int) -> bytes:
        """Return `size` bytes from `offset` on; fewer if the file ends before."""
        blocks = []
        while size > 0 and (block := os.pread(self._fd, min(size, _MAX_READ_BYTES), offset)):
            blocks.append(block)
            offset += len(block)
            size -= len(block)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def close(self) -> None:
        """Close the descriptor.

        A thread may still start a read for a request that has ended; its result is discarded.
        """
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class LocalRoot:
    """A mount root. Keeps no descriptor, so that a mount there may change.

    Args:
        path: the folder; it may be a link itself.
        hidden: folders that are treated as absent, wherever under the root they are and through whichever links.
        created: the folders that writes of this process created.
    """

    def __init__(self, path: Path, hidden: Iterable[Path] = (), created: CreatedFolders | None = None) -> None:
        self.path: Final = os.fsencode(path)
        self.created: Final = created or CreatedFolders()
        self._hidden: Final = frozenset(found for folder in hidden if (found := _identity_at(folder)) is not None)

    def open_folder(self, parts: Parts, flags: int) -> tuple[int, Parts]:
        """Open a folder, following links that stay under the root.

        Args:
            parts: the path.
            flags: `TRAVERSE` or `READ_NAMES`.

        Returns:
            The descriptor, to be closed by the caller, and the path without links.

        Raises:
            OutsideRootError: a link leads out of the root.
            OSError: the folder does not exist or cannot be opened.
        """
        try:
            return self.walk(parts, flags), parts
        except _IsLinkError:
            real = self._resolve(parts)
        try:
            return self.walk(real, flags), real
        except _IsLinkError:
            raise _loop() from None

    def enter(self, folder: int, real: Parts, name: Name, flags: int) -> tuple[int, Parts]:
        """Open the folder `name` in the open folder `folder`, whose path without links is `real`; see `open_folder`."""
        try:
            return self._open_in(folder, name, flags), (*real, name)
        except _IsLinkError:
            # A cheap check before resolving: a listing tries to enter every link, and most may point to files.
            if not _may_be_folder(folder, name):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
            return self.open_folder((*real, name), flags)

    def parent(self, folder: int, identity: tuple[int, int]) -> int | None:
        """Open the parent of an open folder to read the names in it, if it still is the folder of this identity.

        A folder that was opened before leads nowhere else. So this is as safe as to keep it open.
        """
        try:
            opened = os.open(b"..", READ_NAMES, dir_fd=folder)
        except OSError:
            return None
        if _identity(os.fstat(opened)) == identity:
            return opened
        os.close(opened)
        return None

    def stat_file(self, folder: int, real: Parts, name: Name) -> os.stat_result | None:
        """Return the state of the regular file `name` in an open folder; None if it is anything else.

        Raises:
            OSError: it does not exist, leads out of the root, or its state cannot be read.
        """
        found = os.stat(encode(name), dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            target = self._resolve((*real, name))
            if not target:
                return None
            try:
                at = self.walk(target[:-1], TRAVERSE)
            except _IsLinkError:
                raise _loop() from None
            try:
                found = os.stat(encode(target[-1]), dir_fd=at, follow_symlinks=False)
            finally:
                os.close(at)
        return found if stat.S_ISREG(found.st_mode) else None

    def open_file(self, parts: Parts) -> OpenFile:
        """Open a regular file for reading, following links that stay under the root.

        Raises:
            FileNotFoundError: there is no such file, or it is a folder, a device, a pipe, a socket or a link out of the
                root.
            OSError: it cannot be opened.
        """
        try:
            return self._open_file(parts)
        except _IsLinkError:
            real = self._resolve(parts)
        try:
            return self._open_file(real)
        except _IsLinkError:
            raise _loop() from None

    def walk(self, parts: Parts, flags: int) -> int:
        """Open a folder by its path without links."""
        at = os.open(self.path, (TRAVERSE if parts else flags) & ~os.O_NOFOLLOW)
        for remaining, name in zip(range(len(parts) - 1, -1, -1), parts, strict=True):
            parent = at
            try:
                at = self._open_in(parent, name, TRAVERSE if remaining else flags)
            finally:
                os.close(parent)
        return at

    def _open_in(self, folder: int, name: Name, flags: int) -> int:
        """Open a folder in a folder. Every folder is opened here, so this is where hidden ones are rejected."""
        opened = _open_in(folder, name, flags)
        if self._hidden and _identity(os.fstat(opened)) in self._hidden:
            os.close(opened)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return opened

    def _open_file(self, parts: Parts) -> OpenFile:
        if not parts:
            raise _not_a_file()
        at = self.walk(parts[:-1], TRAVERSE)
        try:
            name = encode(parts[-1])
            # Checked before it is opened: opening a device or a pipe can have effects.
            found = os.stat(name, dir_fd=at, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                raise _IsLinkError
            if not stat.S_ISREG(found.st_mode):
                raise _not_a_file()
            opened = OpenFile(os.open(name, _READ_FILE, dir_fd=at))
        finally:
            os.close(at)
        if not stat.S_ISREG(opened.stat.st_mode):
            opened.close()
            raise _not_a_file()
        return opened

    def _resolve(self, parts: Parts) -> Parts:
        root = os.path.realpath(self.path)
        inside = root.rstrip(b"/") + b"/"
        real = os.path.realpath(inside + b"/".join(map(encode, parts)))
        if real == root:
            return ()
        if not real.startswith(inside):
            raise OutsideRootError(errno.ENOENT, "a symbolic link leads out of the mount root")
        return tuple(map(decode, real[len(inside) :].split(b"/")))


def _identity_at(folder: Path) -> tuple[int, int] | None:
    try:
        return _identity(folder.stat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _identity(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino


def _open_in(folder: int, name: Name, flags: int) -> int:
    raw = encode(name)
    try:
        return os.open(raw, flags, dir_fd=folder)
    except OSError as error:
        # Systems differ in which of the two they report for a link.
        if error.errno in (errno.ELOOP, errno.ENOTDIR) and stat.S_ISLNK(
            os.stat(raw, dir_fd=folder, follow_symlinks=False).st_mode
        ):
            raise _IsLinkError from None
        raise


def _may_be_folder(folder: int, name: Name) -> bool:
    try:
        return stat.S_ISDIR(os.stat(encode(name), dir_fd=folder).st_mode)
    except PermissionError:
        return True  # resolving the link reports what must not be read, or that it leads out of the root


def _loop() -> OSError:
    return OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _not_a_file() -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "not a regular file")


def etag_of(state: os.stat_result) -> str:
    """Return a file's strong ETag, quotes included: from its modification time (ns) and its size.

    The inode is not part of it: it differs between servers, and between two mounts of one network file system.
    """
    return f'"{state.st_mtime_ns:x}-{state.st_size:x}"'


def modified_of(state: os.stat_result) -> int:
    """Return a file's modification time in whole Unix seconds, floored, never negative."""
    return max(0, state.st_mtime_ns // 10**9)


def shown(parts: Parts) -> str:
    """Return a path relative to the mount root for an error text, which must not contain paths of the server."""
    return repr("/".join(parts)) if parts else "the mount root"


def explain(error: OSError, operation: str, permission: str) -> StoreError:
    """Return the store error for an error of the operating system.

    Args:
        error: the error.
        operation: the operation and its object, such as "read 'a/b.png'".
        permission: what the user that the server runs as needs, such as "read permission on the file".
    """
    code = errno.errorcode.get(error.errno or 0, "EIO")
    reason = f"{code}: {os.strerror(error.errno or errno.EIO)}"
    if error.errno in _REFUSED:
        return CredentialsRefusedError(
            f"cannot {operation} ({reason}): the user that the server runs as needs {permission}", code
        )
    if error.errno == errno.EROFS:
        return CredentialsRefusedError(f"cannot {operation} ({reason}): mount the file system for writing", code)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreUnavailableError(f"cannot {operation} ({reason}): free some space and try again", code)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return StoreUnavailableError(
            f"cannot {operation} ({reason}): the server has too many files open; try again", code
        )
    if isinstance(error, OutsideRootError):
        return LocationInvalidError(f"cannot {operation}: a symbolic link leads out of the mount root", code)
    if error.errno in _NO_FILE_HERE:
        return LocationInvalidError(f"cannot {operation} ({reason}): no file can have this name here", code)
    return StoreUnavailableError(
        f"cannot {operation} ({reason}): the disk or network mount behind it has a fault", code
    )


def explain_folder(error: OSError, folder: Parts) -> StoreError:
    """Return the store error for a datasource's folder that cannot be opened."""
    if isinstance(error, OutsideRootError):
        return LocationInvalidError(f"{shown(folder)} leads out of the mount root, by a symbolic link", "ENOENT")
    if error.errno in ABSENT:
        return LocationInvalidError(f"{shown(folder)} is not a folder below the mount root", "ENOENT")
    return explain(error, f"open the folder {shown(folder)}", LIST_PERMISSION)
