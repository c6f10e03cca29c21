"""One step of every listing: a page of the store, as far as the listing goes."""

from __future__ import annotations

from headwater.domain.key_order import sort_text
from headwater.domain.objects import Key, StorePage
from headwater.domain.samples import AFTER_LIGHTLY_FOLDER, LIGHTLY_FOLDER
from headwater.stores.base import Store


async def next_page(
    store: Store, prefix: str, after: Key | None, limit: int, marker: str | None, until: Key | None, order: str
) -> StorePage:
    """List one page of a shard, and step over the own folder where a listing from the root on comes to it.

    Args:
        store: where to look.
        prefix: as in `Store.list_page`, and so are `after` and `marker`.
        after: where to go on.
        limit: at least 1; the store's own limit holds as well.
        marker: of the page before.
        until: the bound with which the shard ends, itself included; None for the listing's own end. The page is the
            last one where the shard ends in it.
        order: that of the store, as it was told with the bound.

    Raises:
        StoreError: as `Store.list_page`.
    """
    page = await store.list_page(prefix, after, min(store.list_limit, limit), marker)
    if until is not None:
        page = _within(page, sort_text(until, order), order)
    # Once, on the way in: a store that orders by UTF-16 has names of the folder behind the place that is gone to.
    entering = (
        LIGHTLY_FOLDER.startswith(prefix)
        and page.resume_after is not None
        and page.resume_after.startswith(LIGHTLY_FOLDER)
        and not (after or "").startswith(LIGHTLY_FOLDER)
    )
    if entering and store.can_start_after:
        return page._replace(resume_after=AFTER_LIGHTLY_FOLDER, marker=None)
    return page


def _within(page: StorePage, end: str, order: str) -> StorePage:
    """A page as far as a shard goes, of which `end` is the bound, `ordered`."""
    for number, found in enumerate(page.objects):
        if sort_text(found.key, order) > end:
            return page._replace(objects=page.objects[:number], resume_after=None)
    if page.resume_after is not None and sort_text(page.resume_after, order) > end:
        return page._replace(resume_after=None)
    return page
