"""Whom datasets are shared with, and the transfer of datasets to other owners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, delete, exc, func, insert, select, update

from headwater.catalog.audit import change_one, record
from headwater.catalog.clock import now_ms
from headwater.catalog.database import Database
from headwater.catalog.tables import datasets, shares
from headwater.catalog.users import ensure_user
from headwater.domain.audit import AuditEntry
from headwater.domain.errors import MalformedRequestError, NameTakenError
from headwater.domain.sharing import Grantee, GranteeKind, Role, Share, Visibility

MAX_SHARES_PER_DATASET = 1000
"""With how many users and groups one dataset may be shared."""


class ShareCatalog:
    """The shares of all datasets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, dataset_id: str) -> Sequence[Share]:
        """Return the shares of a dataset: users first, then groups, each by name."""
        query = select(shares).where(shares.c.dataset_id == dataset_id).order_by(shares.c.kind.desc(), shares.c.grantee)

        def work(connection: Connection) -> Sequence[Share]:
            return [
                Share(Grantee(GranteeKind(row.kind), row.grantee), Role(row.role), row.created_at)
                for row in connection.execute(query)
            ]

        return await self._database.read(work)

    async def put(self, dataset_id: str, grantee: Grantee, role: Role, entry: AuditEntry | None = None) -> bool:
        """Share a dataset, or change the role of a grantee. Return False if there is no such dataset.

        Raises:
            MalformedRequestError: the dataset has `MAX_SHARES_PER_DATASET` shares.
        """

        def work(connection: Connection) -> bool:
            if not _lock(connection, dataset_id):
                return False
            before = connection.scalar(select(shares.c.role).where(*_is(dataset_id, grantee)))
            if before == role:
                return True
            record(connection, entry)
            if before is not None:
                connection.execute(update(shares).where(*_is(dataset_id, grantee)).values(role=role))
                return True
            of_dataset = select(func.count()).select_from(shares).where(shares.c.dataset_id == dataset_id)
            if connection.execute(of_dataset).scalar_one() >= MAX_SHARES_PER_DATASET:
                raise MalformedRequestError(
                    f"this dataset is shared with {MAX_SHARES_PER_DATASET} users and groups; remove some, or share it "
                    f"with a group"
                )
            row = {"dataset_id": dataset_id, "kind": grantee.kind, "grantee": grantee.name, "role": role}
            connection.execute(insert(shares), {**row, "created_at": now_ms()})
            return True

        return await self._database.write(work)

    async def remove(self, dataset_id: str, grantee: Grantee, entry: AuditEntry | None = None) -> bool:
        """Remove a share. Return False if there is none."""
        statement = delete(shares).where(*_is(dataset_id, grantee))
        return await self._database.write(lambda connection: change_one(connection, statement, entry))

    async def transfer(self, dataset_id: str, owner: str, entry: AuditEntry | None = None) -> bool:
        """Give a dataset to another owner, and return whether there is such a dataset.

        The former owner becomes an editor. Adds the new owner if there is no user with this name.

        Raises:
            NameTakenError: the new owner has a dataset with this name.
        """

        def work(connection: Connection) -> bool:
            ensure_user(connection, owner)
            found = _lock(connection, dataset_id)
            if found is None:
                return False
            if found.owner == owner:
                return True
            before, after = (Grantee(GranteeKind.USER, name) for name in (found.owner, owner))
            statement = update(datasets).where(datasets.c.id == dataset_id).values(owner=owner, modified_at=now_ms())
            try:
                connection.execute(statement)
            except exc.IntegrityError:
                raise NameTakenError(f"{owner} has a dataset named '{found.name}'; rename one of the two") from None
            for grantee in (before, after):
                connection.execute(delete(shares).where(*_is(dataset_id, grantee)))
            row = {"dataset_id": dataset_id, "kind": before.kind, "grantee": before.name, "role": Role.EDITOR}
            connection.execute(insert(shares), {**row, "created_at": now_ms()})
            record(connection, entry)
            return True

        return await self._database.write(work)


def roles_query(dataset_id: str, user: str, groups: frozenset[str]) -> sa.Select[Any]:
    """Return the query for the roles that shares of a dataset give to a user and to groups."""
    return select(shares.c.role).where(shares.c.dataset_id == dataset_id, _granted_to(user, groups))


def visible(visibility: Visibility) -> ColumnElement[bool]:
    """Return the condition for datasets that a query may find."""
    others = datasets.c.owner != visibility.user
    either: list[ColumnElement[bool]] = []
    if visibility.own:
        either.append(datasets.c.owner == visibility.user)
    if visibility.all_others:
        either.append(others)
    elif visibility.direct or visibility.by_group:
        user = visibility.user if visibility.direct else None
        groups = visibility.groups if visibility.by_group else frozenset[str]()
        granted = select(shares.c.dataset_id).where(_granted_to(user, groups))
        either.append(others & datasets.c.id.in_(granted))
    found = sa.or_(sa.false(), *either)
    return found if visibility.dataset_id is None else found & (datasets.c.id == visibility.dataset_id)


def _granted_to(user: str | None, groups: frozenset[str]) -> ColumnElement[bool]:
    to_user = (shares.c.kind == GranteeKind.USER) & (shares.c.grantee == user)
    to_group = (shares.c.kind == GranteeKind.GROUP) & shares.c.grantee.in_(sorted(groups))
    either = [*([to_user] if user is not None else []), *([to_group] if groups else [])]
    return sa.or_(sa.false(), *either)


def _is(dataset_id: str, grantee: Grantee) -> tuple[ColumnElement[bool], ...]:
    return shares.c.dataset_id == dataset_id, shares.c.kind == grantee.kind, shares.c.grantee == grantee.name


def _lock(connection: Connection, dataset_id: str) -> sa.Row[Any, Any] | None:
    query = select(datasets.c.owner, datasets.c.name).where(datasets.c.id == dataset_id).with_for_update()
    return connection.execute(query).first()
