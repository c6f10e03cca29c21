"""Upgrade the tables of a catalog to the version that this code needs."""

from __future__ import annotations

import threading
from pathlib import Path

import structlog
from sqlalchemy import Connection, Engine, column, inspect, select, table, text

from headwater.domain.errors import StartupError

HEAD = "0005"
"""The newest migration. It is named here so that a current catalog opens without importing Alembic."""

MIGRATIONS = Path(__file__).with_name("migrations")

_ADVISORY_LOCK = 0x4865616477617465
"""Advisory locks of PostgreSQL are numbers, shared by all clients of a database. This is "Headwate" in ASCII."""

_VERSION = table("alembic_version", column("version_num"))

log = structlog.get_logger(__name__)

_alembic = threading.Lock()
"""Alembic keeps its state in globals, so only one thread at a time may use it."""


def stored_version(connection: Connection) -> str | None:
    """Return the version of the tables; None if there are no tables."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    return connection.scalar(select(_VERSION.c.version_num))


def upgrade_to_head(engine: Engine) -> None:
    """Run the missing migrations in one transaction. If several processes start, one runs them and the others wait.

    Raises:
        StartupError: a newer version of Headwater wrote the catalog.
    """
    with engine.connect() as connection:
        if stored_version(connection) == HEAD:
            return
    with _alembic, engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADVISORY_LOCK})
        stored = stored_version(connection)
        if stored != HEAD:
            _upgrade(connection, stored)
        connection.commit()


def _upgrade(connection: Connection, stored: str | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if stored is not None and stored not in known:
        raise StartupError(
            f"the catalog has version {stored}, and this Headwater knows versions up to {HEAD} only: a newer "
            f"Headwater wrote it. Upgrade Headwater, or go back to a copy of the catalog from before"
        )
    command.upgrade(config, "head")
    if stored is not None:
        log.warning("catalog_migrated", before=stored, after=HEAD)
