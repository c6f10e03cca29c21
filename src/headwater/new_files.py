"""Files that exist under their names only when they are complete, whatever interrupts the process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def unfinished_file(path: Path) -> Iterator[Path]:
    """Make an empty file with another name beside `path`, which only this user may open.

    When it is complete, the caller links it to `path`, so that a file that is there stays; or renames it, so that it
    replaces that file. If it still exists at the end of the block, it is deleted.

    Raises:
        OSError: it cannot be made. The error names `path`.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)


def write_synced(path: Path, text: str) -> None:
    """Write a text to a file, and wait until the disk has it.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names of the files in a folder.

    Raises:
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_keeping_rights(unfinished: Path, path: Path) -> None:
    """Let a new file replace another one, and get its owner, its group, and its mode without the rights of others.

    Raises:
        OSError: the file cannot be replaced, or its owner cannot be kept.
    """
    status, made = path.stat(), unfinished.stat()
    if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
        os.chown(unfinished, status.st_uid, status.st_gid)
    unfinished.chmod(status.st_mode & 0o770)
    unfinished.replace(path)
