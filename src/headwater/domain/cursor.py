"""Cursors: where a listing stands, signed, so that any replica can go on from there (contract, section 4)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import NamedTuple

from headwater.domain.errors import MalformedRequest
from headwater.domain.objects import Key
from headwater.domain.window import Window

_VERSION = 1
_MAC_BYTES = 32


class Cursor(NamedTuple):
    """The whole state of a listing between two of its pages.

    `place` is the fingerprint of the datasource's place, `after` the last key that was looked at, `done` says that
    the listing has ended, `unreadable` counts the names passed over so far, `marker` is what the store asked to be
    given back with `after`.
    """

    dataset: str
    place: str
    window: Window
    after: Key | None
    done: bool = False
    unreadable: int = 0
    marker: str | None = None


class CursorSigner:
    """Turns cursors into opaque, URL-safe, authenticated text and back.

    Args:
        keys: HMAC keys; the first signs, all verify, so that a cursor outlives a rotation.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)

    def seal(self, cursor: Cursor) -> str:
        """Write a cursor as text. Never empty."""
        fields = [_VERSION, *cursor[:2], *cursor.window, *cursor[3:]]
        payload = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
        return _encode(_mac(self._keys[0], payload) + payload)

    def open(self, text: str, dataset: str, place: str) -> Cursor:
        """Read a cursor that was sealed for this dataset and place.

        Raises:
            MalformedRequest: not one of ours, of another dataset, or of data the datasource has moved away from.
        """
        cursor = self._read(text)
        if cursor is None:
            raise MalformedRequest(
                "cursor: not a cursor of this server; send one unchanged from a previous answer, or none to begin"
            )
        if cursor.dataset != dataset:
            raise MalformedRequest("cursor: belongs to a listing of another dataset; begin without a cursor")
        if cursor.place != place:
            raise MalformedRequest(
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
        return Cursor(dataset, place, Window(start, end), *rest) if version == _VERSION else None


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _mac(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, hashlib.sha256)
