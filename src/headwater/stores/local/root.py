"""The mount root of LOCAL datasources: every way to a disk goes through here, and none leads out of it.

Folders are opened one name at a time, each relative to the one before and without following links, so that nothing
that is swapped between a check and its use can lead elsewhere. Where a name is a symbolic link, the whole path is
resolved, and if it still lies below the root, the resolved path is walked in the same way.

Everything here blocks, where a disk hangs for ever: run it by `threads`. Failures are `OSError`; `explain` turns
one into what a store may raise.
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

Name = str
"""One name in a folder. A byte that is not UTF-8 stands in it as a lone surrogate (`surrogateescape`)."""

Parts = tuple[Name, ...]
"""A path below the mount root; () is the root itself."""

_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PASS = _FOLDER | getattr(os, "O_PATH", os.O_RDONLY)
"""Flags that open a folder to go through it: the permission to search it is enough."""

READ_NAMES = _FOLDER | os.O_RDONLY
"""Flags that open a folder to read the names in it."""

_READ_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

ABSENT = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG))
"""Errors that say that there is no such file."""

TO_LIST = "read and execute permission on the folder"
TO_READ = "read permission on the file, and execute permission on the folders above it"
TO_WRITE = "write and execute permission on the folder"

_BLOCK = 2**20
"""Bytes asked for at once: Python sets aside as many before it knows how many there are."""

_NO_FILE_HERE = ABSENT | {errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.EINVAL, errno.EILSEQ}
_REFUSED = frozenset((errno.EACCES, errno.EPERM))
_UTF8 = sys.getfilesystemencoding().lower() == "utf-8"


def encode(name: Name) -> bytes:
    """Return a name as the disk has it."""
    return name.encode("utf-8", "surrogateescape")


def decode(raw: bytes) -> Name:
    """Return a name as this module has it."""
    return raw.decode("utf-8", "surrogateescape")


def entry_name(entry: os.DirEntry[str]) -> Name:
    """Return the name of a folder's entry, also where the locale has Python decode names as something else."""
    return entry.name if _UTF8 else decode(os.fsencode(entry.name))


def is_utf8(name: Name) -> bool:
    """Whether a name can be (part of) a key."""
    try:
        return name.isascii() or bool(name.encode())
    except UnicodeEncodeError:
        return False


def is_name(text: str) -> bool:
    """Whether a file may have this name."""
    return bool(text) and text not in (".", "..") and "/" not in text and "\0" not in text and is_utf8(text)


def parts_of(key: Key) -> Parts | None:
    """Split a key into names; None where no file on a disk can have this key."""
    parts = tuple(key.split("/"))
    return parts if all(map(is_name, parts)) else None


class OutsideRootError(FileNotFoundError):
    """A symbolic link leads out of the mount root. To whoever reads or lists, there is nothing."""


class _IsLinkError(Exception):
    """A name on the way is a symbolic link."""


class OpenFile:
    """A regular file below the mount root, open for reading. Whoever has one closes it."""

    __slots__ = ("_fd", "stat")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        try:
            self.stat = os.fstat(fd)
        except BaseException:
            self.close()
            raise

    def read_at(self, offset: int, size: int) -> bytes:
        """Read `size` bytes from `offset`; fewer where the file ends before."""
        blocks = []
        while size > 0 and (block := os.pread(self._fd, min(size, _BLOCK), offset)):
            blocks.append(block)
            offset += len(block)
            size -= len(block)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def close(self) -> None:
        """Give the descriptor back.

        A thread may still be about to read for a request that has ended; nobody looks at what it gets.
        """
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class LocalRoot:
    """A mount root. Holds nothing open, so that what is mounted there may change.

    Args:
        path: the folder; it may be a link itself.
        hidden: folders that are as if they were not there, wherever below the root they lie and by whatever links
            they are reached.
    """

    def __init__(self, path: Path, hidden: Iterable[Path] = ()) -> None:
        self.path: Final = os.fsencode(path)
        self._hidden: Final = frozenset(found for folder in hidden if (found := _identity_at(folder)) is not None)

    def open_folder(self, parts: Parts, flags: int) -> tuple[int, Parts]:
        """Open a folder, following links that stay inside.

        Args:
            parts: the path.
            flags: `PASS` or `READ_NAMES`.

        Returns:
            The descriptor, to be closed by the caller, and the path without links.

        Raises:
            OutsideRootError: a link leads out of the root.
            OSError: there is no such folder, or it cannot be opened.
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
        """Open the folder `name` in the open folder `folder`, whose path without links is `real`. As `open_folder`."""
        try:
            return self._open_in(folder, name, flags), (*real, name)
        except _IsLinkError:
            # A quick look before resolving: among linked files, each link is asked whether it is a folder.
            if not _may_be_folder(folder, name):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
            return self.open_folder((*real, name), flags)

    def stat_file(self, folder: int, real: Parts, name: Name) -> os.stat_result | None:
        """Look at `name` in an open folder; None where it is not a regular file, or a link that leads out.

        Raises:
            OSError: it is gone, or cannot be looked at.
        """
        found = os.stat(encode(name), dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            target = self._resolve((*real, name))
            if not target:
                return None
            try:
                at = self.walk(target[:-1], PASS)
            except _IsLinkError:
                raise _loop() from None
            try:
                found = os.stat(encode(target[-1]), dir_fd=at, follow_symlinks=False)
            finally:
                os.close(at)
        return found if stat.S_ISREG(found.st_mode) else None

    def open_file(self, parts: Parts) -> OpenFile:
        """Open a regular file for reading, following links that stay inside.

        Raises:
            FileNotFoundError: there is none: also for folders, devices, pipes, sockets and links that lead out.
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
        at = os.open(self.path, (PASS if parts else flags) & ~os.O_NOFOLLOW)
        for left, name in zip(range(len(parts) - 1, -1, -1), parts, strict=True):
            above = at
            try:
                at = self._open_in(above, name, PASS if left else flags)
            finally:
                os.close(above)
        return at

    def _open_in(self, folder: int, name: Name, flags: int) -> int:
        """Open a folder in a folder. Every way into one leads through here, so this is where one is hidden."""
        opened = _open_in(folder, name, flags)
        if self._hidden and _identity(os.fstat(opened)) in self._hidden:
            os.close(opened)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return opened

    def _open_file(self, parts: Parts) -> OpenFile:
        if not parts:
            raise _not_a_file()
        at = self.walk(parts[:-1], PASS)
        try:
            name = encode(parts[-1])
            # Looked at before it is opened: opening is enough to make a device or a pipe do something.
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
        # Which of the two a link is answered with differs between systems.
        if error.errno in (errno.ELOOP, errno.ENOTDIR) and stat.S_ISLNK(
            os.stat(raw, dir_fd=folder, follow_symlinks=False).st_mode
        ):
            raise _IsLinkError from None
        raise


def _may_be_folder(folder: int, name: Name) -> bool:
    try:
        return stat.S_ISDIR(os.stat(encode(name), dir_fd=folder).st_mode)
    except PermissionError:
        return True  # resolving the link then tells whether it leads out, or what inside may not be looked at


def _loop() -> OSError:
    return OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _not_a_file() -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "not a regular file")


def etag_of(state: os.stat_result) -> str:
    """Return a file's strong ETag, quotes included: from its modification time (ns) and its size.

    The inode is no part of it: it differs between servers, and between two mounts of one network file system.
    """
    return f'"{state.st_mtime_ns:x}-{state.st_size:x}"'


def modified_of(state: os.stat_result) -> int:
    """Return a file's modification time in whole Unix seconds, floored, never negative."""
    return max(0, state.st_mtime_ns // 10**9)


def shown(parts: Parts) -> str:
    """Return a path below the mount root for an error text; never a path of the server."""
    return repr("/".join(parts)) if parts else "the mount root"


def explain(error: OSError, doing: str, permission: str) -> StoreError:
    """Turn what the operating system says into what a store may raise.

    Args:
        error: what it said.
        doing: the operation and what it was done to: "read 'a/b.png'".
        permission: what the user that the server runs as needs: "read permission on the file".
    """
    code = errno.errorcode.get(error.errno or 0, "EIO")
    says = f"{code}: {os.strerror(error.errno or errno.EIO)}"
    if error.errno in _REFUSED:
        return CredentialsRefusedError(
            f"cannot {doing} ({says}): the user that the server runs as needs {permission}", code
        )
    if error.errno == errno.EROFS:
        return CredentialsRefusedError(f"cannot {doing} ({says}): mount the file system for writing", code)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreUnavailableError(f"cannot {doing} ({says}): free some space and try again", code)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return StoreUnavailableError(f"cannot {doing} ({says}): the server has too many files open; try again", code)
    if isinstance(error, OutsideRootError):
        return LocationInvalidError(f"cannot {doing}: a symbolic link leads out of the mount root", code)
    if error.errno in _NO_FILE_HERE:
        return LocationInvalidError(f"cannot {doing} ({says}): no file can be of this name here", code)
    return StoreUnavailableError(f"cannot {doing} ({says}): the disk or network mount behind it has a fault", code)


def explain_folder(error: OSError, folder: Parts) -> StoreError:
    """Turn the failure to open a datasource's own folder into what a store may raise."""
    if isinstance(error, OutsideRootError):
        return LocationInvalidError(f"{shown(folder)} leads out of the mount root, by a symbolic link", "ENOENT")
    if error.errno in ABSENT:
        return LocationInvalidError(f"{shown(folder)} is not a folder below the mount root", "ENOENT")
    return explain(error, f"open the folder {shown(folder)}", TO_LIST)
