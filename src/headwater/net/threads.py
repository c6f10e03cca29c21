"""Threads for calls that may never return: a hung disk, a name server that does not answer.

Python joins the threads of `concurrent.futures` when a process ends, and one that hangs would hold it for ever. These
are daemon threads instead: they end with the process, wherever they stand.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from threading import Condition, Lock, Thread
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

Args = TypeVarTuple("Args")
P = ParamSpec("P")
T = TypeVar("T")

_Job = tuple[Future[Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class NoFreeThreadError(TimeoutError):
    """Every thread that might have done the work was busy for too long; it was not begun, and never will be."""


class DaemonExecutor(Executor):
    """At most `most` daemon threads, started as they are needed and kept.

    Nothing waits for them: not the end of the process, and not `shutdown`.

    Args:
        most: threads at the same time; what is beyond that waits its turn.
        name: what the threads are called, with a number.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._jobs: deque[_Job] = deque()
        self._changed = Condition()
        self._threads = 0
        self._idle = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a thread call `fn`."""
        future: Future[T] = Future()
        with self._changed:
            if len(self._jobs) >= self._idle and self._threads < self._most:
                Thread(target=self._run, name=f"{self._name}-{self._threads}", daemon=True).start()
                self._threads += 1
            self._jobs.append((future, fn, args, kwargs))
            self._changed.notify()
        return future

    def _run(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                while not self._jobs:
                    self._changed.wait()
                self._idle -= 1
                job = self._jobs.popleft()
            _do(*job)
            del job  # or it would be held until the next one comes


class LimitedExecutor(Executor):
    """Some of the threads of another executor: at most `most` at the same time, the rest waits its turn here.

    So what hangs in one lane leaves the other threads to the other lanes. A lane may be one of a lane.

    Args:
        threads: where the threads come from.
        most: how many of them at the same time.
    """

    def __init__(self, threads: Executor, most: int) -> None:
        self._threads = threads
        self._most = most
        self._jobs: deque[_Job] = deque()
        self._lock = Lock()
        self._taken = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a thread call `fn`."""
        future: Future[T] = Future()
        with self._lock:
            # Where all threads hang, nothing else would ever take away what its callers have given up.
            while self._jobs and self._jobs[0][0].cancelled():
                self._jobs.popleft()
            self._jobs.append((future, fn, args, kwargs))
            if self._taken < self._most:
                self._threads.submit(self._run)
                self._taken += 1
        return future

    def _run(self) -> None:
        with self._lock:
            job = self._jobs.popleft() if self._jobs else None
        if job is not None:
            _do(*job)
            del job
        with self._lock:
            if not self._jobs:
                self._taken -= 1
                return
        # Back to the end of the line: a lane with much to do must not keep its thread from the others.
        self._threads.submit(self._run)


def _do(future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:
        future.set_exception(error)
        del future  # or the error's traceback would hold what holds the error
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
