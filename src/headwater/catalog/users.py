"""Users in the catalog. A user is made with the first token or dataset that names it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from headwater.catalog.clock import now_ms
from headwater.catalog.database import Database
from headwater.catalog.tables import users


class UserCatalog:
    """The users, by name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self) -> Sequence[str]:
        """Return the names of all users, sorted."""
        query = select(users.c.name).order_by(users.c.name)
        return await self._database.read(lambda connection: connection.execute(query).scalars().all())

    async def exists(self, name: str) -> bool:
        """Return whether there is a user with this name."""
        query = select(users.c.name).where(users.c.name == name)
        return await self._database.read(lambda connection: connection.execute(query).first() is not None)


def ensure_user(connection: Connection, name: str) -> None:
    """Add the user if there is none with this name. Part of the transactions that refer to a user."""
    # Both databases have ON CONFLICT DO NOTHING, but SQLAlchemy has a separate construct for each.
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(users).values(name=name, created_at=now_ms()).on_conflict_do_nothing()
    connection.execute(statement)
