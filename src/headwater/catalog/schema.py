"""Brings the tables of a catalog to the version that this code knows."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, Engine, column, inspect, select, table, text

from headwater.domain.errors import StartupError

HEAD = "0002"
"""The newest migration; known here so that a catalog that has it starts without importing Alembic."""

MIGRATIONS = Path(__file__).with_name("migrations")

_ADVISORY_LOCK = 0x4865616477617465
"""PostgreSQL's advisory locks are numbers, shared by all who use one database: "Headwate" in ASCII."""

_VERSION = table("alembic_version", column("version_num"))

_alembic = threading.Lock()
"""Alembic keeps what it works on in globals, so one thread of a process uses it at a time."""


def stored_version(connection: Connection) -> str | None:
    """The version of the catalog's tables; None if there are none yet."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    return connection.scalar(select(_VERSION.c.version_num))


def bring_to_head(engine: Engine) -> None:
    """Run the migrations that are missing, in one transaction. Of several processes, one does it; the rest wait.

    Raises:
        StartupError: the catalog was written by a newer version of Headwater.
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
