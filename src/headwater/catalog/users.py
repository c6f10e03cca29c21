"""Users in the catalog. A user is made with the first token or dataset that names it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Update, select, update
from sqlalchemy.dialects import postgresql, sqlite

from headwater.catalog.clock import now_ms
from headwater.catalog.database import BOOKKEEPING_SECONDS, Database, outside_request
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

    async def groups(self, name: str) -> frozenset[str] | None:
        """Return the groups of a user in its latest JWT; None if there is no such user."""
        query = select(users.c.jwt_groups).where(users.c.name == name)

        def work(connection: Connection) -> frozenset[str] | None:
            row = connection.execute(query).first()
            return groups_of_row(row) if row is not None else None

        return await self._database.read(work)

    async def set_groups(self, name: str, groups: Collection[str]) -> None:
        """Store the groups of a user, if there is one with this name. The request that starts it does not wait."""
        statement = _set_groups(name, groups)
        with outside_request():
            stored = await self.groups(name)
            if stored is not None and stored != groups:
                await self._database.write(lambda connection: connection.execute(statement), wait=BOOKKEEPING_SECONDS)


def ensure_user(connection: Connection, name: str, groups: Collection[str] | None = None) -> None:
    """Add the user if there is none with this name. Part of the transactions that refer to a user.

    Args:
        connection: the transaction.
        name: the user.
        groups: what the groups of the user are from now on; None to change nothing.
    """
    # Both databases have ON CONFLICT DO NOTHING, but SQLAlchemy has a separate construct for each.
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(users).values(name=name, created_at=now_ms()).on_conflict_do_nothing()
    connection.execute(statement)
    if groups is not None:
        connection.execute(_set_groups(name, groups))


def groups_of_row(row: Row[Any]) -> frozenset[str]:
    """Return the groups in a row with the column `jwt_groups`."""
    return frozenset(json.loads(row.jwt_groups)) if row.jwt_groups else frozenset()


def _set_groups(name: str, groups: Collection[str]) -> Update:
    text = json.dumps(sorted(groups)) if groups else None
    return update(users).where(users.c.name == name, users.c.jwt_groups.is_distinct_from(text)).values(jwt_groups=text)
