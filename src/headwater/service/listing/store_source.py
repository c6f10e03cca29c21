"""Objects read directly from the store: one page of the store for each page of the source."""

from __future__ import annotations

from headwater.domain.key_range import KeyRange, Resume
from headwater.domain.objects import StorePage
from headwater.domain.samples import AFTER_LIGHTLY_FOLDER, LIGHTLY_FOLDER
from headwater.service.listing.source import ObjectPage
from headwater.stores.base import Store


class StoreSource:
    """The objects of a store in a range of keys; an `ObjectSource`.

    A listing that comes to the `.lightly/` folder of the root continues after it, since raw samples are never in it.

    Args:
        store: the store.
        key_range: which keys are listed.
    """

    def __init__(self, store: Store, key_range: KeyRange) -> None:
        self._store = store
        self._range = key_range

    async def page(self, resume: Resume, limit: int, deadline: float) -> ObjectPage:
        """Return the page after `resume`, in one request to the store; see `ObjectSource.page`."""
        after, marker = resume.after, resume.marker
        page = await self._store.list_page(self._range.prefix, after, min(self._store.list_limit, limit), marker)
        if self._range.last_key is not None:
            page = _up_to_end(page, self._range)
        listed = ObjectPage(page.objects, None, page.unreadable, unreadable_folder=page.unreadable_folder)
        if page.resume_after is None:
            return listed
        # Only when the listing enters the folder: a store that orders by UTF-16 has keys of the folder after
        # AFTER_LIGHTLY_FOLDER, from which the listing would go back again and again.
        enters_folder = (
            LIGHTLY_FOLDER.startswith(self._range.prefix)
            and page.resume_after.startswith(LIGHTLY_FOLDER)
            and not (after or "").startswith(LIGHTLY_FOLDER)
        )
        # Read after the page, from which a store can learn that its server cannot begin after a key.
        if enters_folder and self._store.can_start_after:
            return listed._replace(resume=Resume(AFTER_LIGHTLY_FOLDER))
        return listed._replace(resume=Resume(page.resume_after, page.marker))


def _up_to_end(page: StorePage, key_range: KeyRange) -> StorePage:
    """Return the part of a page that is in the range. The page is the last one if the range ends in it."""
    for number, found in enumerate(page.objects):
        if key_range.is_past_end(found.key):
            return page._replace(objects=page.objects[:number], resume_after=None)
    if page.resume_after is not None and key_range.is_past_end(page.resume_after):
        return page._replace(resume_after=None)
    return page
