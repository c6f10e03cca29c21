"""The folder that samples are written into. Nothing is ever written outside it.

Where the system can (Linux, macOS), folders are opened one name at a time, each relative to the one before and without
following links, so that nothing that is swapped between a check and its use can lead elsewhere. Elsewhere (Windows)
each name is looked at before it is gone through.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO, Iterator, Optional

from swagger_client.exceptions import OpenApiException
from swagger_client.samples.names import Parts, shown
from swagger_client.samples.twins import Twins

if sys.platform != "win32":
    import fcntl

CAN_OPEN_BELOW = (
    {os.open, os.mkdir, os.stat, os.unlink} <= os.supports_dir_fd and hasattr(os, "O_DIRECTORY") and os.name == "posix"
)
"""Whether files can be named relative to a folder that is open."""

_CLOSED_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _CLOSED_ON_EXEC
_FILE = os.O_RDWR | os.O_CREAT | _NO_LINK | _CLOSED_ON_EXEC | getattr(os, "O_BINARY", 0)
_REPARSE_POINT = 0x400


class InTheWay(OpenApiException):
    """Something in the folder stands where a sample, or a folder on its way, should be."""


class Folder:
    """The folder that samples are written into.

    Args:
        path: of the folder; made where it is missing, and followed where it is a link.
        below: whether to open names relative to open folders.
        folds: whether the file system takes names for one that differ by case or by how accents are encoded.
            Default: found out by trying.

    Raises:
        OSError: it cannot be made or opened.
    """

    def __init__(self, path: Path, below: bool = CAN_OPEN_BELOW, folds: Optional[bool] = None) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = path.resolve()
        self._below = below
        self._twins = Twins(self._path, folds)
        self._top = os.open(self._path, _FOLDER) if below else -1

    def close(self) -> None:
        """Give back what is open."""
        top, self._top = self._top, -1
        if top >= 0:
            os.close(top)

    @contextlib.contextmanager
    def parent(self, parts: Parts) -> Iterator[Parent]:
        """The folder that a file lies in, made where it is missing.

        Args:
            parts: of the file's path.

        Raises:
            InTheWay: a file or a link is where a folder should be, or another name is the same to the file system.
            OSError: a folder cannot be made or opened.
        """
        self._twins.claim(parts)
        parent = Parent(self._path, os.dup(self._top) if self._below else None)
        try:
            for count, name in enumerate(parts[:-1], 1):
                parent.enter(name, shown("/".join(parts[:count])))
            yield parent
        finally:
            parent.close()


class Parent:
    """A folder below the one that samples are written into."""

    def __init__(self, path: Path, descriptor: Optional[int]) -> None:
        self._path = path
        self._descriptor = descriptor

    def close(self) -> None:
        """Give back what is open."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def enter(self, name: str, called: str) -> None:
        """Go into a folder of this one; make it where it is missing.

        Raises:
            InTheWay: it is no folder.
            OSError: it cannot be made or opened.
        """
        present = self._look(name)
        if present is None:
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._at(name), dir_fd=self._descriptor)
            present = self._look(name)
        if present is None or not stat.S_ISDIR(present.st_mode) or _is_link(present):
            raise InTheWay(f"{called} is to be a folder, but {_kind(present)} is there")
        if self._descriptor is None:
            self._path /= name
            return
        try:
            entered = os.open(name, _FOLDER | _NO_LINK, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):  # swapped since it was looked at
                raise InTheWay(f"{called} is to be a folder, but no longer is") from None
            raise
        self.close()
        self._descriptor = entered

    def size(self, name: str, called: str) -> Optional[int]:
        """The size of a file in bytes; None where there is none.

        Raises:
            InTheWay: something else is there.
        """
        present = self._look(name)
        if present is None:
            return None
        if not stat.S_ISREG(present.st_mode) or _is_link(present):
            raise InTheWay(f"{called} is to be a file, but {_kind(present)} is there")
        return present.st_size

    def open_temporary(self, name: str, called: str) -> BinaryIO:
        """Open a file to prepare a sample in, for this process alone, as long as it is open.

        Raises:
            InTheWay: it is no file, or another process is writing it.
            OSError: it cannot be made or opened.
        """
        for _ in range(10):
            self.size(name, f"the temporary file of {called}")
            descriptor = os.open(self._at(name), _FILE, 0o666, dir_fd=self._descriptor)
            file = os.fdopen(descriptor, "r+b", buffering=0)
            try:
                _lock(descriptor, called)
                opened, present = os.fstat(descriptor), self._look(name)
                if present is not None and os.path.samestat(opened, present):
                    return file
            except BaseException:
                file.close()
                raise
            file.close()  # another process has just put it under its final name
        raise InTheWay(f"another process keeps writing {called}")

    def commit(self, temporary: str, name: str) -> None:
        """Put a file that is whole under its name, in place of what was there."""
        os.replace(self._at(temporary), self._at(name), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def discard(self, temporary: str) -> None:
        """Remove a file that will not be gone on with."""
        with contextlib.suppress(FileNotFoundError, PermissionError):  # Windows keeps what is open
            os.unlink(self._at(temporary), dir_fd=self._descriptor)

    def sync(self) -> None:
        """Have the names in this folder on disk, where the system can."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def _at(self, name: str) -> str:
        return name if self._descriptor is not None else str(self._path / name)

    def _look(self, name: str) -> Optional[os.stat_result]:
        try:
            return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None


def _lock(descriptor: int, called: str) -> None:
    """Keep other processes from writing the same file; where the file system has no locks, go without."""
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InTheWay(f"another process is writing {called}") from None
        except OSError:
            pass


def _is_link(present: os.stat_result) -> bool:
    """Whether it leads elsewhere: a symbolic link, or on Windows also a junction."""
    return stat.S_ISLNK(present.st_mode) or bool(getattr(present, "st_file_attributes", 0) & _REPARSE_POINT)


def _kind(present: Optional[os.stat_result]) -> str:
    if present is None:
        return "nothing"
    if _is_link(present):
        return "a symbolic link"
    if stat.S_ISDIR(present.st_mode):
        return "a folder"
    return "a file" if stat.S_ISREG(present.st_mode) else "something that is no file"
