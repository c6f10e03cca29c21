"""What a store lists: objects, and pages of them."""

from __future__ import annotations

from typing import NamedTuple, NewType

Key = str
"""A key relative to the datasource's root, byte-faithful: the store's UTF-8 name decoded, nothing normalised."""

Seconds = NewType("Seconds", int)
"""Whole Unix seconds; a file's time is floored to them (contract.md#lists-and-time-windows)."""


class StoredObject(NamedTuple):
    """One object of a store.

    `modified` is in whole Unix seconds, floored, never negative. `size` is in bytes.
    """

    key: Key
    size: int
    modified: int
    etag: str | None


class StorePage(NamedTuple):
    """One step of a listing: `objects` in key order, as UTF-8 bytes.

    `resume_after` is the last key that was looked at (also where nothing of it is in `objects`), to be handed to
    the next `list_page`; None once the listing has ended. `unreadable` counts names passed over because
    they are not UTF-8. `marker` is what the provider needs beside the key to go on, where it needs anything; it means
    nothing to anyone else.
    """

    objects: list[StoredObject]
    resume_after: Key | None
    unreadable: int = 0
    marker: str | None = None
