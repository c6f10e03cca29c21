"""What the server does, told to those that observe it: metrics and traces.

Code of every room tells its work here and knows no observer, so that nothing of them is loaded unless the operator
wants it. Like logs, observers belong to the process. They are called in the thread of the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from headwater.domain.errors import StoreUnavailableError

OTHER = "other"
"""The value of a label for everything that is not in a short list: clients and stores must not choose labels."""

_STATUSES = {status.value: str(status.value) for status in HTTPStatus}


def status_label(status: int) -> str:
    """Return an HTTP status as a label. A store may send any number."""
    return _STATUSES.get(status, OTHER)


class Work:
    """One piece of work; a context manager around it. Not to be entered twice.

    Attributes:
        seconds: how long it took, once it has ended.
        error: the exception that ended it, if one did.
    """

    __slots__ = ("_began", "_observed", "error", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        self._observed = [(observer, observer.begin(self)) for observer in _observers]
        self._began = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._began
        self.error = error
        for observer, state in self._observed:
            observer.end(self, state)


class RequestWork(Work):
    """A request to this server.

    Attributes:
        method: of the request.
        headers: of the request, with names in lower case.
        request_id: as in the response and the log.
        is_probe: whether it is a health check or reads metrics.
        route: the template of its path; None if there is no such route. Set before it ends.
        status: of the response; None if the client has disconnected before it. Set before it ends.
    """

    __slots__ = ("headers", "is_probe", "method", "request_id", "route", "status")

    def __init__(
        self, method: str, headers: list[tuple[bytes, bytes]], request_id: str, *, is_probe: bool = False
    ) -> None:
        super().__init__()
        self.method = method
        self.headers = headers
        self.request_id = request_id
        self.is_probe = is_probe
        self.route: str | None = None
        self.status: int | None = None


class StoreWork(Work):
    """A request to a store, with its retries, or one use of a disk.

    Attributes:
        provider: a short name, such as `s3`.
        operation: the method of a request over HTTP, or `disk`.
        status: how it ended: the HTTP status of the response, which is set before it ends; otherwise `ok`, `error`,
            `no_response` or `cancelled`.
        retries: how often it was sent again.
    """

    __slots__ = ("operation", "provider", "retries", "status")

    def __init__(self, provider: str, operation: str) -> None:
        super().__init__()
        self.provider = provider
        self.operation = operation
        self.status = ""
        self.retries = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.status = self.status or _status_of(error)
        super().__exit__(kind, error, traceback)


def _status_of(error: BaseException | None) -> str:
    match error:
        case None:
            return "ok"
        case TimeoutError() | StoreUnavailableError(provider_code=None):
            return "no_response"
        case asyncio.CancelledError():
            return "cancelled"
        case _:
            return "error"


class CatalogWork(Work):
    """A unit of work of the catalog.

    Attributes:
        mode: `read` or `write`.
        waited: the part of `seconds` before it began: for a thread, a connection or a lock. Set before it ends.
    """

    __slots__ = ("mode", "waited")

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode
        self.waited = 0.0


class Usage(NamedTuple):
    """How much of something limited is in use.

    Attributes:
        limit: what is limited.
        used: how much is in use.
        most: how much there is.
        waiting: how much work waits for it.
    """

    limit: str
    used: int
    most: int
    waiting: int = 0


class Observer(Protocol):
    """What observes work."""

    def begin(self, work: Work) -> object:
        """Take the beginning of work. What this returns is passed to `end`, in the same task."""

    def end(self, work: Work, state: object) -> None:
        """Take the end of work."""

    def count(self, event: str, amount: int, *labels: str) -> None:
        """Take something that happens in no time."""


_observers: list[Observer] = []


@contextmanager
def observing(observer: Observer) -> Iterator[None]:
    """Let an observer see all work that begins within this block."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def count(event: str, *labels: str, amount: int = 1) -> None:
    """Tell that something has happened.

    Args:
        event: one of the counters of `observability.metrics`.
        labels: the values of its labels. There are few of each: clients and stores must not choose them.
        amount: how often.
    """
    for observer in _observers:
        observer.count(event, amount, *labels)
