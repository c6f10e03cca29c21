"""The folder that a download writes to. Nothing is ever written outside it.

If the system supports it (Linux, macOS), folders are opened one name at a time, each relative to its parent and
without following links, so a path that is replaced between a check and its use cannot lead elsewhere. On other systems
(Windows) each name is checked before it is used.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO, Iterator, Optional, Union

from headwater_client.case_collisions import CaseCollisionGuard
from headwater_client.file_names import ENCODING_ADVICE, PathParts, is_encodable, printable
from swagger_client.exceptions import ApiValueError, OpenApiException

if sys.platform != "win32":
    import fcntl

SUPPORTS_DIR_FD = (
    {os.open, os.mkdir, os.stat, os.unlink} <= os.supports_dir_fd and hasattr(os, "O_DIRECTORY") and os.name == "posix"
)
"""Whether the system can open a file relative to an open folder."""

_MAX_LOCK_ATTEMPTS = 10
_CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _CLOSE_ON_EXEC
_FILE_FLAGS = os.O_RDWR | os.O_CREAT | _NO_FOLLOW | _CLOSE_ON_EXEC | getattr(os, "O_BINARY", 0)
_REPARSE_POINT = 0x400
_STORAGE_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

_HOW_TO_GO_ON = (
    ": remove what is there, or if another sample needs it, rename one of the two in the store or download it into "
    "another folder"
)


class PathBlockedError(OpenApiException):
    """Something else exists at the path of a sample, or of a folder on that path."""


class TargetFolder:
    """The folder that a download writes to.

    Args:
        path: the folder; created if missing. It may be a link.
        use_dir_fd: whether to open names relative to open folders.
        folds_names: whether the file system treats names as equal that differ in case or in the encoding of accents.
            Default: detected with a test file.

    Raises:
        ApiValueError: the path is empty, or this process cannot encode it.
        OSError: it cannot be created or opened.
    """

    def __init__(
        self,
        path: Union[str, os.PathLike[str]],
        use_dir_fd: bool = SUPPORTS_DIR_FD,
        folds_names: Optional[bool] = None,
    ) -> None:
        name = os.fspath(path)
        if not name:
            raise ApiValueError('folder is empty: name a folder, or "." for the working directory', ["folder"])
        if not is_encodable(name):
            raise ApiValueError(f"the folder {printable(name)} cannot be used: {ENCODING_ADVICE}", ["folder"])
        Path(name).mkdir(parents=True, exist_ok=True)
        self._path = Path(name).resolve()
        self._use_dir_fd = use_dir_fd
        self._collision_guard = CaseCollisionGuard(self._path, folds_names)
        self._descriptor = os.open(self._path, _FOLDER_FLAGS) if use_dir_fd else -1

    def close(self) -> None:
        """Close the folder."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    @contextlib.contextmanager
    def parent(self, parts: PathParts) -> Iterator[ParentFolder]:
        """Open the folder that contains a file; create it if missing.

        Args:
            parts: the path of the file.

        Raises:
            CaseCollisionError: the file system treats another used name as the same.
            PathBlockedError: a file or a link exists at the path of a folder.
            OSError: a folder cannot be created or opened.
        """
        self._collision_guard.claim(parts)
        parent = ParentFolder(self._path, os.dup(self._descriptor) if self._use_dir_fd else None)
        try:
            for count, name in enumerate(parts[:-1], 1):
                parent.enter(name, printable("/".join(parts[:count])))
            yield parent
        except OSError as error:
            if error.errno in _STORAGE_FULL:
                error.filename = str(self._path)  # a write does not name a file
            raise
        finally:
            parent.close()


class ParentFolder:
    """The target folder or a folder inside it: it contains the files of some samples.

    Methods take a `label`, which is how error texts name the file or folder.
    """

    def __init__(self, path: Path, descriptor: Optional[int]) -> None:
        self._path = path
        self._descriptor = descriptor

    def close(self) -> None:
        """Close the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def enter(self, name: str, label: str) -> None:
        """Change to a folder in this one; create it if missing.

        Raises:
            PathBlockedError: it is not a folder.
            OSError: it cannot be created or opened.
        """
        present = self._stat(name)
        if present is None:
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._locate(name), dir_fd=self._descriptor)
            present = self._stat(name)
        if present is None or not stat.S_ISDIR(present.st_mode) or _is_link(present):
            raise PathBlockedError(f"{label} must be a folder, but it is {_describe(present)}{_HOW_TO_GO_ON}")
        if self._descriptor is None:
            self._path /= name
            return
        try:
            entered = os.open(name, _FOLDER_FLAGS | _NO_FOLLOW, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):  # replaced since the check above
                raise PathBlockedError(f"{label} must be a folder, but it was replaced") from None
            raise
        self.close()
        self._descriptor = entered

    def size(self, name: str, label: str) -> Optional[int]:
        """Return the size of a file in bytes; None if it does not exist.

        Raises:
            PathBlockedError: it is not a regular file.
        """
        present = self._stat(name)
        if present is None:
            return None
        if not stat.S_ISREG(present.st_mode) or _is_link(present):
            raise PathBlockedError(f"{label} must be a file, but it is {_describe(present)}{_HOW_TO_GO_ON}")
        return present.st_size

    def open_temporary(self, name: str, label: str) -> BinaryIO:
        """Open the temporary file of a sample, locked for this process until it is closed.

        Raises:
            PathBlockedError: it is not a regular file, or another process is writing it.
            OSError: it cannot be created or opened.
        """
        for _ in range(_MAX_LOCK_ATTEMPTS):
            self.size(name, f"the temporary file of {label}")
            descriptor = os.open(self._locate(name), _FILE_FLAGS, 0o666, dir_fd=self._descriptor)
            file = _LockedFile(descriptor, "r+b")
            try:
                _lock(descriptor, label)
                opened, present = os.fstat(descriptor), self._stat(name)
                if present is not None and os.path.samestat(opened, present):
                    return file
            except BaseException:
                file.close()
                raise
            file.close()  # another process renamed it to its final name after it was opened here
        raise PathBlockedError(f"another process keeps writing {label}")

    def commit(self, temporary: str, name: str) -> None:
        """Rename a complete temporary file to its final name; replace what exists there."""
        os.replace(
            self._locate(temporary), self._locate(name), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor
        )

    def discard(self, temporary: str) -> None:
        """Remove a temporary file that is of no further use."""
        with contextlib.suppress(FileNotFoundError, PermissionError):  # Windows does not remove open files
            os.unlink(self._locate(temporary), dir_fd=self._descriptor)

    def sync(self) -> None:
        """Flush the names in this folder to disk, if the system can."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def _locate(self, name: str) -> str:
        """Return the name as system calls take it: relative to the open folder, else as a whole path."""
        return name if self._descriptor is not None else str(self._path / name)

    def _stat(self, name: str) -> Optional[os.stat_result]:
        try:
            return os.stat(self._locate(name), dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None


class _LockedFile(io.FileIO):
    """A file that closing unlocks. Otherwise a process that was forked meanwhile would keep the lock by its copy."""

    def close(self) -> None:
        if sys.platform != "win32" and not self.closed:
            with contextlib.suppress(OSError):
                fcntl.flock(self.fileno(), fcntl.LOCK_UN)
        super().close()


def _lock(descriptor: int, label: str) -> None:
    """Prevent other processes from writing the same file, if the file system has locks."""
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PathBlockedError(f"another process is writing {label}") from None
        except OSError:
            pass


def _is_link(present: os.stat_result) -> bool:
    """Return whether it is a symbolic link, or a junction on Windows."""
    return stat.S_ISLNK(present.st_mode) or bool(getattr(present, "st_file_attributes", 0) & _REPARSE_POINT)


def _describe(present: Optional[os.stat_result]) -> str:
    if present is None:
        return "missing"
    if _is_link(present):
        return "a symbolic link"
    if stat.S_ISDIR(present.st_mode):
        return "a folder"
    return "a file" if stat.S_ISREG(present.st_mode) else "a special file"
