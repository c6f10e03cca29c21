"""Look for one object of a store."""

from __future__ import annotations

from headwater.domain.errors import StoreUnavailableError
from headwater.domain.objects import Key, StoredObject
from headwater.stores.base import Store

MAX_PAGES = 32
"""Pages without an object that are read until a store is taken for one that never answers."""


async def find_object(store: Store, key: Key) -> StoredObject | None:
    """Return the object with this key, or None if there is none: the first object that begins with the key.

    Raises:
        StoreUnavailableError: the store sends many pages without an object.
        StoreError: as `Store.list_page`.
    """
    # A LOCAL store reads a folder again when a listing begins in it, and uses its cache when a listing continues in it.
    after, marker = key[:-1] if store.can_start_after else None, None
    for _ in range(MAX_PAGES):
        page = await store.list_page(key, after, 1, marker)
        if page.objects:
            return page.objects[0] if page.objects[0].key == key else None
        if page.resume_after is None:
            return None
        after, marker = page.resume_after, page.marker
    raise StoreUnavailableError(f"The store sent {MAX_PAGES} list pages without an object. Try again later")
