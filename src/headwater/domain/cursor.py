"""Cursors: the signed position of a listing. Any replica can continue from one.

Source: contract.md#lists-and-time-windows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import NamedTuple

from headwater.domain.errors import MalformedRequestError
from headwater.domain.objects import Key
from headwater.domain.window import Window

_VERSION = 2
_READABLE = (1, _VERSION)
"""A cursor of version 1 is one of version 2 without the fields that came later."""

_MAC_BYTES = 32


class Cursor(NamedTuple):
    """The whole state of a listing between two of its pages.

    `location` is the fingerprint of the datasource's location, `after` the last key that was looked at, `done` says
    that the listing has ended, `unreadable` counts the names passed over so far, `marker` is what the store asked to be
    given back with `after`. `folder` is what is listed: empty for raw samples, else a folder below `.lightly/`.

    `until` is the bound with which a shard ends, itself included, None where it is the listing's own end, and `order`
    the one in which the store lists (`domain.shards`). `relevant` names the file of relevant filenames. `samples` and
    `size` (bytes) count what was listed so far; None where it is not counted, as in a shard.
    """

    dataset: str
    location: str
    window: Window
    after: Key | None
    done: bool = False
    unreadable: int = 0
    marker: str | None = None
    folder: str = ""
    until: Key | None = None
    order: str = ""
    relevant: str | None = None
    samples: int | None = None
    size: int = 0


_DEFAULTS = (None, *Cursor._field_defaults.values())
"""What the fields from `after` on hold where nothing is said."""


class CursorSigner:
    """Turns cursors into opaque, URL-safe, authenticated text and back.

    Args:
        keys: HMAC keys; the first signs, all verify, so that a cursor outlives a rotation.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def seal(self, cursor: Cursor) -> str:
        """Write a cursor as text. Never empty."""
        rest = list(cursor[3:])
        while len(rest) > 1 and rest[-1] == _DEFAULTS[len(rest) - 1]:
            rest.pop()
        fields = [_VERSION, *cursor[:2], *cursor.window, *rest]
        payload = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
        return _encode(_mac(self._keys[0], payload) + payload)

    def open(self, text: str, dataset: str, location: str, folder: str = "") -> Cursor:
        """Read a cursor that was sealed for this dataset, place and folder.

        Raises:
            MalformedRequestError: not one of ours, of another dataset or listing, or of data the datasource has moved
                away from.
        """
        cursor = self._read(text)
        if cursor is None:
            raise MalformedRequestError(
                "cursor: not a cursor of this server; send one unchanged from a previous answer, or none to begin"
            )
        if cursor.dataset != dataset:
            raise MalformedRequestError("cursor: belongs to a listing of another dataset; begin without a cursor")
        if cursor.folder != folder:
            raise MalformedRequestError(
                f"cursor: belongs to a listing of {cursor.folder or 'raw samples'}, and this one is of "
                f"{folder or 'raw samples'}; begin without a cursor"
            )
        if cursor.location != location:
            raise MalformedRequestError(
                "cursor: the datasource has moved to other data since this listing began; begin without a cursor"
            )
        return cursor

    def _read(self, text: str) -> Cursor | None:
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        if _encode(raw) != text:
            return None  # base64 has several spellings of the same bytes; we sent one of them
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not any(hmac.compare_digest(mac, _mac(key, payload)) for key in self._keys):
            return None
        version, dataset, place, start, end, *rest = json.loads(payload)
        return Cursor(dataset, place, Window(start, end), *rest) if version in _READABLE else None


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _mac(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, hashlib.sha256)
