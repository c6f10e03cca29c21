"""The two databases that can hold a catalog, behind one small interface.

A unit of work is a plain function of a SQLAlchemy `Connection`. `read` runs it outside a transaction: one statement,
or several that need not be consistent with each other. `write` runs it as one transaction, which is committed when
the function returns and rolled back when it raises; the changes are on disk before `write` returns.

For SQLite, units of work run in our own threads with SQLAlchemy's synchronous engine. SQLAlchemy with aiosqlite would
switch threads for every call of the driver; here a whole unit of work takes one switch. A read takes a third of the
time, and a cancelled task cannot leave a transaction half done.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, NullPool, create_engine, event, exc, make_url

from headwater.catalog.schema import stored_version, upgrade_to_head
from headwater.domain.errors import CatalogUnavailableError, StartupError

T = TypeVar("T")

MAX_IDS_PER_QUERY = 5_000
"""How many ids a query may list: databases limit the parameters of a statement."""

BUSY_TIMEOUT_SECONDS = 10.0
"""How long SQLite waits for a lock that a writer in another process holds."""

_SQLITE_READERS = 4

_EXPECTED_URL = "HEADWATER_DATABASE_URL: expected sqlite:///path/of/a/file or postgresql://user:password@host/database"

_POOL_TIMEOUT_SECONDS = 10.0
"""How long a unit of work waits for a free connection to PostgreSQL."""

_POSTGRES_TIMEOUTS = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""Settings of libpq that make a server which no longer responds an error. The URL may override them."""


class Database(ABC):
    """The database that holds the tables of the catalog. Can be used by many tasks concurrently.

    Raises:
        CatalogUnavailableError: (from `read` and `write`) the database is down, full, or was locked for too long.
    """

    name: str
    """The name to show to people: the file, or the server and database without user and password."""

    @abstractmethod
    def version(self) -> str | None:
        """Return the version of the tables; None if there are none. Changes and creates nothing. Blocks."""

    @abstractmethod
    def prepare(self) -> None:
        """Create the file if there is none, and upgrade the tables to the newest version. Blocks."""

    @abstractmethod
    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a unit of work that only reads. It may be run twice."""

    @abstractmethod
    async def write(self, work: Callable[[Connection], T], *, durable: bool = True) -> T:
        """Run a unit of work as one transaction.

        If it decides something from rows that it reads, it must lock those rows (PostgreSQL needs that).

        Args:
            work: the unit of work.
            durable: whether the changes are on disk when this returns. If not, they survive the end of this process,
                but perhaps not that of the machine. The next durable transaction makes them durable, too.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close all connections. No unit of work may be in flight."""


def parse_database_url(url: str) -> Database:
    """Return the database that a URL names, without opening it.

    Raises:
        StartupError: the URL is not one of SQLite or PostgreSQL. The text does not repeat the URL, which may hold a
            password.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        if not rest.startswith("/") or rest in ("/", "/:memory:"):
            raise StartupError(_EXPECTED_URL)
        return SqliteDatabase(Path(rest[1:]))
    if scheme in ("postgresql", "postgresql+psycopg"):
        try:
            parsed = make_url(url)
        except (exc.ArgumentError, ValueError):
            raise StartupError(_EXPECTED_URL) from None
        if "@" in (parsed.host or ""):
            raise StartupError(f"{_EXPECTED_URL}, with special characters of the password percent-encoded")
        return PostgresDatabase(parsed)
    raise StartupError(_EXPECTED_URL)


class SqliteDatabase(Database):
    """One file with one writer at a time. Several processes can share it.

    Args:
        path: the file. If there is none, it is created with mode 0600, and so are SQLite's files next to it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)
        self._engine = create_engine(
            URL.create("sqlite", database=str(path)),
            pool_size=_SQLITE_READERS + 1,
            max_overflow=0,
            connect_args={"timeout": BUSY_TIMEOUT_SECONDS},
            hide_parameters=True,
        )
        event.listen(self._engine, "connect", _set_up_sqlite)
        self._readers = ThreadPoolExecutor(_SQLITE_READERS, "catalog-read")
        self._writer = ThreadPoolExecutor(1, "catalog-write")

    def version(self) -> str | None:
        """See `Database.version`."""
        if not self._path.exists():  # SQLite would create it
            return None
        with self._engine.connect() as connection:
            return stored_version(connection)

    def prepare(self) -> None:
        """See `Database.prepare`."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            # Do not open a file that exists: closing it again would drop the locks that this process holds on it.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            pass
        with self._engine.connect() as connection:
            _switch_to_wal(connection)
        upgrade_to_head(self._engine)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """See `Database.read`."""

        def run() -> T:
            with self._engine.connect() as connection:
                return work(connection)

        return await _in_thread(self._readers, run)

    async def write(self, work: Callable[[Connection], T], *, durable: bool = True) -> T:
        """See `Database.write`."""

        def run() -> T:
            with self._engine.connect() as connection:
                if connection.info.get("durable", True) != durable:
                    # With NORMAL, a commit is not flushed, but checkpoints are. https://sqlite.org/pragma.html
                    connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                    connection.info["durable"] = durable
                # A deferred transaction that reads first fails immediately with SQLITE_BUSY_SNAPSHOT if another
                # process writes before it does, whatever the timeout. https://sqlite.org/isolation.html
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                done = work(connection)
                connection.commit()
                return done

        return await _in_thread(self._writer, run)

    async def close(self) -> None:
        """See `Database.close`."""
        await asyncio.to_thread(self._writer.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
        self._engine.dispose()


class PostgresDatabase(Database):
    """A database on a PostgreSQL server. Any number of processes can share it.

    Args:
        url: a URL of SQLAlchemy, with settings of libpq in its query.
    """

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg", query={**_POSTGRES_TIMEOUTS, **url.query})
        self.name = f"PostgreSQL at {url.host or 'its local socket'}, database {url.database or 'default'}"
        try:
            from sqlalchemy.ext.asyncio import create_async_engine

            # Without BEGIN and ROLLBACK, a read takes one round trip.
            self._reads = create_async_engine(
                self._url,
                isolation_level="AUTOCOMMIT",
                skip_autocommit_rollback=True,
                pool_size=6,
                max_overflow=0,
                pool_timeout=_POOL_TIMEOUT_SECONDS,
                hide_parameters=True,
            )
            self._writes = create_async_engine(
                self._url,
                pool_size=4,
                max_overflow=0,
                pool_timeout=_POOL_TIMEOUT_SECONDS,
                pool_pre_ping=True,
                hide_parameters=True,
            )
        except ImportError as error:
            raise StartupError(
                "HEADWATER_DATABASE_URL: PostgreSQL needs its driver; run: pip install 'headwater[postgresql]'"
            ) from error

    def version(self) -> str | None:
        """See `Database.version`."""
        with create_engine(self._url, poolclass=NullPool, hide_parameters=True).connect() as connection:
            return stored_version(connection)

    def prepare(self) -> None:
        """See `Database.prepare`."""
        engine = create_engine(self._url, poolclass=NullPool, hide_parameters=True)
        upgrade_to_head(engine)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """See `Database.read`."""
        with _unavailable_if_down():
            try:
                return await self._read_once(work)
            except exc.DBAPIError as error:
                # The server was restarted: all pooled connections are broken, as this one is, and new ones work.
                if not error.connection_invalidated:
                    raise
                return await self._read_once(work)

    async def _read_once(self, work: Callable[[Connection], T]) -> T:
        async with self._reads.connect() as connection:
            return await connection.run_sync(work)

    async def write(self, work: Callable[[Connection], T], *, durable: bool = True) -> T:
        """See `Database.write`."""
        with _unavailable_if_down():
            async with self._writes.begin() as connection:
                if not durable:
                    await connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                return await connection.run_sync(work)

    async def close(self) -> None:
        """See `Database.close`."""
        await self._reads.dispose()
        await self._writes.dispose()


def describe_error(error: BaseException) -> str:
    """Return the message of a database error on one line, without SQL and parameters."""
    if isinstance(error, CatalogUnavailableError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _set_up_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions on its own
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")


def _switch_to_wal(connection: Connection) -> None:
    # SQLite does not wait for locks in this statement, so processes that start concurrently must retry.
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            mode = connection.exec_driver_sql("PRAGMA journal_mode = WAL").scalar()
        except exc.OperationalError as error:
            if "locked" not in str(error.orig) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
            continue
        if mode != "wal":
            raise StartupError("SQLite cannot keep a write-ahead log on this file system; choose a local folder")
        return


async def _in_thread(executor: Executor, run: Callable[[], T]) -> T:
    with _unavailable_if_down():
        return await asyncio.get_running_loop().run_in_executor(executor, run)


@contextmanager
def _unavailable_if_down() -> Iterator[None]:
    try:
        yield
    except (exc.IntegrityError, exc.ProgrammingError, exc.DataError):
        raise
    except (exc.DBAPIError, exc.TimeoutError) as error:
        raise CatalogUnavailableError("this server's catalog cannot be used right now; try again shortly") from error
