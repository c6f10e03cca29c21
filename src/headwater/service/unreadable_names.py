"""Names that listings leave out because they are not UTF-8, and what was logged about them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

import structlog

from headwater.domain.cursor import ListingSpec

MAX_LISTINGS = 1000
"""Listings that are kept. The least recently listed is dropped first."""

MAX_SHOWN = 200
"""Characters of a folder in the log."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class UnreadableNames:
    """Logs the names that listings left out, once for each change: polls leave out the same ones again and again."""

    def __init__(self) -> None:
        self._folders: OrderedDict[object, str] = OrderedDict()
        self._logged: OrderedDict[object, int] = OrderedDict()

    def found(self, spec: ListingSpec, folder: str) -> None:
        """Record the folder in which a page left out the first name."""
        _keep(self._folders, _listing(spec), self._folders.get(_listing(spec), folder))

    def finish(self, spec: ListingSpec, names: int) -> None:
        """Log the names that a listing, or one of its shards, has left out, unless it was the same number before.

        Args:
            spec: the listing.
            names: their number.
        """
        listing = _listing(spec)
        folder = self._folders.pop(listing, None)
        if names and self._logged.get(listing) != names:
            shown = None if folder is None else folder[:MAX_SHOWN]
            log.warning("names_not_utf8", dataset=spec.dataset, names=names, folder=shown)
        if names:
            _keep(self._logged, listing, names)
        else:
            self._logged.pop(listing, None)


def _listing(spec: ListingSpec) -> object:
    return spec.dataset, spec.location, spec.folder, spec.selection_file, spec.start_after, spec.last_key


def _keep(kept: OrderedDict[object, T], listing: object, value: T) -> None:
    kept[listing] = value
    kept.move_to_end(listing)
    if len(kept) > MAX_LISTINGS:
        kept.popitem(last=False)
