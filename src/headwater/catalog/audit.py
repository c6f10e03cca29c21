"""The audit log in the catalog. Entries are part of the transaction of the change that they are about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Delete, Row, Update, delete, insert, select

from headwater.catalog.database import Database
from headwater.catalog.tables import audit
from headwater.domain.audit import AuditAction, AuditEntry, AuditFilter

_MAX_DELETED = 5000
"""How many entries one transaction deletes, so that no request waits for it long."""


class AuditCatalog:
    """The audit log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, wanted: AuditFilter) -> Sequence[AuditEntry]:
        """Return the entries that a filter selects, oldest first."""
        query = select(audit).order_by(audit.c.id.desc()).limit(wanted.limit)
        if wanted.user is not None:
            query = query.where(audit.c.user == wanted.user)
        if wanted.dataset_id is not None:
            query = query.where(audit.c.dataset_id == wanted.dataset_id)
        if wanted.action is not None:
            query = query.where(audit.c.action.startswith(wanted.action, autoescape=True))
        if wanted.since is not None:
            query = query.where(audit.c.at >= wanted.since)

        def work(connection: Connection) -> Sequence[AuditEntry]:
            return [_entry_of(row) for row in reversed(connection.execute(query).all())]

        return await self._database.read(work)

    async def delete_before(self, at: int) -> int:
        """Delete the entries before a time in milliseconds since 1970, some at a time; return how many these were."""
        some = select(audit.c.id).where(audit.c.at < at).limit(_MAX_DELETED)
        statement = delete(audit).where(audit.c.id.in_(some))
        deleted, last = 0, _MAX_DELETED
        while last == _MAX_DELETED:
            last = await self._database.write(lambda connection: connection.execute(statement).rowcount, long=True)
            deleted += last
        return deleted


def record(connection: Connection, entry: AuditEntry | None) -> None:
    """Add an entry, as part of the transaction of its change. None adds nothing."""
    if entry is None:
        return
    row = {
        "at": entry.at,
        "user": entry.user,
        "token_id": entry.token_id,
        "action": entry.action,
        "dataset_id": entry.dataset_id,
        "target": entry.target,
        "details": json.dumps(dict(entry.details), ensure_ascii=False) if entry.details else None,
        "address": entry.address,
        "request_id": entry.request_id,
    }
    connection.execute(insert(audit), row)


def change_one(connection: Connection, statement: Update | Delete, entry: AuditEntry | None) -> bool:
    """Execute a statement and return whether it changed a row. Only then the entry is added to the audit log."""
    if connection.execute(statement).rowcount != 1:
        return False
    record(connection, entry)
    return True


def _entry_of(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        at=row.at,
        user=row.user,
        token_id=row.token_id,
        action=AuditAction(row.action),
        dataset_id=row.dataset_id,
        target=row.target,
        details=json.loads(row.details) if row.details else {},
        address=row.address,
        request_id=row.request_id,
    )
