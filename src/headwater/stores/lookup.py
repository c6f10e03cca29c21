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
        StoreError: as `Store.list_page`, or the store sends nothing but pages without objects.
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
    raise StoreUnavailableError("the store sent only empty pages of a listing; try again")
