"""Threads for calls that may never return: a disk that hangs, a name server that does not answer.

When a process ends, Python joins the threads of `concurrent.futures`, and one that hangs would block the process
forever. These are daemon threads instead: they end with the process, whatever they are doing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from threading import Condition, Lock, Thread
from typing import Any, ParamSpec, TypeVar, TypeVarTuple
from weakref import WeakSet, WeakValueDictionary

from headwater.observability.work import Usage

Args = TypeVarTuple("Args")
P = ParamSpec("P")
T = TypeVar("T")

_Job = tuple[Future[Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class NoFreeThreadError(TimeoutError):
    """No thread became free in time. The work was not started and never will be."""


class DaemonExecutor(Executor):
    """A pool of daemon threads, which are started when needed and kept.

    Nothing waits for them: neither the end of the process nor `shutdown`, after which a thread ends when it is idle.

    Args:
        max_threads: further work waits until a thread is free.
        name: the name of the threads, to which a number is added.
    """

    def __init__(self, max_threads: int, name: str) -> None:
        self._max_threads = max_threads
        self._name = name
        self._jobs: deque[_Job] = deque()
        self._changed = Condition()
        self._threads = 0
        self._idle = 0
        self._is_shut_down = False
        with _usage_lock:
            _pools.add(self)

    @property
    def name(self) -> str:
        """The name of the threads."""
        return self._name

    def usage(self) -> Usage:
        """Return how many of the threads work."""
        with self._changed:
            return Usage(self._name, self._threads - self._idle, self._max_threads, _count_work(self._jobs))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call `fn` in a thread."""
        future: Future[T] = Future()
        with self._changed:
            if len(self._jobs) >= self._idle and self._threads < self._max_threads:
                Thread(target=self._run, name=f"{self._name}-{self._threads}", daemon=True).start()
                self._threads += 1
            self._jobs.append((future, fn, args, kwargs))
            self._changed.notify()
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:
        """End all threads that are idle, and the others when they become idle. Work that is submitted is still done."""
        with self._changed:
            self._is_shut_down = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                while not self._jobs and not self._is_shut_down:
                    self._changed.wait()
                self._idle -= 1
                if not self._jobs:
                    self._threads -= 1
                    return
                job = self._jobs.popleft()
            _do(*job)
            del job  # or it would be referenced until the next job comes


class LimitedExecutor(Executor):
    """A part of another executor: it uses at most `max_threads` of its threads at the same time.

    Work that hangs in one part leaves the other threads to the other parts. A part can have parts itself.

    Args:
        executor: provides the threads.
        max_threads: further work waits here.
    """

    def __init__(self, executor: DaemonExecutor | LimitedExecutor, max_threads: int) -> None:
        self._executor = executor
        self._max_threads = max_threads
        self._jobs: deque[_Job] = deque()
        self._lock = Lock()
        self._used_threads = 0
        self.name: str = executor.name
        with _usage_lock:
            _parts.add(self)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call `fn` in a thread."""
        future: Future[T] = Future()
        with self._lock:
            # If all threads hang, nothing else would ever remove work whose callers have given up.
            while self._jobs and self._jobs[0][0].cancelled():
                self._jobs.popleft()
            self._jobs.append((future, fn, args, kwargs))
            if self._used_threads < self._max_threads:
                self._executor.submit(self._run)
                self._used_threads += 1
        return future

    def waiting(self) -> int:
        """Return how much work of this part waits for a thread."""
        with self._lock:
            return _count_work(self._jobs)

    def _run(self) -> None:
        with self._lock:
            job = self._jobs.popleft() if self._jobs else None
        if job is not None:
            _do(*job)
            del job
        with self._lock:
            if not self._jobs:
                self._used_threads -= 1
                return
        # Queue up again: a part with much work must not keep its thread from the other parts.
        self._executor.submit(self._run)


class UserThreads:
    """A part of an executor for each user, so that users take turns and none takes all threads.

    Args:
        executor: provides the threads.
        max_per_user: how many of them work for one user at the same time.
    """

    def __init__(self, executor: DaemonExecutor | LimitedExecutor, max_per_user: int) -> None:
        self._executor = executor
        self._max_per_user = max_per_user
        self._lock = Lock()
        # The part of an idle user is collected; the threads of a busy one keep it alive.
        self._parts: WeakValueDictionary[str, LimitedExecutor] = WeakValueDictionary()

    def for_user(self, user: str) -> LimitedExecutor:
        """Return the part of a user."""
        with self._lock:
            part = self._parts.get(user)
            if part is None:
                part = self._parts[user] = LimitedExecutor(self._executor, self._max_per_user)
            return part


_usage_lock = Lock()
_pools: WeakSet[DaemonExecutor] = WeakSet()
_parts: WeakSet[LimitedExecutor] = WeakSet()


def thread_usage() -> list[Usage]:
    """Return how many threads of this process are in use, by their name."""
    with _usage_lock:
        pools, parts = list(_pools), list(_parts)
    usage: dict[str, Usage] = {}
    for pool in pools:
        found = pool.usage()
        before = usage.get(pool.name, Usage(pool.name, 0, 0))
        usage[pool.name] = Usage(pool.name, *map(int.__add__, before[1:], found[1:]))
    for part in parts:
        if waiting := part.waiting():
            usage[part.name] = usage[part.name]._replace(waiting=usage[part.name].waiting + waiting)
    return sorted(usage.values())


def _count_work(jobs: deque[_Job]) -> int:
    """Return how many jobs are work: not given up, and not the turn of a part, whose own jobs are counted."""
    turn = LimitedExecutor._run
    return sum(1 for future, fn, *_ in jobs if not future.cancelled() and getattr(fn, "__func__", None) is not turn)


def _do(future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:
        future.set_exception(error)
        del future  # or the error's traceback would keep a reference to the future, which has the error
    else:
        future.set_result(result)


async def run_in_executor(
    executor: Executor,
    work: Callable[[*Args], T],
    *args: *Args,
    timeout: float,  # noqa: ASYNC109  the work cannot be cancelled as `asyncio.timeout` would
    start_timeout: float,
    discard: Callable[[T], object] | None = None,
) -> T:
    """Run blocking work in a thread, and return its result if it is there within `timeout` seconds.

    A thread cannot be stopped: after a time-out or a cancellation, work that has begun continues in the background.

    Args:
        executor: where the work runs.
        work: the function to call.
        args: its arguments.
        timeout: seconds in all.
        start_timeout: how many of these seconds to wait for a free thread.
        discard: called with a result that nobody receives any more, in the thread of the work or in this one.

    Raises:
        NoFreeThreadError: no thread was free in time, and the work was not begun.
        TimeoutError: the work is not done in time.
    """
    future = executor.submit(work, *args)
    result = asyncio.wrap_future(future)
    try:
        done, _ = await asyncio.wait((result,), timeout=start_timeout)
        if not done and future.cancel():
            raise NoFreeThreadError
        if not done:
            done, _ = await asyncio.wait((result,), timeout=timeout - start_timeout)
        if not done:
            raise TimeoutError
    except BaseException:
        if not result.cancel() and not result.cancelled():
            result.exception()  # retrieved, or asyncio would log that nobody did
        if discard is not None:
            future.add_done_callback(lambda ended: _discard(ended, discard))
        raise
    return result.result()


def _discard(ended: Future[T], discard: Callable[[T], object]) -> None:
    if not ended.cancelled() and ended.exception() is None:
        discard(ended.result())
