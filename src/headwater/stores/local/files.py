"""Serving and receiving files by their whole path, a part at a time, whatever datasource they belong to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

from headwater.domain.errors import LocationInvalidError, NotFoundError
from headwater.stores.local.changes import NewFile
from headwater.stores.local.disk_threads import FILE_THREADS, FolderExecutor
from headwater.stores.local.root import (
    ABSENT,
    PASS,
    TO_READ,
    TO_WRITE,
    LocalRoot,
    OpenFile,
    Parts,
    etag_of,
    explain,
    modified_of,
    parts_of,
    shown,
)

CHUNK = 256 * 1024
"""Bytes read at a time."""


class FileState(NamedTuple):
    """What a file is: its name, its size in bytes, its strong ETag with quotes, and when it was changed (Unix s)."""

    name: str
    size: int
    etag: str
    modified: int


class Part(Protocol):
    """Which bytes of a file are wanted: `to_send` of them, from `start` on."""

    @property
    def start(self) -> int:
        """Offset of the first byte."""

    @property
    def to_send(self) -> int:
        """How many bytes; 0 for none."""


PartT = TypeVar("PartT", bound=Part)


class LocalFiles:
    """The regular files below a mount root.

    Args:
        mount_root: the folder that nothing leads out of; links are followed as far as they stay below it.
        hidden: folders that are as if they were not there: the server's own data.
    """

    def __init__(self, mount_root: Path, hidden: Iterable[Path] = ()) -> None:
        self._root = LocalRoot(mount_root, hidden)

    async def open(self, path: str, choose: Callable[[FileState], PartT]) -> FilePart[PartT]:
        """Open a file, and read the first block of the part that is wanted: one trip to the disk.

        Args:
            path: relative to the mount root.
            choose: says which part; called in the thread, and what it raises is raised.

        Returns:
            The part, to be closed by the caller.

        Raises:
            NotFoundError: there is no such file.
            CredentialsRefusedError: it may not be read.
            StoreUnavailableError: the disk has a fault, or does not answer.
        """
        parts = parts_of(path)
        if parts is None:
            raise NotFoundError("no file can be of this name")
        # The URL does not say which folder is the datasource's: at most two names of the path stand for it.
        threads = FILE_THREADS.share(self._root, parts[:-1][:2])
        return await threads.call(self._open, parts, choose, threads, discard=FilePart.close_here)

    async def create(self, path: str) -> FileWriter:
        """Begin to create or replace a file. Folders that are missing are made.

        Args:
            path: relative to the mount root.

        Returns:
            The file, to be committed, and closed by the caller in any case.

        Raises:
            LocationInvalidError: no file can be of this name, or a link leads out.
            CredentialsRefusedError: it may not be written.
            StoreUnavailableError: no space is left, or the disk has a fault, or does not answer.
        """
        parts = parts_of(path)
        if parts is None:
            raise LocationInvalidError("no file can be of this name")
        threads = FILE_THREADS.share(self._root, parts[:-1][:2])
        new = await threads.call(self._create, parts, discard=NewFile.close)
        return FileWriter(new, parts, threads)

    def _create(self, parts: Parts) -> NewFile:
        try:
            top = self._root.walk((), PASS)
            try:
                return NewFile(self._root, top, (), parts)
            finally:
                os.close(top)
        except OSError as error:
            raise explain(error, f"write {shown(parts)}", TO_WRITE) from None

    def _open(self, parts: Parts, choose: Callable[[FileState], PartT], threads: FolderExecutor) -> FilePart[PartT]:
        try:
            file = self._root.open_file(parts)
            try:
                state = file.stat
                part = choose(FileState(parts[-1], state.st_size, etag_of(state), modified_of(state)))
                opened = FilePart(part, file.read_at(part.start, min(CHUNK, part.to_send)), file, parts, threads)
            except BaseException:
                file.close()
                raise
        except OSError as error:
            if error.errno in ABSENT:
                raise NotFoundError(f"there is no file {shown(parts)}") from None
            raise explain(error, f"read {shown(parts)}", TO_READ) from None
        if opened.left == 0:
            opened.close_here()
        return opened


class FilePart(Generic[PartT]):
    """A part of a file, read block by block.

    Args:
        part: what was chosen.
        first: its first block, perhaps all of it.
        file: the file, owned by this.
        path: the file's path.
        threads: where to read.
    """

    __slots__ = ("_file", "_path", "_threads", "first", "left", "part")

    def __init__(self, part: PartT, first: bytes, file: OpenFile, path: Parts, threads: FolderExecutor) -> None:
        self.part = part
        self.first = first
        self.left = part.to_send - len(first)
        """Bytes of the part that were not read yet."""
        self._file: OpenFile | None = file
        self._path = path
        self._threads = threads

    async def next(self) -> bytes:
        """Read the next block; empty where nothing is left, or the file has become shorter.

        Raises:
            StoreUnavailableError: the disk has a fault, or does not answer.
            CredentialsRefusedError: it may no longer be read.
        """
        if self._file is None or self.left == 0:
            return b""
        offset = self.part.start + self.part.to_send - self.left
        try:
            block = await self._threads.call(self._file.read_at, offset, min(CHUNK, self.left))
        except OSError as error:
            raise explain(error, f"read {shown(self._path)}", TO_READ) from None
        self.left -= len(block)
        return block

    def close(self) -> None:
        """Close the file, in a thread: on some mounts that waits for the disk, too."""
        if self._file is not None:
            self._threads.leave(self._file.close)
            self._file = None

    def close_here(self) -> None:
        """Close the file, in this thread."""
        if self._file is not None:
            self._file.close()
            self._file = None


class FileWriter:
    """A file that is received block by block, and there under its name once it was committed.

    Args:
        new: the file, owned by this.
        path: its path.
        threads: where to write.
    """

    __slots__ = ("_new", "_path", "_threads")

    def __init__(self, new: NewFile, path: Parts, threads: FolderExecutor) -> None:
        self._new = new
        self._path = path
        self._threads = threads

    async def write(self, block: bytes) -> None:
        """Add a block.

        Raises:
            StoreError: no space is left, or the disk has a fault, or does not answer.
        """
        await self._call(self._new.write, block)

    async def commit(self) -> None:
        """Put the file under its name, durably.

        Raises:
            StoreError: as `write`.
        """
        await self._call(self._new.commit)

    def close(self) -> None:
        """Give back what is open, in a thread. What was not committed is gone."""
        self._threads.leave(self._new.close)

    async def _call(self, work: Callable[..., None], *args: bytes) -> None:
        try:
            await self._threads.call(work, *args)
        except OSError as error:
            raise explain(error, f"write {shown(self._path)}", TO_WRITE) from None
