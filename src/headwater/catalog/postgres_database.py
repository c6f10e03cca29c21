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
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, exc

from headwater.catalog.database import LONG_SECONDS, Database, Unit, run_unit, unavailable
from headwater.catalog.schema import check_catalog, is_current, stored_version, upgrade_to_head
from headwater.domain.errors import StartupError

T = TypeVar("T")

_READERS, _WRITERS = 6, 4

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

_SET_LIMITS = "SELECT set_config(name, %s, false) FROM pg_settings WHERE name = %s AND setting = '0'"

_HUNG_UP_SECONDS = 0.5
"""How long a unit of work takes to end after its connection was closed."""


class PostgresDatabase(Database):
    """A database on a PostgreSQL server. Any number of processes can share it.

    A server that does not respond keeps a statement waiting for ever: no setting of libpq or of the server limits that.
    So the connection of a unit of work is closed when its time is over. Nor can waiting for the server, or for a lock,
    be told from work: all of it counts as waiting, except in long work.

    Args:
        url: a URL of SQLAlchemy, with settings of libpq in its query.
    """

    merges_per_user = _WRITERS // 2

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg", query={**_TIMEOUTS, **url.query})
        self.name = f"PostgreSQL at {url.host or 'its local socket'}, database {url.database or 'default'}"
        self._used = _UsedConnections()
        try:
            # Without BEGIN and ROLLBACK, a read takes one round trip.
            reads = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
            self._reads = self._engine(pool_size=_READERS, **reads)
            self._writes = self._engine(pool_size=_WRITERS)
        except ImportError as error:
            raise StartupError(
                "HEADWATER_DATABASE_URL: PostgreSQL needs its driver. Install Headwater with it, from the folder of "
                "its source: pip install '.[postgresql]'"
            ) from error
        self._readers = ThreadPoolExecutor(_READERS, "catalog-read")
        self._writers = ThreadPoolExecutor(_WRITERS, "catalog-write")

    def _engine(self, **options: Any) -> Engine:
        engine = create_engine(self._url, max_overflow=0, hide_parameters=True, **options)
        # First, because SQLAlchemy's own listeners run statements.
        event.listen(engine, "connect", self._set_up, insert=True)
        event.listen(engine, "checkout", lambda connection, *_: self._used.add(connection))
        event.listen(engine, "checkin", lambda *_: self._used.add(None))
        return engine

    def _set_up(self, connection: Any, _record: Any) -> None:
        self._used.add(connection)
        with connection.cursor() as cursor:
            for name, limit in _LIMITS_MS.items():
                cursor.execute(_SET_LIMITS, (str(limit), name))
        connection.commit()

    async def version(self) -> str | None:
        """See `Database.version`."""
        return await self.read(stored_version)

    async def prepare(self) -> None:
        """See `Database.prepare`. A migration has no time limit."""
        if not await self.read(is_current):
            await asyncio.to_thread(upgrade_to_head, self.unlimited(), self.name)
        await self.read(partial(check_catalog, name=self.name))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """See `Database.read`."""
        return await self._run(self._readers, self._reads, work)

    async def write(
        self, work: Callable[[Connection], T], *, durable: bool = True, wait: float | None = None, long: bool = False
    ) -> T:
        """See `Database.write`."""

        def run(connection: Connection) -> T:
            if not durable:
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            return work(connection)

        return await self._run(self._writers, self._writes, run, wait, long=long)

    async def _run(
        self,
        executor: ThreadPoolExecutor,
        engine: Engine,
        work: Callable[[Connection], T],
        wait: float | None = None,
        *,
        long: bool = False,
    ) -> T:
        def run(unit: Unit) -> T:
            unit.left()  # none, if it has waited for a thread until now
            with self._used.by(unit):
                try:
                    return self._run_once(engine, work, unit)
                except exc.DBAPIError as error:
                    if not error.connection_invalidated:
                        raise
                    if time.monotonic() >= unit.deadline:
                        raise unavailable() from TimeoutError("it does not respond")
                    # The server was restarted: all pooled connections are broken, as this one is, and new ones work.
                    return self._run_once(engine, work, unit)
                finally:
                    if not long:
                        unit.got = time.monotonic()

        def hang_up(unit: Unit) -> float:
            self._used.hang_up(unit)
            return _HUNG_UP_SECONDS

        return await run_unit(executor, run, wait, hang_up, long=long)

    def _run_once(self, engine: Engine, work: Callable[[Connection], T], unit: Unit) -> T:
        with engine.connect() as connection:
            unit.got = time.monotonic()
            done = work(connection)
            try:
                connection.commit()
            except exc.DBAPIError as error:
                raise unavailable() from error  # it may be committed: do not run it again
            return done

    async def check_writes(self) -> None:
        """See `Database.check_writes`. The space of a server is not known here."""

    def unlimited(self) -> Engine:
        """See `Database.unlimited`."""
        return create_engine(self._url, poolclass=NullPool, hide_parameters=True)

    async def close(self) -> None:
        """See `Database.close`."""
        await asyncio.to_thread(self._writers.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
        self._reads.dispose()
        self._writes.dispose()


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
