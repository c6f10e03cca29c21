"""API tokens in the catalog: what is known about each, and the digest that it is found by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from headwater.catalog.audit import change_one, record
from headwater.catalog.clock import now_ms
from headwater.catalog.database import BOOKKEEPING_SECONDS, Database, outside_request
from headwater.catalog.tables import tokens, users
from headwater.catalog.users import ensure_user, groups_of_row
from headwater.domain.audit import AuditEntry
from headwater.domain.errors import MalformedRequestError
from headwater.domain.ids import new_id
from headwater.domain.users import ApiToken, NewToken, Scope

MAX_TOKENS_PER_USER = 1000
"""How many usable tokens one user may have."""

_KNOWN_TOKEN = (
    select(tokens, users.c.jwt_groups)
    .join(users, users.c.name == tokens.c.user)
    .where(tokens.c.digest == bindparam("digest"), tokens.c.revoked_at.is_(None))
)


class TokenCatalog:
    """The API tokens. Satisfies `auth.authenticate.TokenLookup`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        user: str,
        new: NewToken,
        digest: bytes,
        *,
        groups: Collection[str] | None = None,
        limit: int | None = None,
        entry: Callable[[ApiToken], AuditEntry] | None = None,
    ) -> ApiToken:
        """Store a token and return what is known about it. Adds the user if there is none with this name.

        Args:
            user: the name of the user it authenticates.
            new: what it is limited to.
            digest: the SHA-256 of the token.
            groups: the groups of the user, as its JWT names them; None to leave those that are stored.
            limit: how many usable tokens the user may have afterwards; None for no limit.
            entry: returns what the audit log says about it; None for nothing.

        Raises:
            MalformedRequestError: the user has as many tokens already.
        """
        token = ApiToken(id=new_id(), user=user, limits=new, created_at=now_ms())
        row = {
            "id": token.id,
            "user": user,
            "scope": new.scope,
            "dataset_id": new.dataset_id,
            "label": new.label,
            "digest": digest,
            "created_at": token.created_at,
            "expires_at": new.expires_at,
        }

        def work(connection: Connection) -> None:
            ensure_user(connection, user, groups)
            if limit is not None:
                connection.execute(select(users.c.name).where(users.c.name == user).with_for_update())
                if connection.scalar(_count_usable(user, token.created_at), {}) >= limit:
                    raise MalformedRequestError(f"you have {limit} tokens; revoke some of them first")
            connection.execute(insert(tokens), row)
            record(connection, entry(token) if entry is not None else None)

        await self._database.write(work)
        return token

    async def list(self, user: str | None = None) -> Sequence[ApiToken]:
        """Return the tokens of a user, or of all, in the order in which they were made. Includes revoked ones."""
        query = select(tokens).order_by(tokens.c.created_at, tokens.c.id)
        if user is not None:
            query = query.where(tokens.c.user == user)
        return await self._database.read(lambda connection: [_token_of(row) for row in connection.execute(query)])

    async def get(self, token_id: str) -> ApiToken | None:
        """Return the token with this id, also if it was revoked; None if there is none."""
        query = select(tokens).where(tokens.c.id == token_id)

        def work(connection: Connection) -> ApiToken | None:
            row = connection.execute(query).first()
            return _token_of(row) if row is not None else None

        return await self._database.read(work)

    async def revoke(self, token_id: str, entry: AuditEntry | None = None) -> bool:
        """Revoke a token, effective immediately. Return False if there is no such token.

        A token that was revoked before keeps the time of the first revocation, and adds no entry to the audit log.
        """
        is_token = tokens.c.id == token_id
        statement = update(tokens).where(is_token, tokens.c.revoked_at.is_(None)).values(revoked_at=now_ms())

        def work(connection: Connection) -> bool:
            if change_one(connection, statement, entry):
                return True
            return connection.execute(select(tokens.c.id).where(is_token)).first() is not None

        return await self._database.write(work)

    async def find(self, digest: bytes) -> tuple[ApiToken, frozenset[str]] | None:
        """Return the token with this SHA-256 and the groups of its user; None if there is none or it was revoked.

        It may have expired.
        """

        def work(connection: Connection) -> tuple[ApiToken, frozenset[str]] | None:
            row = connection.execute(_KNOWN_TOKEN, {"digest": digest}).first()
            return (_token_of(row), groups_of_row(row)) if row is not None else None

        return await self._database.read(work)

    async def record_use(self, token_id: str, at: int) -> None:
        """Record that a token was used. Does not hold up the request that starts it.

        Args:
            token_id: the token.
            at: when, in milliseconds since 1970.
        """
        statement = (
            update(tokens)
            .where(tokens.c.id == token_id, func.coalesce(tokens.c.last_used_at, 0) < at)
            .values(last_used_at=at)
        )
        with outside_request():
            await self._database.write(
                lambda connection: connection.execute(statement), durable=False, wait=BOOKKEEPING_SECONDS
            )


def _count_usable(user: str, now: int) -> Any:
    expires_at = tokens.c.expires_at
    return (
        select(func.count())
        .select_from(tokens)
        .where(tokens.c.user == user, tokens.c.revoked_at.is_(None), expires_at.is_(None) | (expires_at > now))
    )


def _token_of(row: Row[Any]) -> ApiToken:
    return ApiToken(
        id=row.id,
        user=row.user,
        limits=NewToken(scope=Scope(row.scope), dataset_id=row.dataset_id, label=row.label, expires_at=row.expires_at),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
