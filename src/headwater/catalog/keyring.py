"""The keys of this server. They encrypt stored secrets, and sign cursors and read URLs."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import overload

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from headwater.access import refusal
from headwater.catalog.database import wait_within_limit
from headwater.catalog.secret_key_file import (
    KEY_BYTES,
    KEY_SETTING,
    KeyFile,
    Stamp,
    StoredKeys,
    decode_base64,
    new_key,
    parse_keys,
)
from headwater.domain.errors import CatalogUnavailableError, HeadwaterError, StartupError
from headwater.net.threads import DaemonExecutor, LimitedExecutor

SETTLE_SECONDS = 5.0
"""How long a key file must have had its first key before that key signs. Until then the second one does: by then every
server has read the file, and accepts what another one has signed with the new key."""

FOLLOW_SECONDS = 1.0
"""How often a server looks whether its key file was replaced."""

_NONCE_BYTES = 12

_THREAD = LimitedExecutor(DaemonExecutor(1, "key-file"), 1)
"""The volume of the key file may hang. So it is read in a thread that nothing else needs, and one at a time."""

log = structlog.get_logger(__name__)


class KeysChangedError(CatalogUnavailableError):
    """The key file was replaced while a secret was about to be encrypted: with its new keys, try again."""


class _Keys:
    """The keys of a keyring at one time. They never change, so threads can share them."""

    def __init__(self, by_id: Mapping[str, bytes], stamp: Stamp | None = None, written: float = 0.0) -> None:
        self.by_id = dict(by_id)
        self.stamp = stamp
        self._written = written
        self.ciphers = {key_id: AESGCM(_subkey(key, "headwater secrets")) for key_id, key in by_id.items()}
        self._derived: dict[str, tuple[bytes, ...]] = {}

    @property
    def first(self) -> str:
        return next(iter(self.by_id))

    def derive(self, label: str) -> tuple[bytes, ...]:
        """Return the subkeys for a use, the one that signs first."""
        found = self._derived.get(label)
        if found is None:
            found = tuple(_subkey(key, f"headwater subkey {label}") for key in self.by_id.values())
            self._derived[label] = found
        if len(found) > 1 and time.time() < self._written + SETTLE_SECONDS:
            return found[1], found[0], *found[2:]
        return found


class Keyring:
    """One or more keys, each with an id. The first encrypts and signs; all decrypt and verify.

    No key is used directly: every use has its own subkey, derived with HKDF-SHA256.

    If the keys are in a key file, a keyring follows it: `headwater secrets rotate` replaces the file while servers run.
    A file that is there is trusted if it still holds the key that encrypts, or decrypts what no key here does. Can be
    used by several threads.

    Args:
        keys: pairs of an id and a key of 32 bytes. No id occurs twice.
    """

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        self._file: KeyFile | None = None
        self._keys = _Keys(dict(keys))
        self._renewing = threading.Lock()

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self.ids)})"

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys, in order."""
        return tuple(self._keys.by_id)

    @property
    def keys(self) -> dict[str, bytes]:
        """The keys by their ids, in order."""
        return dict(self._keys.by_id)

    @property
    def file(self) -> KeyFile | None:
        """The key file; None if the keys are in a setting."""
        return self._file

    @classmethod
    def parse(cls, text: str) -> Keyring:
        """Return the keys in the text of the setting; see `parse_keys`.

        Raises:
            StartupError: an entry is malformed.
        """
        return cls(tuple(parse_keys(text, KEY_SETTING).items()))

    @classmethod
    def load_or_create(cls, path: Path) -> Keyring:
        """Return the keys in the key file. If there is no file, create one with a new key.

        The file is created atomically, so that processes that start concurrently agree on one key.

        Raises:
            StartupError: the file cannot be read or created, other users may open it, or it does not hold keys.
        """
        file = KeyFile(path)
        try:
            stored = file.read()
            if stored is None:
                file.create(dict([new_key()]))
                stored = file.read()
        except OSError as error:
            refused = refusal(path, os.R_OK) if isinstance(error, PermissionError) else None
            raise StartupError(f"key file {path} cannot be used: {refused or error.strerror}") from error
        if stored is None:
            raise StartupError(f"key file {path}: was removed while this process started")
        keyring = cls(())
        keyring._file, keyring._keys = file, _Keys(*stored)
        return keyring

    def check_file(self) -> None:
        """Read the key file again, if there is one, and check that it still holds the key that encrypts.

        If not, nobody could decrypt after a restart what is encrypted now.

        Raises:
            CatalogUnavailableError: it does not, or cannot be read.
        """
        cause: Exception | None = None
        try:
            if self._file is None or self._follow(self._file):
                return
        except (OSError, StartupError) as error:
            cause = error
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
            await wait_within_limit(checked, f"key file {self._file.path} does not respond")

    def check_unchanged(self) -> None:
        """Check that the key file was not replaced since it was read, in the transaction that stores a secret.

        Once a transaction can write secrets, it must be certain that the rotation of keys, which waits for it, will
        find them.

        Raises:
            KeysChangedError: it was.
        """
        keys = self._keys
        if self._file is not None and keys.stamp != self._file.stamp():
            raise KeysChangedError("the keys of this server have just changed; try again shortly")

    def encrypt(self, plaintext: str, dataset_id: str) -> str:
        """Return a secret of a dataset encrypted with the first key: `<key id>:<base64 of nonce and ciphertext>`.

        A secret that is stored needs the key after the next start: check the key file first.
        """
        keys = self._keys
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + keys.ciphers[keys.first].encrypt(nonce, plaintext.encode(), dataset_id.encode())
        return f"{keys.first}:{base64.b64encode(sealed).decode()}"

    def decrypt(self, text: str, dataset_id: str) -> str:
        """Return a secret in clear that was encrypted for this dataset. Reads the key file again for an unknown key.

        Raises:
            HeadwaterError: the key is not on this keyring, or the text was altered or belongs to another dataset.
        """
        keys, key_id = self._keys, text.partition(":")[0]
        if key_id not in keys.by_id and self._file is not None:
            try:
                _THREAD.submit(self._follow, self._file, (text, dataset_id)).result(FOLLOW_SECONDS)
            except (OSError, StartupError, TimeoutError):
                pass  # then the key stays unknown
            keys = self._keys
        return _decrypt(keys, text, dataset_id)

    def decrypts(self, text: str, dataset_id: str) -> bool:
        """Return whether `decrypt` succeeds."""
        try:
            self.decrypt(text, dataset_id)
        except HeadwaterError:
            return False
        return True

    def derive(self, label: str) -> tuple[bytes, ...]:
        """Return a subkey of 32 bytes for each key, for the use that `label` names. Sign with the first."""
        return self._keys.derive(label)

    def follow(self, label: str) -> Sequence[bytes]:
        """Return what `derive` returns, as a sequence that changes with the keys."""
        return _Subkeys(self, label)

    def _follow(self, file: KeyFile, secret: tuple[str, str] | None = None) -> bool:
        """Use the keys that the file holds now; return False if it is not trusted.

        Args:
            file: the key file.
            secret: an encrypted secret and its dataset, which no key of this keyring may decrypt.

        Raises:
            OSError: it cannot be read.
            StartupError: it does not hold keys.
        """
        with self._renewing:
            stored, keys = file.read(), self._keys
            if stored is None or not _is_trusted(stored, keys, secret):
                return False
            if stored.stamp != keys.stamp:
                self._keys = _Keys(*stored)
                if list(stored.keys) != list(keys.by_id):
                    log.info("keys_changed", keys=list(stored.keys))
            return True


class _Subkeys(Sequence[bytes]):
    """What `Keyring.derive` returns at the time of each use."""

    def __init__(self, keyring: Keyring, label: str) -> None:
        self._keyring, self._label = keyring, label

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        return self._keyring.derive(self._label)[index]

    def __len__(self) -> int:
        return len(self._keyring.ids)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._keyring.derive(self._label))


def _is_trusted(stored: StoredKeys, keys: _Keys, secret: tuple[str, str] | None) -> bool:
    if stored.keys.get(keys.first) == keys.by_id[keys.first]:
        return True
    if secret is None:
        return False
    try:
        _decrypt(_Keys(stored.keys), *secret)
    except HeadwaterError:
        return False
    return True


def _decrypt(keys: _Keys, text: str, dataset_id: str) -> str:
    key_id, _, encoded = text.partition(":")
    cipher = keys.ciphers.get(key_id)
    if cipher is None:
        raise HeadwaterError("a stored secret was encrypted with a key that this server does not have")
    sealed = decode_base64(encoded) or b""
    try:
        plaintext = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], dataset_id.encode())
    except (InvalidTag, ValueError):
        raise HeadwaterError("a stored secret cannot be decrypted: it or its key was altered") from None
    return plaintext.decode()


def _subkey(key: bytes, label: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=label.encode()).derive(key)
