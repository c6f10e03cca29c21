"""The seam of listings: where the objects of a page come from."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from headwater.domain.feed import LateArrivals
from headwater.domain.key_range import Resume
from headwater.domain.objects import StoredObject


class ObjectPage(NamedTuple):
    """What a source returns for one page.

    Attributes:
        objects: the objects, in the order of the source.
        resume: where the listing continues; None once it has ended. Everything before it was looked at.
        unreadable: the number of names that were left out because they are not UTF-8.
        late: the late arrivals of the page, in an exact feed.
        unreadable_folder: as in `StorePage`.
    """

    objects: list[StoredObject]
    resume: Resume | None
    unreadable: int = 0
    late: LateArrivals = LateArrivals()
    unreadable_folder: str | None = None


class ObjectSource(Protocol):
    """Lists the objects of one listing, page by page. It keeps no state between pages: `Resume` is all there is."""

    async def page(self, resume: Resume, limit: int, deadline: float) -> ObjectPage:
        """Return the page after `resume`. It may be short, or empty, before the listing ends.

        Args:
            resume: where to continue.
            limit: the most objects to return, at least 1.
            deadline: the time of `time.monotonic` after which the store is sent no further request.

        Raises:
            StoreError: the store refused, or could not be reached after retries.
        """
