"""Cursors: the signed position of a listing, from which any replica can continue.

Source: contract.md#lists-and-time-windows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from headwater.domain.errors import MalformedRequestError
from headwater.domain.feed import FeedListing, LateArrivals
from headwater.domain.key_order import Order
from headwater.domain.key_range import KeyRange, Resume
from headwater.domain.objects import Key
from headwater.domain.window import Window

_VERSION = 3
_MAC_BYTES = 32

_PREFIX_DONE_MARKER = "\0"
"""The marker that cursors of versions 1 and 2 hold instead of `Resume.prefix_done`. No provider has this marker."""


class ListingSpec(NamedTuple):
    """What a listing lists. It stays the same from its first page to its last.

    Attributes:
        dataset: the id of the dataset.
        location: the fingerprint of the datasource's location.
        window: the seconds that are listed.
        folder: the folder under `.lightly/` that is listed; empty for raw samples.
        selection_file: the key of the relevant-filenames file; None if the listing has none.
        last_key: the split point at which a shard ends, as in `KeyRange`; None if it ends with the listing.
        order: the order of the store, as known when the listing was split into shards.
        start_after: the split point after which a shard begins; None if it begins with the listing.
        listing: the listing, as the exact feed knows it; None if it lists by date.
    """

    dataset: str
    location: str
    window: Window
    folder: str = ""
    selection_file: str | None = None
    last_key: Key | None = None
    order: str = Order.CODE_POINTS
    start_after: Key | None = None
    listing: FeedListing | None = None

    @property
    def key_range(self) -> KeyRange:
        """The keys that the listing covers."""
        return KeyRange(self.folder, self.last_key, self.order)


class Progress(NamedTuple):
    """How far a listing has come.

    Attributes:
        resume: where its next page begins.
        done: whether its last page was answered.
        unreadable: the number of names that were left out because they are not UTF-8.
        late: the late arrivals that it has listed.
    """

    resume: Resume = Resume()
    done: bool = False
    unreadable: int = 0
    late: LateArrivals = LateArrivals()


class Cursor(NamedTuple):
    """A listing between two of its pages."""

    spec: ListingSpec
    progress: Progress


class CursorSigner:
    """Turns cursors into opaque, URL-safe, authenticated text and back.

    Args:
        keys: HMAC keys. The first signs; all verify, so that a cursor outlives a key rotation. The sequence may change.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def seal(self, cursor: Cursor) -> str:
        """Return the cursor as text, which is never empty."""
        payload = json.dumps(_to_wire(cursor), separators=(",", ":"), ensure_ascii=False).encode()
        return _encode(_mac(self._keys[0], payload) + payload)

    def open(self, text: str, dataset: str, location: str, folder: str = "") -> Cursor:
        """Return the cursor that was sealed for this dataset, location and folder.

        Raises:
            MalformedRequestError: the text is no cursor of this server, or the cursor belongs to another dataset or
                listing, or to data that the datasource has moved away from.
        """
        cursor = self._read(text)
        if cursor is None:
            raise MalformedRequestError(
                "cursor: not a cursor of this server; send one unchanged from a previous answer, or none to begin"
            )
        spec = cursor.spec
        if spec.dataset != dataset:
            raise MalformedRequestError("cursor: belongs to a listing of another dataset; begin without a cursor")
        if spec.folder != folder:
            raise MalformedRequestError(
                f"cursor: belongs to a listing of {spec.folder or 'raw samples'}, and this one is of "
                f"{folder or 'raw samples'}; begin without a cursor"
            )
        if spec.location != location:
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
            return None  # base64 can spell the same bytes in several ways; only ours is accepted
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not any(hmac.compare_digest(mac, _mac(key, payload)) for key in self._keys):
            return None
        fields = json.loads(payload)
        if isinstance(fields, list):
            return _from_positional_wire(fields)
        return _from_wire(fields) if fields["v"] == _VERSION else None


def _to_wire(cursor: Cursor) -> dict[str, Any]:
    """Return the fields of a cursor by their names on the wire, without those that hold their default."""
    spec, progress = cursor
    fields = {
        "folder": spec.folder or None,
        "selection": spec.selection_file,
        "last": spec.last_key,
        "order": str(spec.order) or None,
        "first": spec.start_after,
        "feed": spec.listing and list(spec.listing),
        "after": progress.resume.after,
        "marker": progress.resume.marker,
        "prefix_done": progress.resume.prefix_done or None,
        "done": progress.done or None,
        "unreadable": progress.unreadable or None,
        "late": [progress.late.count, progress.late.delay] if progress.late.count else None,
    }
    return {
        "v": _VERSION,
        "dataset": spec.dataset,
        "location": spec.location,
        "from": spec.window.start,
        "to": spec.window.end,
        **{name: value for name, value in fields.items() if value is not None},
    }


def _from_wire(fields: dict[str, Any]) -> Cursor:
    spec = ListingSpec(
        dataset=fields["dataset"],
        location=fields["location"],
        window=Window(fields["from"], fields["to"]),
        folder=fields.get("folder", ""),
        selection_file=fields.get("selection"),
        last_key=fields.get("last"),
        order=fields.get("order", Order.CODE_POINTS),
        start_after=fields.get("first"),
        listing=FeedListing(*fields["feed"]) if "feed" in fields else None,
    )
    progress = Progress(
        resume=Resume(fields.get("after"), fields.get("marker"), fields.get("prefix_done", False)),
        done=fields.get("done", False),
        unreadable=fields.get("unreadable", 0),
        late=LateArrivals(*fields.get("late", ())),
    )
    return Cursor(spec, progress)


_POSITIONAL_FIELDS = (
    *("version", "dataset", "location", "from", "to", "after", "done", "unreadable", "marker", "folder", "last"),
    *("order", "selection", "samples", "size"),
)
"""What the items of a cursor of versions 1 and 2 are. Such a cursor may end after any field from `after` on."""


def _from_positional_wire(items: list[Any]) -> Cursor | None:
    """Return a cursor of version 1 or 2, which were arrays; None for another version."""
    if items[0] not in (1, 2):
        return None
    fields = {name: value for name, value in zip(_POSITIONAL_FIELDS, items, strict=False) if value is not None}
    if fields.get("marker") == _PREFIX_DONE_MARKER:
        del fields["marker"]
        fields["prefix_done"] = True
    return _from_wire(fields)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _mac(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, hashlib.sha256)
