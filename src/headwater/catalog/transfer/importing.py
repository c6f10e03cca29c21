"""Load a catalog from a file into a database, completely or not at all."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, lockf
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy import Connection, Select, func, select, text

from headwater.catalog.database import Database
from headwater.catalog.postgres_database import PostgresDatabase
from headwater.catalog.schema import (
    HEAD,
    VERSION_TABLE,
    check_catalog,
    known_versions,
    lock_migrations,
    migrate,
    newer_catalog,
    stored_version,
    table_columns,
)
from headwater.catalog.sqlite_database import SqliteDatabase
from headwater.catalog.tables import metadata
from headwater.catalog.transfer.catalog_file import CatalogFile, StoredTable, TableInFile
from headwater.catalog.transfer.exporting import lift_time_limits, sequence_of
from headwater.domain.errors import CatalogUnavailableError, MalformedRequestError, StartupError
from headwater.new_files import replace_keeping_rights, sync_folder, unfinished_file

_TYPES: dict[str, Any] = {
    "text": sa.Text,
    "integer": sa.BigInteger,
    "boolean": sa.Boolean,
    "bytes": sa.LargeBinary,
    "number": sa.Float,
}

_SQLITE_LOCK = (0x40000002, 510)
"""Where SQLite locks a file that a connection is open on. https://sqlite.org/lockingv3.html"""

_SESSIONS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' "
    "AND pid != pg_backend_pid()"
)

Check = Callable[[Connection], None]
"""Called with the whole catalog, before it is used. It raises an error if it must not be."""


class CatalogExistsError(MalformedRequestError):
    """There is a catalog, which must not be replaced."""


def import_catalog(database: Database, file: CatalogFile, *, replace: bool, check: Check) -> None:
    """Load a catalog. Afterwards there is the new catalog; after an error or a crash, what was there before.

    Args:
        database: where to. There may be no catalog, or an empty one.
        file: what to load. If an earlier version wrote it, its tables are upgraded.
        replace: replace a catalog that is not empty, too, even one that is damaged.
        check: see `Check`. It is called last, and may make what is needed to use the catalog.

    Raises:
        CatalogExistsError: there is a catalog that may not be replaced.
        CatalogUnavailableError: the catalog that is there is in use.
        MalformedRequestError: the file does not contain what a catalog of its version has.
        StartupError: a newer version wrote the file, or the database holds other tables.
    """
    if file.header.tables not in known_versions():
        raise newer_catalog(file.header.tables)
    if isinstance(database, SqliteDatabase):
        _import_into_sqlite(database, file, replace, check)
    elif isinstance(database, PostgresDatabase):
        _import_into_postgres(database, file, replace, check)


def _load(connection: Connection, file: CatalogFile, check: Check, name: str) -> None:
    migrate(connection, file.header.tables)
    expected = {each: columns for each, columns in table_columns(connection).items() if each != VERSION_TABLE}
    loaded = set()
    with file.read() as tables:
        for table in tables:
            if expected.get(table.table.table) != table.table.columns.keys():
                raise MalformedRequestError(
                    f"{file.path} cannot be used: the table {table.table.table!r} does not have the columns of version "
                    f"{file.header.tables}"
                )
            _load_table(connection, table)
            loaded.add(table.table.table)
    if missing := sorted(expected.keys() - loaded):
        raise MalformedRequestError(f"{file.path} cannot be used: it lacks the tables {', '.join(missing)}")
    migrate(connection, HEAD)
    check_catalog(connection, name)
    check(connection)


def _load_table(connection: Connection, table: TableInFile) -> None:
    name, columns = table.table.table, table.table.columns
    target = sa.table(name, *(sa.column(each, _TYPES[kind]) for each, kind in columns.items()))
    for batch in table.batches:
        connection.execute(sa.insert(target), [dict(zip(columns, row, strict=True)) for row in batch])
    if table.table.last_id is not None:
        _set_last_id(connection, table.table)


def _set_last_id(connection: Connection, stored: StoredTable) -> None:
    """Let the database go on after the last id of a table."""
    table = metadata.tables[stored.table]
    assert table.autoincrement_column is not None
    highest: Select[Any] = select(func.max(sa.column(table.autoincrement_column.name))).select_from(
        sa.table(table.name)
    )
    last = max(stored.last_id or 0, connection.execute(highest).scalar() or 0)
    if connection.dialect.name == "postgresql":
        sequence = connection.execute(sequence_of(table)).scalar_one()
        connection.execute(select(func.setval(sequence, max(last, 1), last > 0)))
    elif table.dialect_options["sqlite"]["autoincrement"]:
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        connection.execute(
            text("INSERT INTO sqlite_sequence VALUES (:name, :last)"), {"name": table.name, "last": last}
        )


def _is_empty(connection: Connection) -> bool:
    """Return whether a database holds no rows of a catalog."""
    present = table_columns(connection)
    return not any(
        connection.execute(select(sa.literal(1)).select_from(table).limit(1)).first()
        for table in metadata.sorted_tables
        if table.name in present
    )


def _import_into_postgres(database: PostgresDatabase, file: CatalogFile, replace: bool, check: Check) -> None:
    engine = database.unlimited()
    try:
        with engine.connect() as connection:
            lift_time_limits(connection)
            lock_migrations(connection)
            present = table_columns(connection).keys()
            ours = {*metadata.tables, VERSION_TABLE}
            if present and not (present <= ours and stored_version(connection)):
                raise StartupError(
                    f"{database.name} holds tables of another program: choose another database or schema"
                )
            if present:
                if connection.execute(_SESSIONS).scalar_one():
                    raise in_use()
                if not replace and not _is_empty(connection):
                    raise exists(database.name)
                names = ", ".join(f'"{each}"' for each in sorted(present))
                connection.execute(text(f"DROP TABLE {names}"))
            _load(connection, file, check, database.name)
            connection.commit()
    finally:
        engine.dispose()


def _import_into_sqlite(database: SqliteDatabase, file: CatalogFile, replace: bool, check: Check) -> None:
    path = database.path.resolve()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        _check_replaceable(path, database.name, replace)
    elif not replace and (left := next(filter(Path.exists, _companions(path)), None)) is not None:
        raise StartupError(
            f"{left} belongs to a catalog that is not there any more: move it to that file, or delete it"
        )
    with unfinished_file(path) as unfinished:
        engine = SqliteDatabase(unfinished).unlimited()
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                _load(connection, file, check, database.name)
                connection.commit()
        finally:
            engine.dispose()
        _put_in_place(unfinished, path, database.name, replace)
    sync_folder(path.parent)


def _check_replaceable(path: Path, name: str, replace: bool) -> None:
    """Check early what `_put_in_place` checks in the end."""
    if replace:
        with _owned(path, name, damaged_too=True):
            return
    try:
        with closing(sqlite3.connect(path)) as connection:
            _check_empty(connection, name)
    except sqlite3.DatabaseError as error:
        raise _unreadable(name, error) from None


def _put_in_place(unfinished: Path, path: Path, name: str, replace: bool) -> None:
    """Give a new catalog its name. Nobody uses the one that it replaces."""
    if not path.exists() and replace:
        _remove_companions(path)
    with suppress(FileExistsError):
        os.link(unfinished, path)
        return
    with _owned(path, name, damaged_too=replace) as connection:
        if not replace:
            _check_empty(connection, name)
        _remove_companions(path)
        replace_keeping_rights(unfinished, path)


def _companions(path: Path) -> list[Path]:
    """Return the files in which SQLite keeps a part of a database. It would add them to a new one with its name."""
    return [path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal")]


def _remove_companions(path: Path) -> None:
    for each in _companions(path):
        each.unlink(missing_ok=True)


@contextmanager
def _owned(path: Path, name: str, *, damaged_too: bool) -> Iterator[sqlite3.Connection | None]:
    """Yield a connection to a file of SQLite on which no other process has one during the block.

    Args:
        path: the file. What is in its write-ahead log is brought into it.
        name: its name, for errors.
        damaged_too: yield None for a file that SQLite cannot read.

    Raises:
        CatalogUnavailableError: another process uses it.
        StartupError: it is damaged.
    """
    with path.open("r+b") as file:
        _lock(file)
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        _make_exclusive(connection)
    except sqlite3.DatabaseError as error:
        connection.close()
        if not damaged_too:
            raise _unreadable(name, error) from None
        with path.open("r+b") as file:
            _lock(file)
            yield None
        return
    except BaseException:
        connection.close()
        raise
    try:
        yield connection
    finally:
        connection.close()


def _lock(file: IO[bytes]) -> None:
    """Lock a file that may be no database, until it is closed."""
    start, length = _SQLITE_LOCK
    try:
        lockf(file, LOCK_EX | LOCK_NB, length, start)
    except OSError:
        raise in_use() from None


def _make_exclusive(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("PRAGMA journal_mode = DELETE")  # fails while there is another connection
        connection.execute("BEGIN EXCLUSIVE")
        if connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete":
            return
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
    raise in_use()


def _check_empty(connection: sqlite3.Connection | None, name: str) -> None:
    assert connection is not None
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    if VERSION_TABLE not in tables:
        raise StartupError(f"{name} is not a catalog of Headwater: choose another file")
    for table in metadata.tables.keys() & tables:
        if connection.execute(f'SELECT 1 FROM "{table}" LIMIT 1').fetchone():  # noqa: S608
            raise exists(name)


def exists(name: str) -> CatalogExistsError:
    """Return the error for a catalog that may not be replaced."""
    return CatalogExistsError(f"there is a catalog with data at {name}")


def in_use() -> CatalogUnavailableError:
    """Return the error for a catalog that cannot be replaced, because it is used."""
    return CatalogUnavailableError(
        "it is in use: stop all servers and commands that use it, and whatever else is connected to it"
    )


def _unreadable(name: str, error: sqlite3.Error) -> StartupError:
    return StartupError(f"catalog {name} cannot be read ({error}): it is damaged, or another file")
