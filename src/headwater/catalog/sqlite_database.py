"""A catalog in a file of SQLite."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, exc, select

from headwater.access import refusal
from headwater.catalog import database
from headwater.catalog.database import Database, Unit, damaged, disk_failed, is_disk_error, is_temporary, run_unit
from headwater.catalog.schema import check_catalog, stored_version, upgrade_to_head
from headwater.catalog.sqlite_log import check_log, count_write
from headwater.catalog.tables import metadata
from headwater.domain.errors import CatalogUnavailableError, StartupError
from headwater.new_files import unfinished_file

T = TypeVar("T")

_READERS = 4

_DISK_SECONDS = 30.0
"""How much longer a unit of work may take once it runs. It is over only if the disk does not respond."""

_CHECKED_BYTES = 16 * 2**20
"""A catalog of up to this size is read whole when it is opened, which takes less than 0.1 s. It holds the index of
150,000 files."""

_SPARE_BYTES = 256 * 2**10
"""How much space there must be again after the disk was full: an ordinary write needs less."""

_LATE_SECONDS = 0.5
"""How much later than its time limit a lock that was not free is reported."""

_Identity = tuple[int, int]


class SqliteDatabase(Database):
    """One file with one writer at a time. Several processes can share it.

    SQLite keeps using a file that was deleted or replaced: everything would be gone after a restart. So it is checked
    with each unit of work that the path still leads to the file that was opened. The same holds for SQLite's files next
    to it, which exist as long as a connection is open. If the file is not there any more, its write-ahead log is
    emptied into it, wherever it is: SQLite would add what is in the log to a copy that is restored in its place.

    Args:
        path: the file. If there is none, it is created with mode 0600, and so are SQLite's files next to it.
    """

    merges_per_user = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self._engine = _engine(path, pool_size=_READERS + 1, max_overflow=0)
        self._readers = ThreadPoolExecutor(_READERS, "catalog-read")
        self._writer = ThreadPoolExecutor(1, "catalog-write")
        self._log = path.with_name(path.name + "-wal")
        self._shared = path.with_name(path.name + "-shm")
        self._opened: dict[Path, _Identity] = {}
        self._keeps_open: sqlite3.Connection | None = None
        self._emptying = threading.Lock()
        self._write_failed = False

    async def version(self) -> str | None:
        """See `Database.version`."""
        return await asyncio.to_thread(self._version)

    def _version(self) -> str | None:
        self._check_rights()
        if not self.path.exists():
            return None
        self._check_not_empty()
        check_log(self.path, self._log)
        with self._engine.connect() as connection:
            return stored_version(connection)

    async def prepare(self) -> None:
        """See `Database.prepare`."""
        await asyncio.to_thread(self._prepare)

    def _prepare(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check_rights()
        if not self.path.exists():
            self._create()
        self._check_not_empty()
        check_log(self.path, self._log)
        upgrade_to_head(self._engine, self.name, create=False)
        with self._engine.connect() as connection:
            _check_pages(connection, self.path)
            check_catalog(connection, self.name)
            _switch_to_wal(connection)
        self._keeps_open = _connect(self.path)
        self._keeps_open.execute("SELECT count(*) FROM sqlite_master").fetchall()  # makes SQLite open its other files
        files = (self.path, self._log, self._shared)
        self._opened = {file: _identity(file) for file in files}

    def _check_rights(self) -> None:
        """Check that this user may write all files of the catalog, and make files in its folder.

        SQLite opens a file that it may not write for reading: each write would fail later.
        """
        needed = {self.path.parent: os.R_OK | os.W_OK | os.X_OK}
        needed |= dict.fromkeys((self.path, self._log, self._shared), os.R_OK | os.W_OK)
        for path, rights in needed.items():
            if refused := refusal(path, rights):
                raise StartupError(f"catalog {self.name} cannot be written: {refused}")

    def _check_not_empty(self) -> None:
        if self.path.is_file() and self.path.stat().st_size == 0:
            raise StartupError(
                f"catalog {self.name} is an empty file: what it held is lost, or another program made it. Restore a "
                f"copy of the catalog; or delete the file, to begin without datasets"
            )

    def _create(self) -> None:
        """Create the catalog under another name first, so that a file that is there is always a whole catalog."""
        with unfinished_file(self.path) as unfinished:
            engine = _engine(unfinished, poolclass=NullPool)
            try:
                upgrade_to_head(engine, self.name)
                os.link(unfinished, self.path)
            except FileExistsError:
                pass  # another process was faster
            finally:
                engine.dispose()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """See `Database.read`."""

        def run(unit: Unit) -> T:
            self._check_files()
            with self._engine.connect() as connection:
                _wait_for_locks(connection, unit)
                unit.got = unit.started = time.monotonic()
                return work(connection)

        return await run_unit("read", self._readers, run, None, _more_seconds)

    async def write(
        self, work: Callable[[Connection], T], *, durable: bool = True, wait: float | None = None, long: bool = False
    ) -> T:
        """See `Database.write`."""

        def run(unit: Unit) -> T:
            self._check_files()
            with self._engine.connect() as connection:
                if connection.info.get("durable", True) != durable:
                    # With NORMAL, a commit is not flushed, but checkpoints are. https://sqlite.org/pragma.html
                    connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                    connection.info["durable"] = durable
                _wait_for_locks(connection, unit)
                # A deferred transaction that reads first fails immediately with SQLITE_BUSY_SNAPSHOT if another
                # process writes before it does, whatever the timeout. https://sqlite.org/isolation.html
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                unit.got = unit.started = time.monotonic()
                driver: Any = connection.connection.driver_connection
                before = driver.total_changes
                done = work(connection)
                if driver.total_changes != before:
                    count_write(connection)
                connection.commit()
            self._check_files()
            return done

        try:
            done = await run_unit("write", self._writer, run, wait, _more_seconds)
        except CatalogUnavailableError as error:
            cause = error.__cause__
            self._write_failed |= cause is not None and (is_disk_error(cause) or is_temporary(cause))
            raise
        self._write_failed = False
        return done

    async def check_writes(self) -> None:
        """See `Database.check_writes`."""
        if self._write_failed:
            await self.write(self._write_something, wait=database.BOOKKEEPING_SECONDS)

    def _write_something(self, connection: Connection) -> None:
        try:
            with tempfile.TemporaryFile(dir=self.path.parent) as file:
                file.write(bytes(_SPARE_BYTES))
        except OSError as error:
            raise disk_failed() from error
        count_write(connection)

    def unlimited(self) -> Engine:
        """See `Database.unlimited`."""
        return _engine(self.path, poolclass=NullPool)

    async def close(self) -> None:
        """See `Database.close`."""
        await asyncio.to_thread(self._writer.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
        if self._keeps_open is not None:
            with suppress(CatalogUnavailableError):
                self._check_files()
            self._keeps_open.close()
        self._engine.dispose()

    def _check_files(self) -> None:
        """Check that the files are those that were opened.

        Raises:
            CatalogUnavailableError: one was deleted, moved or replaced.
        """
        for file, opened in self._opened.items():
            try:
                if _identity(file) == opened:
                    continue
                cause = OSError(errno.ESTALE, "another file than the one that was opened", str(file))
            except OSError as error:
                cause = error
            if file == self.path:
                self._empty_log()
            raise CatalogUnavailableError(
                "a file of the catalog was removed or replaced while the server used it: its operator must "
                "put it back, or stop the server, restore the catalog and start the server again"
            ) from cause

    def _empty_log(self) -> None:
        """Bring what is in the write-ahead log into the file that was opened, although it is not there any more."""
        connection = self._keeps_open
        with self._emptying, suppress(OSError, sqlite3.Error):
            if connection is not None and _identity(self._log) == self._opened[self._log] and self._log.stat().st_size:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _check_pages(connection: Connection, path: Path) -> None:
    """Check that a catalog is not malformed: all of a small one, and the way to the last row of each table of others.

    Raises:
        CatalogDamagedError: it is.
        DatabaseError: SQLite refuses to read it.
    """
    if path.stat().st_size <= _CHECKED_BYTES:
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if found != "ok":
            raise damaged() from sqlite3.DatabaseError(f"database disk image is malformed: {found.splitlines()[-1]}")
        return
    for each in metadata.sorted_tables:
        if connection.dialect.has_table(connection, each.name):
            connection.execute(select(each).limit(1)).all()
            connection.execute(select(each).order_by(*(key.desc() for key in each.primary_key)).limit(1)).all()


def _identity(file: Path) -> _Identity:
    status = file.stat()
    return status.st_dev, status.st_ino


def _connect(path: Path) -> sqlite3.Connection:
    # Not to be created: a file that was deleted must not come back empty.
    file = f"file:{quote(str(path))}?mode=rw"
    return sqlite3.connect(file, timeout=database.WAIT_SECONDS, check_same_thread=False, uri=True)


def _engine(path: Path, **pool: Any) -> Engine:
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, creator=partial(_connect, path), hide_parameters=True, **pool)
    event.listen(engine, "connect", _set_up)
    return engine


def _set_up(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions on its own
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")


def _wait_for_locks(connection: Connection, unit: Unit) -> None:
    """Let SQLite wait for locks of other processes until the deadline, to a tenth of a second."""
    tenths = math.ceil(unit.left() * 10)
    if connection.info.get("tenths") != tenths:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {tenths * 100}")
        connection.info["tenths"] = tenths


def _more_seconds(unit: Unit) -> float:
    return _LATE_SECONDS if unit.got is None else _DISK_SECONDS


def _switch_to_wal(connection: Connection) -> None:
    # SQLite does not wait for locks in this statement, so processes that start concurrently must retry.
    deadline = time.monotonic() + database.WAIT_SECONDS
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
