"""API tokens in the catalog: what is known about each, and the digest that it is found by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from headwater.catalog.clock import now_ms
from headwater.catalog.database import Database
from headwater.catalog.tables import tokens
from headwater.catalog.users import ensure_user
from headwater.domain.ids import new_id
from headwater.domain.users import ApiToken

_VALID_TOKEN = select(tokens).where(tokens.c.digest == bindparam("digest"), tokens.c.revoked_at.is_(None))


class TokenCatalog:
    """The API tokens. Satisfies `auth.authenticate.TokenLookup`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, user: str, admin: bool, digest: bytes) -> ApiToken:
        """Store a token and return what is known about it. Adds the user if there is none with this name.

        Args:
            user: the name of the user it authenticates.
            admin: whether it gives access to the datasets of all users.
            digest: the SHA-256 of the token.
        """
        token = ApiToken(id=new_id(), user=user, admin=admin, created_at=now_ms(), revoked_at=None)
        row = {
            "id": token.id,
            "user": token.user,
            "admin": token.admin,
            "digest": digest,
            "created_at": token.created_at,
            "revoked_at": token.revoked_at,
        }

        def work(connection: Connection) -> None:
            ensure_user(connection, user)
            connection.execute(insert(tokens), row)

        await self._database.write(work)
        return token

    async def list(self) -> Sequence[ApiToken]:
        """Return all tokens, including revoked ones, in the order in which they were made."""
        query = select(tokens).order_by(tokens.c.created_at, tokens.c.id)
        return await self._database.read(lambda connection: [_token_of(row) for row in connection.execute(query)])

    async def revoke(self, token_id: str) -> bool:
        """Revoke a token, effective immediately. Return False if there is no such token.

        A token that was revoked before keeps the time of the first revocation.
        """
        statement = (
            update(tokens)
            .where(tokens.c.id == token_id)
            .values(revoked_at=func.coalesce(tokens.c.revoked_at, now_ms()))
        )
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def find(self, digest: bytes) -> ApiToken | None:
        """Return the token with this SHA-256; None if there is none, or it was revoked."""

        def work(connection: Connection) -> ApiToken | None:
            row = connection.execute(_VALID_TOKEN, {"digest": digest}).first()
            return _token_of(row) if row is not None else None

        return await self._database.read(work)


def _token_of(row: Row[Any]) -> ApiToken:
    return ApiToken(id=row.id, user=row.user, admin=row.admin, created_at=row.created_at, revoked_at=row.revoked_at)
