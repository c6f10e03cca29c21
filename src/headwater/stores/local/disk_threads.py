"""The threads that wait for disks, shared out so that a disk that hangs holds up nothing but itself.

A network mount whose server is gone keeps every thread that touches it, for as long as it likes. So each use of a disk
has a time limit; one datasource has only a few threads, and all below one folder of the mount root, which often are
on one mount, have only a part of them; and the process ends without them (`threads`).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from threading import Lock
from typing import TypeVar, TypeVarTuple
from weakref import WeakValueDictionary

from headwater.domain.errors import StoreUnavailableError
from headwater.net.threads import DaemonExecutor, LimitedExecutor, NoFreeThreadError, run_in_executor
from headwater.stores.local.root import LocalRoot, Parts, shown

Args = TypeVarTuple("Args")
T = TypeVar("T")

LIMIT = 15.0
"""Seconds for one use of a disk: a page of a listing, a block of a file, a small file written."""

PATIENCE = 5.0
"""Seconds, of those, to wait for a thread; on a disk that answers, one comes free many times a second."""


class DiskThreads:
    """Threads for one kind of work on disks.

    Args:
        name: what the threads are called.
        most: threads in all.
        most_below: threads for all that lies below one folder of the mount root.
        most_each: threads for one datasource.
    """

    def __init__(self, name: str, *, most: int, most_below: int, most_each: int) -> None:
        self._threads = DaemonExecutor(most, name)
        self._most_below = most_below
        self._most_each = most_each
        self._lock = Lock()
        # A lane that does nothing is forgotten; one that works is held by its own threads.
        self._lanes: WeakValueDictionary[tuple[bytes, Parts, bool], LimitedExecutor] = WeakValueDictionary()

    def share(self, root: LocalRoot, place: Parts) -> FolderExecutor:
        """Return the threads that may work on a folder. Every share of the same folder is of the same threads."""
        with self._lock:
            below = self._lane((root.path, place[:1], False), self._threads, self._most_below)
            return FolderExecutor(self._lane((root.path, place, True), below, self._most_each), place)

    def _lane(self, key: tuple[bytes, Parts, bool], threads: Executor, most: int) -> LimitedExecutor:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = LimitedExecutor(threads, most)
        return lane


class FolderExecutor:
    """The threads that may work on one folder."""

    __slots__ = ("_lane", "_place")

    def __init__(self, lane: LimitedExecutor, place: Parts) -> None:
        self._lane = lane
        self._place = place

    async def call(self, work: Callable[[*Args], T], *args: *Args, discard: Callable[[T], object] | None = None) -> T:
        """Do blocking work; where the caller is cancelled, or is told that it takes too long, it ends by itself.

        Args:
            work: what to do.
            args: its arguments.
            discard: called with a result that nobody is left to receive.

        Raises:
            StoreUnavailableError: it is not done in time, or was not begun.
        """
        try:
            return await run_in_executor(
                self._lane, work, *args, timeout=LIMIT, start_timeout=PATIENCE, discard=discard
            )
        except NoFreeThreadError:
            raise StoreUnavailableError(
                f"too much already waits for the disk behind {shown(self._place)}: it is slow or does not answer"
            ) from None
        except TimeoutError:
            raise StoreUnavailableError(
                f"the disk behind {shown(self._place)} did not answer within {LIMIT:.0f} seconds: see whether the disk "
                "or network mount is well, and try again"
            ) from None

    def leave(self, work: Callable[[], object]) -> None:
        """Have blocking work done, and do not wait for it."""
        self._lane.submit(work)


# Few list at the same time for one datasource, because each may hold the names of one huge folder.
LISTING_THREADS = DiskThreads("local-listing", most=32, most_below=8, most_each=2)
FILE_THREADS = DiskThreads("local-files", most=128, most_below=32, most_each=8)
