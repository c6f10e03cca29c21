"""A catalog in a database of PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, exc, false, select

from headwater.catalog.database import LONG_SECONDS, Database, Unit, run_unit, unavailable
from headwater.catalog.postgres_errors import OPTIONS_BEHIND_POOLER, is_read_only
from headwater.catalog.postgres_url import PostgresUrl, check_keywords
from headwater.catalog.schema import check_catalog, is_current, stored_version, upgrade_to_head
from headwater.catalog.tables import users
from headwater.domain.errors import CatalogUnavailableError, StartupError

T = TypeVar("T")

_READERS, _WRITERS = 6, 4

_CONNECT_SECONDS = 8
"""How long it may take to connect, to all hosts together: less than a request waits."""

_TIMEOUTS = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""Settings of libpq for a server that is gone. The URL may override them."""

_LIMITS_MS = {
    "lock_timeout": 8_000,
    "statement_timeout": int(LONG_SECONDS * 1000),
    "idle_in_transaction_session_timeout": int(LONG_SECONDS * 1000),
}
"""What the server limits, in milliseconds, unless the role, the database or the URL has a limit of its own. A lock is
given up before the unit of work; a statement of a unit that was given up does not run on for long."""

_SET_LIMITS = (
    "SELECT set_config(name, milliseconds, %s) FROM unnest(%s::text[], %s::text[]) AS limits (name, milliseconds) "
    "WHERE current_setting(name) = '0'"
)

_HUNG_UP_SECONDS = 0.5
"""How long a unit of work takes to end after its connection was closed."""


class PostgresDatabase(Database):
    """A database on a PostgreSQL server. Any number of processes can share it.

    A server that does not respond keeps a statement waiting for ever: no setting of libpq or of the server limits that.
    So the connection of a unit of work is closed when its time is over. Nor can waiting for the server, or for a lock,
    be told from work: all of it counts as waiting, except in long work.

    A pooler such as PgBouncer may run each transaction of a connection in another session of the server. Then nothing
    is kept in the session: there are no prepared statements, limits are set in each transaction, and a read is one.

    Args:
        url: what the URL says. Of several hosts, the first one that can be written is used.
    """

    merges_per_user = _WRITERS // 2

    def __init__(self, url: PostgresUrl) -> None:
        self.name = url.name
        self._parameters = {**_TIMEOUTS, **_several_hosts(url.parameters), **url.parameters}
        self._used = _UsedConnections()
        try:
            check_keywords(url.parameters)
            # Without BEGIN and ROLLBACK, a read takes one round trip.
            reads = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
            self._reads = self._engine(pool_size=_READERS, **reads)
            self._writes = self._engine(pool_size=_WRITERS)
        except ImportError as error:
            raise StartupError(
                "HEADWATER_DATABASE_URL: PostgreSQL needs its driver. Install Headwater with it, from the folder of "
                "its source: pip install '.[postgresql]'"
            ) from error
        self._oldest = {self._reads: 0.0, self._writes: 0.0}
        self._read_only = False
        self._readers = ThreadPoolExecutor(_READERS, "catalog-read")
        self._writers = ThreadPoolExecutor(_WRITERS, "catalog-write")

    def _engine(self, **options: Any) -> Engine:
        engine = create_engine(
            "postgresql+psycopg://", connect_args=self._parameters, max_overflow=0, hide_parameters=True, **options
        )

        def check_out(connection: Any, record: Any, _proxy: Any) -> None:
            if record.info["made"] < self._oldest[engine]:
                raise exc.DisconnectionError("it may be of a server that another one has replaced")
            self._used.add(connection)

        # First, because SQLAlchemy's own listeners run statements.
        event.listen(engine, "connect", self._set_up, insert=True)
        event.listen(engine, "checkout", check_out)
        event.listen(engine, "checkin", lambda *_: self._used.add(None))
        return engine

    def _set_up(self, connection: Any, record: Any) -> None:
        self._used.add(connection)
        record.info["made"] = time.monotonic()
        with connection.cursor() as cursor:
            (process,) = cursor.execute("SELECT pg_backend_pid()").fetchone()
            record.info["pooled"] = process != connection.info.backend_pid
            if not record.info["pooled"]:
                cursor.execute(_SET_LIMITS, (False, *_limits()))
        connection.commit()
        if record.info["pooled"]:
            connection.prepare_threshold = None
            if "options" in self._parameters:
                connection.close()  # it may leave them out, so that this is another schema
                raise unavailable() from ValueError(OPTIONS_BEHIND_POOLER)

    async def version(self) -> str | None:
        """See `Database.version`."""
        return await self.read(stored_version)

    async def prepare(self) -> None:
        """See `Database.prepare`. A migration has no time limit."""
        if not await self.read(is_current):
            await asyncio.to_thread(upgrade_to_head, self.unlimited(), self.name)
        await self.read(partial(check_catalog, name=self.name))
        await self.write(_try_to_write)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """See `Database.read`."""
        return await self._run("read", work)

    async def write(
        self, work: Callable[[Connection], T], *, durable: bool = True, wait: float | None = None, long: bool = False
    ) -> T:
        """See `Database.write`."""

        def run(connection: Connection) -> T:
            if not durable:
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            return work(connection)

        try:
            done = await self._run("write", run, wait, long=long)
        except CatalogUnavailableError as error:
            self._read_only = self._read_only or is_read_only(error.__cause__)
            raise
        self._read_only = False
        return done

    async def _run(
        self,
        mode: Literal["read", "write"],
        work: Callable[[Connection], T],
        wait: float | None = None,
        *,
        long: bool = False,
    ) -> T:
        executor, engine = (self._readers, self._reads) if mode == "read" else (self._writers, self._writes)

        def run(unit: Unit) -> T:
            unit.left()  # none, if it has waited for a thread until now
            with self._used.by(unit):
                try:
                    return self._run_once(engine, work, unit)
                except exc.DBAPIError as error:
                    if not error.connection_invalidated and not is_read_only(error):
                        raise
                    if time.monotonic() >= unit.deadline:
                        raise unavailable() from TimeoutError("it does not respond")
                    return self._run_again(engine, work, unit)
                finally:
                    if not long:
                        unit.got = time.monotonic()

        def hang_up(unit: Unit) -> float:
            self._used.hang_up(unit)
            return _HUNG_UP_SECONDS

        return await run_unit(mode, executor, run, wait, hang_up, long=long)

    def _run_again(self, engine: Engine, work: Callable[[Connection], T], unit: Unit) -> T:
        """Run a unit of work on a new connection: the server was restarted, or another one has replaced it.

        All pooled connections are broken then, or may only read. If this one may only read, too, the others are kept:
        the database cannot be written, and it can be read.
        """
        now = time.monotonic()
        self._oldest[engine] = now
        done = self._run_once(engine, work, unit)
        self._oldest = dict.fromkeys(self._oldest, now)
        return done

    def _run_once(self, engine: Engine, work: Callable[[Connection], T], unit: Unit) -> T:
        with engine.connect() as connection:
            if connection.info["pooled"]:
                connection.execution_options(isolation_level="READ COMMITTED")
                connection.exec_driver_sql(_SET_LIMITS, (True, *_limits()))
            unit.got = unit.started = time.monotonic()
            done = work(connection)
            try:
                connection.commit()
            except exc.DBAPIError as error:
                raise unavailable() from error  # it may be committed: do not run it again
            return done

    async def check_writes(self) -> None:
        """See `Database.check_writes`. The latest write may also have failed because the database is read-only."""
        if self._read_only:
            await self.write(_try_to_write)

    def unlimited(self) -> Engine:
        """See `Database.unlimited`."""
        arguments = {**self._parameters, "prepare_threshold": None}
        return create_engine("postgresql+psycopg://", connect_args=arguments, poolclass=NullPool, hide_parameters=True)

    async def close(self) -> None:
        """See `Database.close`."""
        await asyncio.to_thread(self._writers.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
        self._reads.dispose()
        self._writes.dispose()


def _several_hosts(parameters: dict[str, str]) -> dict[str, str]:
    """Return settings of libpq for several hosts: it tries all of them in time, and uses one that can be written."""
    count = parameters.get("host", parameters.get("hostaddr", "")).count(",") + 1
    if count == 1:
        return {}
    return {"target_session_attrs": "read-write", "connect_timeout": str(max(2, _CONNECT_SECONDS // count))}


def _limits() -> tuple[list[str], list[str]]:
    return list(_LIMITS_MS), [str(limit) for limit in _LIMITS_MS.values()]


def _try_to_write(connection: Connection) -> None:
    """Lock no row. PostgreSQL refuses that if the transaction may only read."""
    connection.execute(select(users.c.name).where(false()).with_for_update()).all()


class _UsedConnections:
    """Which connection each unit of work uses, so that it can be closed from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of_thread = threading.local()
        self._connections: dict[Unit, Any] = {}

    @contextmanager
    def by(self, unit: Unit) -> Iterator[None]:
        """Record the connections that this thread uses in this block as those of a unit of work."""
        self._of_thread.unit = unit
        try:
            yield
        finally:
            self._of_thread.unit = None
            with self._lock:
                self._connections.pop(unit, None)

    def add(self, connection: Any) -> None:
        """Record the connection that the unit of work of this thread uses now; None for none."""
        unit = getattr(self._of_thread, "unit", None)
        if unit is not None:
            with self._lock:
                self._connections[unit] = connection

    def hang_up(self, unit: Unit) -> None:
        """Close the connection of a unit of work. What waits for an answer on it then fails, as if the server had."""
        with self._lock, suppress(OSError):
            connection = self._connections.get(unit)
            if connection is not None and not connection.closed:
                with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
                    duplicate.shutdown(socket.SHUT_RDWR)
