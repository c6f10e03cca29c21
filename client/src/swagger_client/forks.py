"""Make a client usable in a forked process: it gets its own connections, locks and threads.

A forked process shares the open connections of its parent, so it could receive the responses of the parent's requests.
It has none of the parent's other threads, so a lock that one of them held is never released.
"""

from __future__ import annotations

import os
import queue
import threading
import weakref
from typing import Any, Callable, MutableMapping, TypeVar

import urllib3

T = TypeVar("T")

_renewals: MutableMapping[Any, Callable[[Any], object]] = weakref.WeakKeyDictionary()


def after_fork(renewed: T, renew: Callable[[T], object]) -> None:
    """Call `renew(renewed)` at the beginning of each forked process, for as long as `renewed` exists."""
    _renewals[renewed] = renew


def renew_connections(pools: urllib3.PoolManager) -> None:
    """Forget the connections of the parent process, so that the next requests open new ones.

    The parent can still use them: closing them here closes only this process's descriptors.
    """
    # Another thread may have held each of these locks during the fork.
    pools.pools.lock = threading.RLock()
    for key in pools.pools.keys():  # noqa: SIM118  the container cannot be iterated
        waiting = pools.pools[key].pool
        if waiting is not None:
            idle = list(waiting.queue)
            queue.LifoQueue.__init__(waiting, waiting.maxsize)
            for connection in idle:
                if connection is not None:
                    connection.close()
    pools.pools.clear()


class Event(threading.Event):
    """An event that a forked process can use, whatever the threads of its parent were doing with it."""

    def __init__(self) -> None:
        super().__init__()
        after_fork(self, Event._renew)

    def _renew(self) -> None:
        was_set = self.is_set()
        super().__init__()
        if was_set:
            self.set()


def _renew_all() -> None:
    for renewed, renew in list(_renewals.items()):
        renew(renewed)


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_renew_all)
