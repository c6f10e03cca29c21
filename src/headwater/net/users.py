"""For which user a task works.

What all users share (threads, connections, look-ups) is divided among them by this: what one user makes slow is slow
for that user alone. It is a context variable, because libraries and caches are between a request and what it uses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from weakref import WeakValueDictionary

_user: ContextVar[str] = ContextVar("user", default="")


@contextmanager
def working_for(user: str) -> Iterator[None]:
    """Work for `user` for the duration of the block, in this task and in those that it starts."""
    before = _user.set(user)
    try:
        yield
    finally:
        _user.reset(before)


def current_user() -> str:
    """Return the user for whom this task works; empty for the server itself."""
    return _user.get()


class UserPlaces:
    """How many tasks of one user may do something at the same time. Each user has as many places.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        # Those of an idle user are collected; the tasks of a busy one keep them.
        self._places: WeakValueDictionary[Hashable, asyncio.Semaphore] = WeakValueDictionary()

    def of_current_user(self, *what: Hashable) -> asyncio.Semaphore:
        """Return the places of the user for whom this task works; each `what` has places of its own."""
        key = (current_user(), *what)
        places = self._places.get(key)
        if places is None:
            places = self._places[key] = asyncio.Semaphore(self._count)
        return places
