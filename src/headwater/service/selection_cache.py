"""Read relevant-filenames files, and keep the parsed selections of those last used."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from weakref import WeakValueDictionary

from headwater.domain.datasource import Datasource
from headwater.domain.errors import RelevantFilenamesInvalidError, StoreUnavailableError
from headwater.domain.objects import StoredObject
from headwater.domain.selection import Selection, SelectionParser, check_size
from headwater.domain.text import visible
from headwater.stores.base import Store

RANGE = 2**20
"""Bytes of the file that are read at once."""

CACHED_BYTES = 64 * 2**20
"""Files that are kept parsed, by the memory they take: a listing looks at its file with each page. The largest fits."""

READ_AT_ONCE = 4
"""Files that are read beside each other: each takes a multiple of its size until it is parsed."""


class SelectionCache:
    """Reads files of relevant filenames, and keeps those last used, parsed, as long as they do not change."""

    def __init__(self) -> None:
        self._plans: OrderedDict[tuple[object, ...], tuple[Selection, int]] = OrderedDict()
        self._locks: WeakValueDictionary[tuple[object, ...], asyncio.Lock] = WeakValueDictionary()
        self._reading = asyncio.Semaphore(READ_AT_ONCE)

    async def plan(self, store: Store, source: Datasource, name: str) -> Selection:
        """Read a file, or find it read.

        Args:
            store: where it lies.
            source: the datasource that `store` is of.
            name: relative to its root.

        Raises:
            RelevantFilenamesInvalidError: it is not there, too large, or holds a line that cannot be used.
            StoreError: the store refused, or could not be reached; StoreUnavailableError also if the file
                changes all the time.
        """
        for _ in range(2):
            found = await _look(store, name)
            version = (source.id, source.config.location.fingerprint, name, found.size, found.etag, found.modified)
            if (plan := self._kept(version)) is not None:
                return plan
            lock = self._locks.setdefault(version, asyncio.Lock())
            async with lock:  # one reads it for all who ask
                if (plan := self._kept(version)) is not None:
                    return plan
                async with self._reading:
                    plan = await _read(store, found)
                if plan is not None:
                    if found.etag is not None:
                        self._keep(version, plan, found.size + plan.overhead)
                    return plan
        raise StoreUnavailableError(
            f"{visible(name)} changes while it is read; try again when it is written to its end"
        )

    def _kept(self, version: tuple[object, ...]) -> Selection | None:
        if version not in self._plans:
            return None
        self._plans.move_to_end(version)
        return self._plans[version][0]

    def _keep(self, version: tuple[object, ...], plan: Selection, size: int) -> None:
        self._plans[version] = (plan, size)
        while sum(size for _, size in self._plans.values()) > CACHED_BYTES:
            self._plans.popitem(last=False)


async def find_object(store: Store, name: str) -> StoredObject | None:
    """Look for one object: the first of all that begin with its name."""
    # LOCAL reads a folder anew where a listing begins with it, and remembers it where one goes on in it.
    after, marker = name[:-1] if store.can_start_after else None, None
    while True:
        page = await store.list_page(name, after, 1, marker)
        if page.objects:
            return page.objects[0] if page.objects[0].key == name else None
        if page.resume_after is None:
            return None
        after, marker = page.resume_after, page.marker


async def _look(store: Store, name: str) -> StoredObject:
    found = await find_object(store, name)
    if found is None:
        raise RelevantFilenamesInvalidError(
            f"relevantFilenamesFileName: there is no file {visible(name)} in the datasource that serves LIGHTLY"
        )
    check_size(name, found.size)
    return found


async def _read(store: Store, found: StoredObject) -> Selection | None:
    """Read and parse a file range by range; None where it changed meanwhile."""
    parser = SelectionParser(found.key)
    start = 0
    while start < found.size:
        left = found.size - start
        # One byte more than there should be tells of a file that has grown.
        chunk = await store.read(found.key, left + 1 if left <= RANGE else RANGE, start)
        if len(chunk) != min(left, RANGE):
            return None
        await asyncio.to_thread(parser.feed, chunk)
        start += len(chunk)
    if found.size > RANGE and await _look(store, found.key) != found:
        return None
    return await asyncio.to_thread(parser.finish)
