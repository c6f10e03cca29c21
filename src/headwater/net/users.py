"""For which user a task works.

What all users share (threads, connections, look-ups) is divided among them by this: what one user makes slow is slow
for that user alone. It is a context variable, because libraries and caches are between a request and what it uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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
