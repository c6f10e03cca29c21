"""What the catalog needs of a database: units of work, and how long a request waits for them.

A unit of work is a plain function of a SQLAlchemy `Connection`. `read` runs it outside a transaction: one statement,
or several that need not be consistent with each other. `write` runs it as one transaction, which is committed when
the function returns and rolled back when it raises; the changes are on disk before `write` returns.

Units of work run in our own threads, with SQLAlchemy's synchronous engine. A whole unit of work takes one switch of
threads, and a cancelled task cannot leave a transaction half done.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Literal, TypeVar

from sqlalchemy import Connection, Engine, exc

from headwater.catalog.postgres_errors import is_temporary_of_postgres, postgres_advice, summarize
from headwater.domain.errors import CatalogDamagedError, CatalogUnavailableError
from headwater.observability.work import CatalogWork

T = TypeVar("T")

MAX_IDS_PER_QUERY = 5_000
"""How many ids a query may list: databases limit the parameters of a statement."""

WAIT_SECONDS = 10.0
"""How long a request waits for the database in all."""

BOOKKEEPING_SECONDS = 1.0
"""How long it waits for a write without which it is answered just as well."""

LONG_SECONDS = 60.0
"""How long work outside requests takes at most that reads or deletes very many rows."""

_GONE = {"42P01", "42703", "3F000", "42501"}
"""SQLSTATEs of PostgreSQL: no such table, column or schema, or no permission to use it any more."""

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_TEMPORARY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_RIGHTS = "This user must be able to write the file, and to make files in its folder"
_DISK = "The disk may be full or broken"
_ADVICE = {
    sqlite3.SQLITE_READONLY: _RIGHTS,
    sqlite3.SQLITE_CANTOPEN: _RIGHTS,
    sqlite3.SQLITE_IOERR: _DISK,
    sqlite3.SQLITE_FULL: "Free some space on the disk",
}
"""What to check after an error of SQLite, by its primary result code. https://sqlite.org/rescode.html"""


class _Budget:
    """How long the units of work of one request may still wait, in seconds."""

    def __init__(self, left: float) -> None:
        self.left = left


_budget: ContextVar[_Budget | None] = ContextVar("catalog_budget", default=None)


@contextmanager
def limit_waits(seconds: float | None = None) -> Iterator[None]:
    """Limit how long all units of work in this block wait together: to `WAIT_SECONDS`, unless `seconds` are given."""
    token = _budget.set(_Budget(WAIT_SECONDS if seconds is None else seconds))
    try:
        yield
    finally:
        _budget.reset(token)


@contextmanager
def outside_request() -> Iterator[None]:
    """Let what waits in this block, of a task that a request has started, wait on its own and not for the request."""
    token = _budget.set(None)
    try:
        yield
    finally:
        _budget.reset(token)


async def wait_within_limit(waiting: Awaitable[T], too_long: str) -> T:
    """Wait for something that a unit of work needs, no longer than the request may still wait for the database.

    Args:
        waiting: what to wait for. It is cancelled when the time is over.
        too_long: what is wrong then, for the log.

    Raises:
        CatalogUnavailableError: the time is over.
    """
    budget, began = _budget.get(), time.monotonic()
    try:
        async with asyncio.timeout(WAIT_SECONDS if budget is None else max(budget.left, 0.0)):
            return await waiting
    except TimeoutError:
        raise unavailable() from TimeoutError(too_long)
    finally:
        if budget is not None:
            budget.left -= time.monotonic() - began


@asynccontextmanager
async def hold_place(places: asyncio.Semaphore) -> AsyncIterator[None]:
    """Hold one of some places of this process in the block. To wait for it is to wait for the database.

    Raises:
        CatalogUnavailableError: none was free in time.
    """
    await wait_within_limit(places.acquire(), "its time limit was over before its turn")
    try:
        yield
    finally:
        places.release()


class Unit:
    """One unit of work, from the task that waits for it to the thread that runs it.

    Attributes:
        deadline: when it must have got what it waits for, as `time.monotonic`.
        got: when it got that, or gave up; None before. From then on its time does not count for the request.
        started: when its function was called; None before.
    """

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self.got: float | None = None
        self.started: float | None = None

    def left(self) -> float:
        """Return how many seconds are left until the deadline.

        Raises:
            CatalogUnavailableError: none.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise unavailable() from TimeoutError("its time limit was over before its turn")
        return left


class Database(ABC):
    """The database that holds the tables of the catalog. Can be used by many tasks concurrently.

    Raises:
        CatalogUnavailableError: (from `read` and `write`) the database is down, full, or was locked for too long, or it
            is not the one that was opened.
    """

    name: str
    """The name to show to people: the file, or the server and database without user and password."""

    merges_per_user: int
    """How many pages of one user a process merges into indexes at the same time, so that writes of others have room."""

    @abstractmethod
    async def version(self) -> str | None:
        """Return the version of the tables; None if there are none. Changes and creates nothing.

        Raises:
            StartupError: there is a file, and it is empty.
        """

    @abstractmethod
    async def prepare(self) -> None:
        """Create the tables if there is no catalog, upgrade them to the newest version, and check them.

        Raises:
            StartupError: the database is not a catalog, or not a whole one.
        """

    @abstractmethod
    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a unit of work that only reads. It may be run twice."""

    @abstractmethod
    async def write(
        self, work: Callable[[Connection], T], *, durable: bool = True, wait: float | None = None, long: bool = False
    ) -> T:
        """Run a unit of work as one transaction. It may be run twice, if nothing of the first run was committed.

        If it decides something from rows that it reads, it must lock those rows (PostgreSQL needs that).

        Args:
            work: the unit of work.
            durable: whether the changes are on disk when this returns. If not, they survive the end of this process,
                but perhaps not that of the machine. The next durable transaction makes them durable, too.
            wait: how many seconds to wait for the database; None for `WAIT_SECONDS`.
            long: whether the work itself may take long: its time never counts for the request, and outside a request
                it may take `LONG_SECONDS`.
        """

    @abstractmethod
    async def check_writes(self) -> None:
        """Write something, if the latest write failed because the disk is full or the lock was not free.

        Raises:
            CatalogUnavailableError: it still fails.
        """

    @abstractmethod
    def unlimited(self) -> Engine:
        """Return an engine of its own, for work that takes as long as it needs. The caller disposes of it."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections. No unit of work may be in flight."""


async def run_unit(
    mode: Literal["read", "write"],
    executor: Executor,
    work: Callable[[Unit], T],
    wait: float | None,
    at_deadline: Callable[[Unit], float],
    *,
    long: bool = False,
) -> T:
    """Run a unit of work in a thread, for no longer than its time limit and what the request has left.

    Args:
        mode: what the unit does, for metrics and traces.
        executor: the threads.
        work: what to run. It sets `Unit.got` when it has got what it waits for, and `Unit.started` when it begins.
        wait: the time limit in seconds; None for `WAIT_SECONDS`.
        at_deadline: called when the limit is over; returns how many more seconds to wait for the result.
        long: whether to add `LONG_SECONDS` to the limit outside a request.

    Raises:
        CatalogUnavailableError: see `Database`.
    """
    limit = WAIT_SECONDS if wait is None else wait
    budget = _budget.get()
    if budget is not None:
        limit = min(limit, max(budget.left, 0.0))
    elif long:
        limit += LONG_SECONDS
    unit, began = Unit(limit), time.monotonic()
    with CatalogWork(mode) as observed:
        try:
            return await _run_in_time(executor, work, unit, limit, at_deadline)
        finally:
            observed.waited = (unit.started or time.monotonic()) - began
            if budget is not None and unit.got is not None:
                budget.left -= unit.got - began


async def _run_in_time(
    executor: Executor,
    work: Callable[[Unit], T],
    unit: Unit,
    limit: float,
    at_deadline: Callable[[Unit], float],
) -> T:
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(executor, work, unit)
    given_up = False
    timer: asyncio.TimerHandle

    def give_up() -> None:
        nonlocal given_up
        given_up = True
        future.cancel()  # a unit that has not begun never does; one that has goes on in its thread

    def over() -> None:
        nonlocal timer
        timer = loop.call_later(at_deadline(unit), give_up)

    timer = loop.call_later(limit, over)
    try:
        with _unavailable_if_down():
            return await future
    except asyncio.CancelledError:
        if not given_up:
            raise
        unit.got = time.monotonic()
        raise unavailable() from TimeoutError("it does not respond")
    except CatalogUnavailableError:
        unit.got = time.monotonic()
        raise
    finally:
        timer.cancel()


def unavailable() -> CatalogUnavailableError:
    """Return the error for a database that cannot be used at present."""
    return CatalogUnavailableError("the catalog cannot be used right now; try again shortly")


def disk_failed() -> CatalogUnavailableError:
    """Return the error for a database whose disk is full or broken."""
    return CatalogUnavailableError(
        "the catalog's disk is full or broken: the operator of this server must free some space; try again later"
    )


def damaged() -> CatalogDamagedError:
    """Return the error for a database in which SQLite finds pages that it has not written."""
    return CatalogDamagedError(
        "the catalog is damaged (malformed): its operator must stop all servers that use it, restore a copy and start "
        "them again"
    )


def tables_missing() -> CatalogDamagedError:
    """Return the error for a database in which tables or columns are missing while it is used."""
    return CatalogDamagedError(
        "tables of the catalog are missing: its operator must restore a copy of it and restart the server"
    )


def is_damage(error: BaseException) -> bool:
    """Return whether an error says that the file is malformed, or not a database at all."""
    return _sqlite_code(error) in _DAMAGED


def is_disk_error(error: BaseException) -> bool:
    """Return whether an error says that the disk is full or broken."""
    return _sqlite_code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def is_temporary(error: BaseException) -> bool:
    """Return whether the database may be usable a little later, without any change."""
    if isinstance(error, CatalogUnavailableError):
        return not isinstance(error, CatalogDamagedError) and (error.__cause__ is None or is_temporary(error.__cause__))
    if isinstance(error, TimeoutError | exc.TimeoutError) or _sqlite_code(error) in _TEMPORARY:
        return True
    return is_temporary_of_postgres(getattr(error, "orig", None))


def _sqlite_code(error: BaseException) -> int | None:
    code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def describe_error(error: BaseException) -> str:
    """Return the message of a database error on one line, without SQL and parameters."""
    if isinstance(error, CatalogUnavailableError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    cause = getattr(error, "orig", None) or error
    text = str(cause)
    if (diagnostics := getattr(cause, "diag", None)) is not None:  # of psycopg, whose texts go on with lines of SQL
        text = diagnostics.message_primary or summarize(text)
    text = " ".join(text.split())
    advice = _ADVICE.get(_sqlite_code(error) or 0) or postgres_advice(text)
    return f"{text}. {advice}" if advice and advice != text else text


@contextmanager
def _unavailable_if_down() -> Iterator[None]:
    try:
        yield
    except (exc.DBAPIError, exc.TimeoutError) as error:
        if _is_schema_gone(error):
            raise tables_missing() from error
        if is_damage(error):
            raise damaged() from error
        if is_disk_error(error):
            raise disk_failed() from error
        if isinstance(error, exc.IntegrityError | exc.ProgrammingError | exc.DataError):
            raise
        raise unavailable() from error


def _is_schema_gone(error: exc.StatementError | exc.TimeoutError) -> bool:
    cause = getattr(error, "orig", None)
    return getattr(cause, "sqlstate", None) in _GONE or str(cause).startswith(("no such table", "no such column"))
