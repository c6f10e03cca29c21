"""Objects that a relevant-filenames file selects: the store is sent requests for these, and for nothing else."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from dataclasses import dataclass, field

from headwater.domain.errors import RelevantFilenamesInvalidError, TooManyRequestsError
from headwater.domain.key_range import KeyRange, Resume
from headwater.domain.objects import Key, StoredObject
from headwater.domain.selection import Selection
from headwater.net.compute import TURN_SECONDS, Pace, compute
from headwater.service.listing.name_lookup import FIRST_BATCH, LookupLimits, find_names
from headwater.service.listing.source import ObjectPage
from headwater.service.listing.store_source import StoreSource
from headwater.stores.base import Store

MAX_REQUESTS = 512
"""The most requests that a page sends to the store, even if it is fast: then the page ends short."""

MAX_KEY_SECONDS = 2.0
"""Processor time that matching one key may take. A listing cannot continue in the middle of a key."""


@dataclass
class _PageInProgress:
    """The objects of a page that is being read."""

    limit: int
    deadline: float
    objects: list[StoredObject] = field(default_factory=list)
    unreadable: int = 0
    requests: int = 0
    unreadable_folder: str | None = None

    @property
    def room(self) -> int:
        """How many objects the page can still take."""
        return self.limit - len(self.objects)

    @property
    def is_finished(self) -> bool:
        """Whether the page is full, or its time or its requests are used up."""
        return self.room <= 0 or self.requests >= MAX_REQUESTS or time.monotonic() >= self.deadline

    def ending_at(self, resume: Resume | None) -> ObjectPage:
        """Return the finished page."""
        return ObjectPage(self.objects, resume, self.unreadable, unreadable_folder=self.unreadable_folder)


class SelectionSource:
    """The objects of a store that a selection selects; an `ObjectSource`.

    Names and prefixes of the selection are read in the order of code points; the keys under one prefix come in the
    order of the store.

    Args:
        store: the store.
        selection: what is selected.
        key_range: only keys in this range are listed. Its order is the one that the store had when the listing was
            split into shards.
    """

    def __init__(self, store: Store, selection: Selection, key_range: KeyRange) -> None:
        self._store = store
        self._selection = selection
        self._range = key_range
        self._prefixes = prefixes_in(selection, key_range.prefix)

    async def page(self, resume: Resume, limit: int, deadline: float) -> ObjectPage:
        """Return the page after `resume`; see `ObjectSource.page`."""
        page = _PageInProgress(limit, deadline)
        names = self._selection.names
        index = self._first_name(resume)
        number = self._first_prefix(resume)
        last_key = self._range.last_key
        end = len(names) if last_key is None else names.index(last_key, after_equal=True)
        while True:
            prefix = self._prefix(number)
            stop = end if prefix is None else min(end, names.index(prefix))
            if index < stop:
                index, last_name = await self._add_names(page, index, stop)
                if last_name is None:
                    index = end  # names are sorted: all later ones are outside the folder, too
                else:
                    resume = Resume(last_name)
                    if page.is_finished:
                        return page.ending_at(resume)
            if prefix is None:
                return page.ending_at(None)
            is_inside = resume.after is not None and resume.after.startswith(prefix)
            unfinished = await self._add_prefix(page, prefix, resume if is_inside else Resume())
            if unfinished is not None:
                return page.ending_at(unfinished)
            number += 1
            resume = Resume(prefix, prefix_done=True)
            if page.is_finished:
                return page.ending_at(resume)

    def _first_name(self, resume: Resume) -> int:
        """Return the index of the first name after `resume` in the range."""
        names = self._selection.names
        first = 0 if resume.after is None else names.index(resume.after, after_equal=True)
        return max(first, names.index(self._range.prefix))

    def _first_prefix(self, resume: Resume) -> int:
        """Return the number of the first prefix that is not finished at `resume`."""
        if resume.after is None:
            return 0
        number = bisect_right(self._prefixes, resume.after)
        if not number or not resume.after.startswith(self._prefixes[number - 1]):
            return number
        # If the file has changed, this may be a wider prefix than the one that was finished.
        is_finished = resume.prefix_done and resume.after == self._prefixes[number - 1]
        return number if is_finished else number - 1

    def _prefix(self, number: int) -> str | None:
        """Return the prefix with this number; None after the last one that begins before the end of the range."""
        if number >= len(self._prefixes):
            return None
        prefix, last_key = self._prefixes[number], self._range.last_key
        return None if last_key is not None and prefix > last_key else prefix

    async def _add_names(self, page: _PageInProgress, index: int, stop: int) -> tuple[int, Key | None]:
        """Add the objects of the names from `index` to before `stop`, until the page is finished.

        Returns:
            The index of the next name, and the last name that was looked for; None instead of a name if all names that
            were reached are outside the folder.
        """
        last_name: Key | None = None
        batch = FIRST_BATCH
        while index < stop:
            names = self._selection.names.part(index, min(index + min(batch, page.room), stop))
            names = [name for name in names if name.startswith(self._range.prefix)]
            if not names:
                return stop, None
            found = await find_names(self._store, names, LookupLimits(page.deadline, MAX_REQUESTS - page.requests))
            page.objects += found.objects
            page.requests += found.requests
            index += found.answered
            batch, last_name = found.next_batch, names[found.answered - 1]
            if page.is_finished:
                break
        return index, last_name

    async def _add_prefix(self, page: _PageInProgress, prefix: str, resume: Resume) -> Resume | None:
        """Add the selected objects under a prefix; return where to continue, None once all of it was looked at."""
        last_key = self._range.last_key
        ends_inside = last_key is not None and last_key.startswith(prefix)
        source = StoreSource(self._store, KeyRange(prefix, last_key if ends_inside else None, self._range.order))
        while True:
            found = await source.page(resume, page.room, page.deadline)
            page.requests += 1
            page.unreadable += found.unreadable
            if page.unreadable_folder is None:
                page.unreadable_folder = found.unreadable_folder
            examined = await self._add_selected(page, found.objects)
            if examined < len(found.objects):
                return Resume(found.objects[examined - 1].key) if examined else resume
            if found.resume is None:
                return None
            resume = found.resume
            if page.is_finished:
                return resume

    async def _add_selected(self, page: _PageInProgress, objects: list[StoredObject]) -> int:
        """Add those of `objects` that the selection selects; return how many of them were examined in time."""
        if not self._selection.has_patterns:
            page.objects += objects
            return len(objects)
        examined = 0
        while examined < len(objects) and (not examined or not page.is_finished):
            matching = _Matching(self._selection, page.deadline, must_advance=not examined)
            wait_seconds = max(page.deadline - time.monotonic(), TURN_SECONDS)
            try:
                page.objects += await compute(matching.select, objects[examined:], start_seconds=wait_seconds)
            except TooManyRequestsError:
                break
            examined += matching.examined
        return examined


class _TurnOverError(Exception):
    """Other users are next."""


class _Matching:
    """Matches patterns for one turn, in a thread.

    Args:
        selection: has the patterns.
        deadline: the time of `time.monotonic` at which the page ends.
        must_advance: whether the first object is examined even if that takes longer.

    Attributes:
        examined: the number of objects that were examined.
    """

    def __init__(self, selection: Selection, deadline: float, *, must_advance: bool) -> None:
        self._selection = selection
        self._deadline = deadline
        self._must_advance = must_advance
        self._end = 0.0
        self._key_began = 0.0
        self.examined = 0

    def select(self, objects: list[StoredObject]) -> list[StoredObject]:
        """Return the first of `objects` that are selected.

        Raises:
            RelevantFilenamesInvalidError: the patterns take too long for one key.
        """
        self._end = min(self._deadline, time.monotonic() + TURN_SECONDS)
        pace = Pace(self._check)
        selected = []
        for found in objects:
            self._key_began = time.thread_time()
            try:
                if self._selection.selects(found.key, pace):
                    selected.append(found)
            except _TurnOverError:
                break
            self.examined += 1
            if time.monotonic() >= self._end:
                break
        return selected

    def _check(self) -> None:
        # The first key of a turn may need more than the turn.
        end = self._end if self.examined else math.inf if self._must_advance else self._deadline
        if time.monotonic() >= end:
            raise _TurnOverError
        if time.thread_time() - self._key_began > MAX_KEY_SECONDS:
            raise RelevantFilenamesInvalidError(
                f"relevantFilenamesFileName: matching the patterns takes more than {MAX_KEY_SECONDS:.0f} seconds for "
                "one name; write fewer patterns, and fewer '*' and '**' in each"
            )


def prefixes_in(selection: Selection, folder: str) -> list[str]:
    """Return the prefixes of a selection that reach into a folder, narrowed to the folder, in ascending order."""
    if not folder:
        return selection.prefixes
    if any(folder.startswith(prefix) for prefix in selection.prefixes):
        return [folder]
    return [prefix for prefix in selection.prefixes if prefix.startswith(folder)]
