"""What stores list: objects, and pages of them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from struct import unpack
from typing import NamedTuple

Key = str
"""The full name of an object under the datasource's root: the store's UTF-8 name decoded, nothing normalised."""


class StoredObject(NamedTuple):
    """An object of a store.

    Attributes:
        key: its key.
        size: in bytes.
        modified: its time in whole Unix seconds, rounded down, never negative (contract.md#lists-and-time-windows).
        etag: the provider's ETag; None if it has none.
        generation: what the provider changes if and only if the object is replaced; None if the ETag tells that.
    """

    key: Key
    size: int
    modified: int
    etag: str | None
    generation: str | None = None


def version_of(found: StoredObject) -> int:
    """Return the version of an object; see `versions_of`."""
    return versions_of([found])[0]


def versions_of(objects: Sequence[StoredObject]) -> list[int]:
    """Return the version of each object as a signed 64-bit integer: another one once the object was replaced.

    It is a hash of key, generation (or ETag), size and time. It is stored, so the same object must have the same
    version in every process and every release.
    """
    digests = []
    for key, size, modified, etag, generation in objects:
        mark = (etag or "") if generation is None else generation
        # Three numbers in front make the text unambiguous, whatever the rest contains.
        text = f"{size} {modified} {len(mark)} {mark}{key}"
        digests.append(blake2b(text.encode(), digest_size=8).digest())
    return list(unpack(f">{len(digests)}q", b"".join(digests)))


class StorePage(NamedTuple):
    """One page of a store's listing.

    Attributes:
        objects: in the order of the store.
        resume_after: the last key that the store looked at, even if it is not in `objects`; None once the listing has
            ended. `Store.list_page` continues after it.
        unreadable: the number of names that were left out because they are not UTF-8.
        marker: the provider's continuation token, if it needs one besides the key. Only the store reads it.
        unreadable_folder: the folder of the first name that was left out: empty, or text that ends in `/`; None if the
            store does not know it.
    """

    objects: list[StoredObject]
    resume_after: Key | None
    unreadable: int = 0
    marker: str | None = None
    unreadable_folder: str | None = None
