"""Objects by date: a window selects by the time that the store gives an object."""

from __future__ import annotations

from headwater.domain.key_range import Resume
from headwater.domain.samples import select_listed
from headwater.domain.window import Window
from headwater.service.listing.source import ObjectPage, ObjectSource


class DatedSource:
    """The objects of another source that a listing contains by their dates; an `ObjectSource`.

    Args:
        source: where objects come from.
        folder: empty for raw samples; else the folder under `.lightly/` that is listed.
        window: the seconds in which objects must be dated.
        include_all_files: as in `is_sample`.
    """

    def __init__(self, source: ObjectSource, folder: str, window: Window, *, include_all_files: bool) -> None:
        self._source = source
        self._folder = folder
        self._window = window
        self._include_all_files = include_all_files

    async def page(self, resume: Resume, limit: int, deadline: float) -> ObjectPage:
        """Return the page after `resume`; see `ObjectSource.page`."""
        page = await self._source.page(resume, limit, deadline)
        listed = select_listed(page.objects, self._folder, self._window, include_all_files=self._include_all_files)
        return page._replace(objects=listed)
