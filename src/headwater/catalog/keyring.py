"""The keys of this server. They encrypt stored secrets, and sign cursors and read URLs."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from headwater.access import refusal
from headwater.catalog.database import wait_within_limit
from headwater.domain.errors import CatalogUnavailableError, HeadwaterError, StartupError
from headwater.net.threads import DaemonExecutor, LimitedExecutor
from headwater.new_files import unfinished_file, write_synced

KEY_SETTING = "HEADWATER_SECRET_KEY"
"""The environment variable that can hold the keys instead of a key file."""

KEY_BYTES = 32
_NONCE_BYTES = 12
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_EXPECTED = "expected id:base64 of 32 bytes, with an id of letters, digits, '_', '.' and '-'"

_THREAD = LimitedExecutor(DaemonExecutor(1, "key-file"), 1)
"""The volume of the key file may hang. So it is read in a thread that nothing else needs, and one at a time."""


class Keyring:
    """One or more keys, each with an id. The first encrypts and signs; all decrypt and verify.

    No key is used directly: every use has its own subkey, derived with HKDF-SHA256.

    Args:
        keys: pairs of an id and a key of 32 bytes. No id occurs twice.
        file: the key file that they were read from, if any.
    """

    def __init__(self, keys: Sequence[tuple[str, bytes]], file: Path | None = None) -> None:
        self._keys = dict(keys)
        self._file = file
        self._ciphers = {key_id: AESGCM(_subkey(key, "headwater secrets")) for key_id, key in keys}

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._keys)})"

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys, in order."""
        return tuple(self._keys)

    @classmethod
    def parse(cls, text: str, file: Path | None = None) -> Keyring:
        """Return the keys in a text of the form `id:base64 of 32 bytes`, separated by commas if there are several.

        Args:
            text: the keys.
            file: the key file that they were read from; None if they are in the setting.

        Raises:
            StartupError: an entry is malformed, or an id occurs twice. The text gives the number of the entry, never
                its content.
        """
        source = KEY_SETTING if file is None else f"key file {file}"
        keys: dict[str, bytes] = {}
        for number, entry in enumerate(text.split(","), start=1):
            key_id, _, encoded = entry.strip().partition(":")
            key = _decode(encoded)
            if not _ID.fullmatch(key_id) or key is None:
                raise StartupError(f"{source}: entry {number} is not a key; {_EXPECTED}")
            if len(key) != KEY_BYTES:
                raise StartupError(f"{source}: entry {number} holds {len(key)} bytes; {_EXPECTED}")
            if key_id in keys:
                raise StartupError(f"{source}: entry {number} has the id of an earlier entry")
            keys[key_id] = key
        return cls(tuple(keys.items()), file)

    @classmethod
    def load_or_create(cls, path: Path) -> Keyring:
        """Return the keys in the key file. If there is no file, create one with a new key.

        The file is created atomically, so that processes that start concurrently agree on one key.

        Raises:
            StartupError: the file cannot be read or created, other users may open it, or it does not hold keys.
        """
        try:
            return cls._load(path) or cls._create(path)
        except OSError as error:
            refused = refusal(path, os.R_OK) if isinstance(error, PermissionError) else None
            raise StartupError(f"key file {path} cannot be used: {refused or error.strerror}") from error

    @classmethod
    def _load(cls, path: Path) -> Keyring | None:
        try:
            file = path.open(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        with file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            # Not the group: Kubernetes gives the files of a volume to a group (fsGroup) each time it mounts it.
            if mode & 0o007:
                raise StartupError(
                    f"key file {path}: other users may open it (mode {mode:04o}); run: chmod 600 '{path}'"
                )
            return cls.parse(file.read().strip(), path)

    @classmethod
    def _create(cls, path: Path) -> Keyring:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = f"{secrets.token_hex(4)}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}\n"
        with unfinished_file(path) as unfinished:
            write_synced(unfinished, line)
            with suppress(FileExistsError):
                os.link(unfinished, path)
        _sync_folder(path.parent)
        made = cls._load(path)
        if made is None:
            raise StartupError(f"key file {path}: was removed while this process started")
        return made

    def check_file(self) -> None:
        """Check that the key file, if there is one, still holds the key that encrypts.

        If not, nobody could decrypt after a restart what is encrypted now.

        Raises:
            CatalogUnavailableError: it does not, or cannot be read.
        """
        if self._file is None:
            return
        cause: Exception | None = None
        try:
            kept = self._load(self._file)
        except (OSError, StartupError) as error:
            kept, cause = None, error
        if kept is None or kept._keys.get(self.ids[0]) != self._keys[self.ids[0]]:
            raise CatalogUnavailableError(
                "the key file of this server was removed or replaced while the server ran: its operator must put it "
                "back, or secrets that are stored now are lost with the next start"
            ) from cause

    async def check_in_time(self) -> None:
        """Do what `check_file` does, in a thread.

        Raises:
            CatalogUnavailableError: as `check_file`; or its volume does not respond.
        """
        if self._file is not None:
            checked = asyncio.wrap_future(_THREAD.submit(self.check_file))
            await wait_within_limit(checked, f"key file {self._file} does not respond")

    def encrypt(self, plaintext: str, dataset_id: str) -> str:
        """Return a secret of a dataset encrypted with the first key: `<key id>:<base64 of nonce and ciphertext>`.

        A secret that is stored needs the key after the next start: check the key file first.
        """
        key_id = self.ids[0]
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._ciphers[key_id].encrypt(nonce, plaintext.encode(), dataset_id.encode())
        return f"{key_id}:{base64.b64encode(sealed).decode()}"

    def decrypt(self, text: str, dataset_id: str) -> str:
        """Return a secret in clear that was encrypted for this dataset.

        Raises:
            HeadwaterError: the key is not on this keyring, or the text was altered or belongs to another dataset.
        """
        key_id, _, encoded = text.partition(":")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise HeadwaterError("a stored secret was encrypted with a key that this server does not have")
        sealed = _decode(encoded) or b""
        try:
            plaintext = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], dataset_id.encode())
        except (InvalidTag, ValueError):
            raise HeadwaterError("a stored secret cannot be decrypted: it or its key was altered") from None
        return plaintext.decode()

    def decrypts(self, text: str, dataset_id: str) -> bool:
        """Return whether `decrypt` succeeds."""
        try:
            self.decrypt(text, dataset_id)
        except HeadwaterError:
            return False
        return True

    def derive(self, label: str) -> tuple[bytes, ...]:
        """Return a subkey of 32 bytes for each key, for the use that `label` names. Sign with the first."""
        return tuple(_subkey(key, f"headwater subkey {label}") for key in self._keys.values())


def _subkey(key: bytes, label: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=label.encode()).derive(key)


def _decode(encoded: str) -> bytes | None:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
