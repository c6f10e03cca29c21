"""The file that holds the keys of a server, unless a setting does."""

from __future__ import annotations

import base64
import binascii
import fcntl
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from headwater.domain.errors import StartupError
from headwater.new_files import replace_keeping_rights, sync_folder, unfinished_file, write_synced

KEY_SETTING = "HEADWATER_SECRET_KEY"
"""The environment variable that can hold the keys instead of a key file."""

KEY_BYTES = 32
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_EXPECTED = "expected id:base64 of 32 bytes, with an id of letters, digits, '_', '.' and '-'"

Stamp = tuple[int, int, int, int]
"""What changes whenever a key file is replaced or written: device, inode, time in nanoseconds, size."""


class StoredKeys(NamedTuple):
    """What a key file holds.

    Attributes:
        keys: the keys by their ids, in order.
        stamp: what tells this file from one that replaces it.
        written: when the file was written, in Unix seconds.
    """

    keys: dict[str, bytes]
    stamp: Stamp
    written: float


class KeyFile:
    """A key file. It is always replaced as a whole, so that whoever reads it sees old keys or new ones."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> StoredKeys | None:
        """Return what the file holds; None if there is none.

        Raises:
            OSError: it cannot be read.
            StartupError: other users may open it, or it does not hold keys.
        """
        try:
            file = self.path.open(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        with file:
            status = os.fstat(file.fileno())
            mode = status.st_mode & 0o777
            # Not the group: Kubernetes gives the files of a volume to a group (fsGroup) each time it mounts it.
            if mode & 0o007:
                raise StartupError(
                    f"key file {self.path}: other users may open it (mode {mode:04o}); run: chmod 600 '{self.path}'"
                )
            keys = parse_keys(file.read().strip(), f"key file {self.path}")
            return StoredKeys(keys, _stamp(status), status.st_mtime)

    def stamp(self) -> Stamp | None:
        """Return the stamp of the file that is there now; None if there is none, or it cannot be told."""
        try:
            return _stamp(self.path.stat())
        except OSError:
            return None

    def create(self, keys: Mapping[str, bytes]) -> None:
        """Create the file, with mode 0600, unless there is one.

        Raises:
            OSError: it cannot be created.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with unfinished_file(self.path) as unfinished:
            write_synced(unfinished, format_keys(keys) + "\n")
            with suppress(FileExistsError):
                os.link(unfinished, self.path)
        sync_folder(self.path.parent)

    def replace(self, keys: Mapping[str, bytes]) -> None:
        """Replace what the file holds. Its owner, group and mode stay, so that its servers can still read it.

        Raises:
            OSError: the file cannot be replaced, or its owner cannot be kept.
        """
        path = self.path.resolve()  # a link stays a link
        with unfinished_file(path) as unfinished:
            write_synced(unfinished, format_keys(keys) + "\n")
            replace_keeping_rights(unfinished, path)
        sync_folder(path.parent)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody else who uses this method change the file during the block.

        Raises:
            OSError: the folder cannot be opened.
            StartupError: another process changes the file.
        """
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StartupError(
                    f"another command is changing the key file {self.path}: wait until it has ended"
                ) from None
            yield
        finally:
            os.close(folder)


def new_key() -> tuple[str, bytes]:
    """Return a new random key with a new id."""
    return secrets.token_hex(4), secrets.token_bytes(KEY_BYTES)


def format_keys(keys: Mapping[str, bytes]) -> str:
    """Return keys in the form that `parse_keys` takes."""
    return ",".join(f"{key_id}:{base64.b64encode(key).decode()}" for key_id, key in keys.items())


def parse_keys(text: str, source: str) -> dict[str, bytes]:
    """Return the keys in a text of the form `id:base64 of 32 bytes`, separated by commas if there are several.

    Args:
        text: the keys.
        source: where the text comes from, for errors.

    Raises:
        StartupError: an entry is malformed, or an id occurs twice. The text gives the number of the entry, never its
            content.
    """
    keys: dict[str, bytes] = {}
    for number, entry in enumerate(text.split(","), start=1):
        key_id, _, encoded = entry.strip().partition(":")
        key = decode_base64(encoded)
        if not _ID.fullmatch(key_id) or key is None:
            raise StartupError(f"{source}: entry {number} is not a key; {_EXPECTED}")
        if len(key) != KEY_BYTES:
            raise StartupError(f"{source}: entry {number} holds {len(key)} bytes; {_EXPECTED}")
        if key_id in keys:
            raise StartupError(f"{source}: entry {number} has the id of an earlier entry")
        keys[key_id] = key
    return keys


def decode_base64(encoded: str) -> bytes | None:
    """Return the bytes that a text encodes; None if it is not base64."""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
