"""Serving and receiving files by their path under the mount root, in blocks, for all datasources."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

from headwater.domain.errors import LocationInvalidError, NotFoundError
from headwater.stores.local.changes import Leftovers, NewFile, remove_leftovers
from headwater.stores.local.disk_threads import FolderExecutor
from headwater.stores.local.paths import check_new_path
from headwater.stores.local.root import (
    ABSENT,
    READ_PERMISSION,
    TRAVERSE,
    WRITE_PERMISSION,
    LocalRoot,
    OpenFile,
    Parts,
    etag_of,
    explain,
    modified_of,
    parts_of,
    shown,
)
from headwater.stores.local.runtime import LocalFileRoot

BLOCK_BYTES = 128 * 1024
"""Bytes read in one use of the disk. A download that its client does not read keeps one block in memory."""


class FileState(NamedTuple):
    """A file's name, its size in bytes, its strong ETag with quotes, and its modification time in Unix seconds."""

    name: str
    size: int
    etag: str
    modified: int


class Part(Protocol):
    """A range of a file: `to_send` bytes from `start` on."""

    @property
    def start(self) -> int:
        """Offset of the first byte."""

    @property
    def to_send(self) -> int:
        """The number of bytes."""


PartT = TypeVar("PartT", bound=Part)


class LocalFiles:
    """The regular files under a mount root. Links are followed if they stay under it."""

    def __init__(self, file_root: LocalFileRoot) -> None:
        runtime = file_root.runtime
        self._root = LocalRoot(file_root.folder, file_root.hidden, runtime.created_folders)
        self._threads = runtime.file_threads

    async def open(self, path: str, choose: Callable[[FileState], PartT]) -> FilePart[PartT]:
        """Open a file and read the first block of a part of it, in one use of the disk.

        Args:
            path: relative to the mount root.
            choose: returns which part. It is called in the thread, and its errors are raised.

        Returns:
            The part; the caller closes it.

        Raises:
            NotFoundError: the file does not exist.
            CredentialsRefusedError: the file may not be read.
            StoreUnavailableError: the disk has a fault, or does not answer.
        """
        parts = parts_of(path)
        if parts is None:
            raise NotFoundError("no file can have this name")
        # The URL does not say which folder is the datasource's: use at most the first two names of the path.
        threads = self._threads.for_folder(self._root, parts[:-1][:2])
        return await threads.call(self._open, parts, choose, threads, discard=FilePart.close_now)

    async def create(self, path: str) -> FileWriter:
        """Start to create or replace a file. Missing folders are created.

        Args:
            path: relative to the mount root.

        Returns:
            The file. The caller commits it and, in any case, closes it.

        Raises:
            LocationInvalidError: no file can have this name, the path is too long, or a link leads out of the root.
            CredentialsRefusedError: the file may not be written.
            StoreUnavailableError: no space is left, or the disk has a fault, or does not answer.
        """
        parts = parts_of(path)
        if parts is None:
            raise LocationInvalidError("no file can have this name")
        check_new_path(parts)
        threads = self._threads.for_folder(self._root, parts[:-1][:2])
        new = await threads.call(self._create, parts, discard=NewFile.close)
        return FileWriter(new, parts, threads)

    async def remove_leftovers(self, folder: Parts, before: float) -> Leftovers:
        """Delete temporary files of uploads that were killed; see `changes.remove_leftovers`.

        Raises:
            StoreUnavailableError: the disk does not answer.
        """

        def remove() -> Leftovers:
            try:
                return remove_leftovers(self._root, folder, before)
            except OSError:
                return Leftovers([], 0)  # it is gone, or may not be read

        return await self._threads.for_folder(self._root, folder[:2]).call(remove)

    def _create(self, parts: Parts) -> NewFile:
        try:
            top = self._root.walk((), TRAVERSE)
            try:
                return NewFile(self._root, top, (), parts)
            finally:
                os.close(top)
        except OSError as error:
            raise explain(error, f"write {shown(parts)}", WRITE_PERMISSION) from None

    def _open(self, parts: Parts, choose: Callable[[FileState], PartT], threads: FolderExecutor) -> FilePart[PartT]:
        try:
            file = self._root.open_file(parts)
            try:
                state = file.stat
                part = choose(FileState(parts[-1], state.st_size, etag_of(state), modified_of(state)))
                opened = FilePart(part, file.read_at(part.start, min(BLOCK_BYTES, part.to_send)), file, parts, threads)
            except BaseException:
                file.close()
                raise
        except OSError as error:
            if error.errno in ABSENT:
                raise NotFoundError(f"there is no file {shown(parts)}") from None
            raise explain(error, f"read {shown(parts)}", READ_PERMISSION) from None
        if opened.left == 0:
            opened.close_now()
        return opened


class FilePart(Generic[PartT]):
    """A part of a file, read block by block.

    Args:
        part: the range.
        first: its first block, or all of it.
        file: the open file; this object closes it.
        path: the file's path.
        threads: do the reading.
    """

    __slots__ = ("_file", "_first", "_path", "_threads", "left", "part")

    def __init__(self, part: PartT, first: bytes, file: OpenFile, path: Parts, threads: FolderExecutor) -> None:
        self.part = part
        self._first = first
        self.left = part.to_send - len(first)
        """Bytes of the part that are still to be read."""
        self._file: OpenFile | None = file
        self._path = path
        self._threads = threads

    def take_first(self) -> bytes:
        """Return the first block, which this object then no longer keeps in memory."""
        block, self._first = self._first, b""
        return block

    async def next(self) -> bytes:
        """Return the next block after the first; empty if nothing is left or the file has become shorter.

        Raises:
            StoreUnavailableError: the disk has a fault, or does not answer.
            CredentialsRefusedError: the file may no longer be read.
        """
        if self._file is None or self.left == 0:
            return b""
        offset = self.part.start + self.part.to_send - self.left
        try:
            block = await self._threads.call(self._file.read_at, offset, min(BLOCK_BYTES, self.left))
        except OSError as error:
            raise explain(error, f"read {shown(self._path)}", READ_PERMISSION) from None
        self.left -= len(block)
        return block

    def close(self) -> None:
        """Close the file in a thread: on some mounts, closing waits for the disk too."""
        if self._file is not None:
            self._threads.submit(self._file.close)
            self._file = None

    def close_now(self) -> None:
        """Close the file in this thread."""
        if self._file is not None:
            self._file.close()
            self._file = None


class FileWriter:
    """A file that is received block by block and appears under its name when it is committed.

    Args:
        new: the file; this object closes it.
        path: its path.
        threads: do the writing.
    """

    __slots__ = ("_new", "_path", "_threads")

    def __init__(self, new: NewFile, path: Parts, threads: FolderExecutor) -> None:
        self._new = new
        self._path = path
        self._threads = threads

    async def write(self, block: bytes) -> None:
        """Append a block.

        Raises:
            StoreError: no space is left, or the disk has a fault or does not answer.
        """
        await self._call(self._new.write, block)

    async def commit(self) -> None:
        """Move the file to its name, durably.

        Raises:
            StoreError: as in `write`.
        """
        await self._call(self._new.commit)

    def close(self) -> None:
        """Close the file in a thread. A file that was not committed is removed."""
        self._threads.submit(self._new.close)

    async def _call(self, work: Callable[..., None], *args: bytes) -> None:
        try:
            await self._threads.call(work, *args)
        except OSError as error:
            raise explain(error, f"write {shown(self._path)}", WRITE_PERMISSION) from None
