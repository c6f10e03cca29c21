"""Upgrade the tables of a catalog to the version that this code needs."""

from __future__ import annotations

import threading
from pathlib import Path

import structlog
from sqlalchemy import Connection, Engine, column, inspect, select, table, text

from headwater.catalog.database import tables_missing
from headwater.catalog.tables import metadata
from headwater.domain.errors import CatalogUnavailableError, StartupError

HEAD = "0007"
"""The newest migration. It is named here so that a current catalog opens without importing Alembic."""

MIGRATIONS = Path(__file__).with_name("migrations")

_ADVISORY_LOCK = 0x4865616477617465
"""Advisory locks of PostgreSQL are numbers, shared by all clients of a database. This is "Headwate" in ASCII."""

VERSION_TABLE = "alembic_version"
"""The table that holds the version of the others."""

_VERSION = table(VERSION_TABLE, column("version_num"))

log = structlog.get_logger(__name__)

_alembic = threading.RLock()
"""Alembic keeps its state in globals, so only one thread at a time may use it."""


def stored_version(connection: Connection) -> str | None:
    """Return the version of the tables; None if there are no tables."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    return connection.scalar(select(_VERSION.c.version_num))


def check_current(stored: str) -> None:
    """Check that the tables need no upgrade.

    Args:
        stored: their version.

    Raises:
        StartupError: they have another version than this code needs.
    """
    if stored > HEAD:
        raise newer_catalog(stored)
    if stored < HEAD:
        raise StartupError(
            f"the catalog has version {stored}, and this Headwater needs version {HEAD}. Stop all servers of the "
            f"earlier Headwater and make a copy of the catalog (`headwater backup FILE`); then `headwater serve` or "
            f"`headwater init` upgrades it"
        )


def newer_catalog(stored: str) -> StartupError:
    """Return the error for a catalog that a newer version wrote."""
    return StartupError(
        f"the catalog has version {stored}, and this Headwater knows versions up to {HEAD} only: a newer "
        f"Headwater wrote it. Upgrade Headwater, or go back to a copy of the catalog from before"
    )


def is_current(connection: Connection) -> bool:
    """Return whether the tables have the version that this code needs."""
    return stored_version(connection) == HEAD


def upgrade_to_head(engine: Engine, name: str, *, create: bool = True) -> None:
    """Run the missing migrations in one transaction. If several processes start, one runs them and the others wait.

    Args:
        engine: the database.
        name: its name, for error texts.
        create: whether to create the tables in an empty database.

    Raises:
        StartupError: a newer version of Headwater wrote the catalog, or the database is none.
    """
    with engine.connect() as connection:
        if is_current(connection):
            return
    with _alembic, engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            lock_migrations(connection)
        stored = stored_version(connection)
        if stored != HEAD:
            _upgrade(connection, stored, name, create)
        connection.commit()


def check_catalog(connection: Connection, name: str) -> None:
    """Check that a catalog of the newest version has all its tables and columns.

    Raises:
        StartupError: some are missing.
    """
    missing = _missing(connection)
    if missing:
        raise StartupError(
            f"catalog {name} is damaged; it lacks {', '.join(missing)}. Stop its servers and restore a copy "
            f"of the catalog"
        )


def check_in_use(connection: Connection) -> None:
    """Check that a catalog is still whole, and of this version, while it is used.

    Raises:
        CatalogUnavailableError: it is not.
    """
    stored = stored_version(connection)
    if stored is None or _missing(connection):
        raise tables_missing()
    if stored != HEAD:
        raise CatalogUnavailableError(
            "the catalog was changed by another version of Headwater: its operator must run that version"
        )


def _missing(connection: Connection) -> list[str]:
    """Return which tables, and columns of other tables, a catalog of the newest version lacks."""
    present = table_columns(connection)
    expected = {each.name: {column.name for column in each.columns} for each in metadata.sorted_tables}
    missing = sorted(expected.keys() - present.keys())
    for name in sorted(expected.keys() & present.keys()):
        missing += sorted(f"{name}.{column}" for column in expected[name] - present[name])
    return missing


_SQLITE_COLUMNS = text(
    "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c "
    "WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
)
_POSTGRES_COLUMNS = text(
    # Without the tables of extensions, such as PostGIS.
    "SELECT c.relname, a.attname FROM pg_class c LEFT JOIN pg_attribute a "
    "ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
    "WHERE c.relkind IN ('r', 'p') AND c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND NOT EXISTS "
    "(SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"
)


def table_columns(connection: Connection) -> dict[str, set[str]]:
    """Return the columns of all tables, those of other programs included."""
    found: dict[str, set[str]] = {}
    query = _SQLITE_COLUMNS if connection.dialect.name == "sqlite" else _POSTGRES_COLUMNS
    for name, each in connection.execute(query):
        found.setdefault(name, set()).add(each)
    return found


def lock_migrations(connection: Connection) -> None:
    """Let no other process migrate a database of PostgreSQL until the end of the transaction."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADVISORY_LOCK})


def known_versions() -> set[str]:
    """Return the versions of the tables that this code can upgrade, and its own."""
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}


def migrate(connection: Connection, version: str) -> None:
    """Run the missing migrations up to a version, in the transaction of the connection."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with _alembic:
        command.upgrade(config, version)


def _upgrade(connection: Connection, stored: str | None, name: str, create: bool) -> None:
    known = known_versions()
    tables = sorted(table_columns(connection))
    if stored not in known and metadata.tables.keys() - tables and (tables or not create):
        held = f"it holds the tables {', '.join(tables[:5])}" if tables else "it has no tables"
        raise StartupError(
            f"{name} is not a catalog of Headwater: {held}. Restore a copy of the catalog; or choose another database, "
            f"an empty one, in HEADWATER_DATABASE_URL, to begin without datasets"
        )
    if stored is not None and stored not in known:
        raise newer_catalog(stored)
    migrate(connection, "head")
    if stored is not None:
        log.warning("catalog_migrated", before=stored, after=HEAD)
