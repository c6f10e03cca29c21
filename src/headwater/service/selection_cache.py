"""Load relevant-filenames files, and keep the selections that were used last."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from typing import NamedTuple
from weakref import WeakValueDictionary

from headwater.domain.datasource import Datasource
from headwater.domain.errors import RelevantFilenamesInvalidError, StoreUnavailableError
from headwater.domain.objects import Key, StoredObject
from headwater.domain.selection import Selection
from headwater.domain.selection_parser import SelectionParser, check_file_size
from headwater.domain.text import visible
from headwater.net.compute import Pace, compute
from headwater.net.users import UserPlaces, current_user
from headwater.stores.base import Store
from headwater.stores.lookup import find_object

READ_BYTES = 2**20
"""Bytes of a file that are read in one request."""

MAX_CACHED_BYTES = 64 * 2**20
"""Memory of the selections that are kept: a listing needs its selection for each page. The largest selection fits."""

MAX_CONCURRENT_READS = 8
"""Files that are read concurrently. Until it is parsed, a file takes a multiple of its size."""

MAX_CONCURRENT_READS_PER_USER = 2

LOAD_SECONDS = 30.0
"""Time limit for loading a selection, waiting for others included."""

PARSED_BYTES = 2**16
"""Bytes that are parsed in one turn of the threads for such work: patterns take a few milliseconds per kilobyte."""

_Version = tuple[object, ...]


class SelectionCache:
    """Loads selections, and keeps those that were used last for as long as their files do not change."""

    def __init__(self) -> None:
        self._selections: OrderedDict[_Version, _Kept] = OrderedDict()
        self._locks: WeakValueDictionary[_Version, asyncio.Lock] = WeakValueDictionary()
        self._reads = asyncio.Semaphore(MAX_CONCURRENT_READS)
        self._reads_of_user = UserPlaces(MAX_CONCURRENT_READS_PER_USER)

    async def load(self, store: Store, datasource: Datasource, file: Key) -> Selection:
        """Return the selection that a relevant-filenames file contains.

        Args:
            store: the store of the file.
            datasource: the datasource of the store.
            file: the key of the file.

        Raises:
            RelevantFilenamesInvalidError: the file does not exist, is too large, or has a line that cannot be used.
            StoreError: the store refused, or could not be reached.
            StoreUnavailableError: also if the file changes while it is read, twice, or takes too long to read.
        """
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                return await self._load(store, datasource, file)
        except TimeoutError:
            raise StoreUnavailableError(
                f"reading {visible(file)} takes longer than {LOAD_SECONDS:.0f} seconds: the store is slow, or the "
                "server is busy with such files; try again"
            ) from None

    async def _load(self, store: Store, datasource: Datasource, file: Key) -> Selection:
        for _ in range(2):
            found = await _stat(store, file)
            fingerprint = datasource.config.location.fingerprint
            version = (datasource.id, fingerprint, file, found.size, found.etag, found.modified)
            if (selection := self._cached(version)) is not None:
                return selection
            lock = self._locks.setdefault(version, asyncio.Lock())
            async with lock:  # one request reads it for all that need it
                if (selection := self._cached(version)) is not None:
                    return selection
                # Those who wait for their own files take no place from others.
                async with self._reads_of_user.of_current_user(), self._reads:
                    selection = await _read(store, found)
                if selection is not None:
                    if found.etag is not None:
                        self._keep(version, selection, found.size + selection.overhead_bytes)
                    return selection
        raise StoreUnavailableError(
            f"{visible(file)} changes while it is read; try again when it is completely written"
        )

    def _cached(self, version: _Version) -> Selection | None:
        kept = self._selections.get(version)
        if kept is None:
            return None
        self._selections.move_to_end(version)
        return kept.selection

    def _keep(self, version: _Version, selection: Selection, size: int) -> None:
        self._selections[version] = _Kept(selection, size, current_user())
        held = Counter[str]()
        for each in self._selections.values():
            held[each.user] += each.size
        while held.total() > MAX_CACHED_BYTES:
            # Large files of one user displace only files of this user.
            largest = max(held, key=held.__getitem__)
            oldest = next(each for each, kept in self._selections.items() if kept.user == largest)
            held[largest] -= self._selections.pop(oldest).size


class _Kept(NamedTuple):
    selection: Selection
    size: int
    user: str


async def _stat(store: Store, file: Key) -> StoredObject:
    found = await find_object(store, file)
    if found is None:
        raise RelevantFilenamesInvalidError(
            f"relevantFilenamesFileName: there is no file {visible(file)} in the datasource that serves LIGHTLY"
        )
    check_file_size(file, found.size)
    return found


async def _read(store: Store, found: StoredObject) -> Selection | None:
    """Return the selection of a file, read in several requests; None if the file changed meanwhile."""
    parser = SelectionParser(found.key, Pace())
    start = 0
    while start < found.size:
        left = found.size - start
        # One byte more than expected shows whether the file has grown.
        chunk = await store.read(found.key, left + 1 if left <= READ_BYTES else READ_BYTES, start)
        if len(chunk) != min(left, READ_BYTES):
            return None
        for begin in range(0, len(chunk), PARSED_BYTES):
            await compute(parser.feed, chunk[begin : begin + PARSED_BYTES])
        start += len(chunk)
    if found.size > READ_BYTES and await _stat(store, found.key) != found:
        return None
    return await compute(parser.finish)
