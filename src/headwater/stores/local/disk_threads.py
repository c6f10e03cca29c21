"""Threads for disk access, limited per folder, so that a disk that hangs blocks nothing else.

A thread that uses a network mount whose server is gone may never return. So each use of a disk has a time limit, and
only some of the threads may work for one datasource, or for one top-level folder of the mount root, which often is one
mount. The process ends without waiting for these threads (`net.threads`).
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from threading import Lock
from typing import TypeVar, TypeVarTuple
from weakref import WeakValueDictionary

from headwater.domain.errors import StoreError, StoreUnavailableError
from headwater.net.threads import DaemonExecutor, LimitedExecutor, NoFreeThreadError, run_in_executor
from headwater.net.users import current_user
from headwater.observability.work import StoreWork
from headwater.stores.error_mapping import count_error
from headwater.stores.local.root import LocalRoot, Parts, shown

Args = TypeVarTuple("Args")
T = TypeVar("T")

USE_SECONDS = 15.0
"""Time limit for one use of a disk: a page of a listing, a block of a file, a small file written."""

START_SECONDS = 5.0
"""The part of it that may pass before a thread is free. On a working disk, one becomes free many times a second."""


class DiskThreads:
    """The threads for one kind of disk access.

    Args:
        name: begins the names of the threads.
        max_threads: how many there are at most.
        max_per_top_folder: how many of them work in one top-level folder of the mount root.
        max_per_folder: how many of them work for one datasource. Users of the same folder take turns.
    """

    def __init__(self, name: str, *, max_threads: int, max_per_top_folder: int, max_per_folder: int) -> None:
        self._threads = DaemonExecutor(max_threads, name)
        self._max_per_top_folder = max_per_top_folder
        self._max_per_folder = max_per_folder
        self._lock = Lock()
        # An idle executor is collected; the threads of a busy one keep it alive.
        self._executors: WeakValueDictionary[tuple[bytes, Parts, str], LimitedExecutor] = WeakValueDictionary()

    def for_folder(self, root: LocalRoot, folder: Parts) -> FolderExecutor:
        """Return the current user's executor for a folder. All executors for the same folder share their threads."""
        with self._lock:
            top = self._executor((root.path, folder[:1], "top"), self._threads, self._max_per_top_folder)
            shared = self._executor((root.path, folder, "all"), top, self._max_per_folder)
            user = f"user {current_user()}"
            return FolderExecutor(self._executor((root.path, folder, user), shared, self._max_per_folder), folder)

    def shutdown(self) -> None:
        """End idle threads now, and busy ones when they have nothing left to do. Waits for none."""
        self._threads.shutdown()

    def _executor(
        self, key: tuple[bytes, Parts, str], threads: DaemonExecutor | LimitedExecutor, max_threads: int
    ) -> LimitedExecutor:
        executor = self._executors.get(key)
        if executor is None:
            executor = self._executors[key] = LimitedExecutor(threads, max_threads)
        return executor


class FolderExecutor:
    """The threads that may work in one folder."""

    __slots__ = ("_executor", "_folder")

    def __init__(self, executor: LimitedExecutor, folder: Parts) -> None:
        self._executor = executor
        self._folder = folder

    async def call(self, work: Callable[[*Args], T], *args: *Args, discard: Callable[[T], object] | None = None) -> T:
        """Return the result of blocking work. After a cancellation or the time limit, the work continues unobserved.

        Args:
            work: what to call.
            args: its arguments.
            discard: called with a result that nobody waits for any more.

        Raises:
            StoreUnavailableError: the work did not finish, or did not start, within its time limit.
        """
        try:
            with StoreWork("local", "disk"):
                return await run_in_executor(
                    self._executor, work, *args, timeout=USE_SECONDS, start_timeout=START_SECONDS, discard=discard
                )
        except StoreError as error:
            count_error("local", errno.errorcode.values(), error.provider_code)
            raise
        except NoFreeThreadError:
            raise StoreUnavailableError(
                f"too much already waits for the disk behind {shown(self._folder)}: it is slow or does not answer"
            ) from None
        except TimeoutError:
            raise StoreUnavailableError(
                f"the disk behind {shown(self._folder)} did not answer within {USE_SECONDS:.0f} seconds: check the "
                "disk or network mount, and try again"
            ) from None

    def submit(self, work: Callable[[], object]) -> None:
        """Do blocking work without waiting for it."""
        self._executor.submit(work)
