"""Threads for work that takes processor time: matching patterns, parsing files, planning shards.

Python runs one thread at a time. A thread that computes gives way only every few milliseconds, and the event loop would
wait that long after each of its steps. So there are few of these threads, each user has a share of them, and long work
pauses between its steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from headwater.domain.errors import TooManyRequestsError
from headwater.net.threads import DaemonExecutor, NoFreeThreadError, UserThreads, run_in_executor
from headwater.net.users import current_user

Args = TypeVarTuple("Args")
T = TypeVar("T")

MAX_THREADS = 2
MAX_THREADS_PER_USER = 1

WORK_SECONDS, PAUSE_SECONDS = 0.002, 0.0005
"""How long a thread computes, and how long it then pauses.

Measured on two cores: with two threads that match patterns, a round trip of the event loop takes 0.3 ms instead of 0.1;
with six that do not pause, it takes 9 ms."""

TURN_SECONDS = 0.25
"""How long work should take at most before other users have a turn: longer work is submitted in parts."""

START_SECONDS = 20.0
"""How long work waits for a thread."""

MAX_SECONDS = 120.0
"""More than any work takes, on a server of any speed."""

_threads = UserThreads(DaemonExecutor(MAX_THREADS, "compute"), MAX_THREADS_PER_USER)


class Pace:
    """Called between short steps of long work: lets other threads run.

    Args:
        check: called with each pause; its errors end the work.
    """

    def __init__(self, check: Callable[[], object] = lambda: None) -> None:
        self._check = check
        self._began = time.perf_counter()

    def __call__(self) -> None:
        """Pause if the thread has computed for `WORK_SECONDS`."""
        if time.perf_counter() - self._began < WORK_SECONDS:
            return
        time.sleep(PAUSE_SECONDS)
        self._check()
        self._began = time.perf_counter()


async def compute(work: Callable[[*Args], T], *args: *Args, start_seconds: float = START_SECONDS) -> T:
    """Return the result of `work`, done in a thread of the current user.

    Args:
        work: what to call. It ends by itself, in about `TURN_SECONDS`.
        args: its arguments.
        start_seconds: how long to wait for a thread.

    Raises:
        TooManyRequestsError: other requests of the user took the threads for that long.
    """
    executor = _threads.for_user(current_user())
    try:
        return await run_in_executor(executor, work, *args, timeout=MAX_SECONDS, start_timeout=start_seconds)
    except NoFreeThreadError:
        raise TooManyRequestsError(
            "your other requests take all the processor time that one user may have; try again in a second"
        ) from None
