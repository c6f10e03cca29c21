"""The audit log in the catalog, on SQLite and PostgreSQL."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from headwater.catalog.audit import record
from headwater.catalog.catalog import Catalog
from headwater.domain.audit import AuditAction, AuditEntry, AuditFilter
from headwater.domain.dataset import NewDataset
from headwater.domain.errors import NameTakenError
from headwater.domain.ids import new_id


def entry(at: int, action: AuditAction = AuditAction.TOKEN_CREATE, user: str = "ada", **more: object) -> AuditEntry:
    return AuditEntry(at=at, user=user, action=action, **more)  # type: ignore[arg-type]


async def add(catalog: Catalog, *entries: AuditEntry) -> None:
    def work(connection: Connection) -> None:
        for each in entries:
            record(connection, each)

    await catalog.audit._database.write(work)


async def test_entries_are_selected_and_keep_their_order(catalog: Catalog) -> None:
    first = entry(1, details={"scope": "read", "moved": True, "n": 5}, target="x", address="::1", request_id="r" * 24)
    second = entry(2, AuditAction.SHARE_SET, "bob", dataset_id="0" * 24)
    third = entry(2, AuditAction.SHARE_REMOVE, token_id="t" * 24)
    await add(catalog, first, second, third)
    assert await catalog.audit.list(AuditFilter()) == [first, second, third]
    assert await catalog.audit.list(AuditFilter(limit=2)) == [second, third]
    assert await catalog.audit.list(AuditFilter(user="ada")) == [first, third]
    assert await catalog.audit.list(AuditFilter(dataset_id="0" * 24)) == [second]
    assert await catalog.audit.list(AuditFilter(action="share.")) == [second, third]
    assert await catalog.audit.list(AuditFilter(action="share_")) == []
    assert await catalog.audit.list(AuditFilter(since=2)) == [second, third]


@pytest.mark.parametrize("n_entries", [0, 3, 12])
async def test_old_entries_are_deleted_some_at_a_time(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, n_entries: int
) -> None:
    kept = entry(100)
    await add(catalog, *(entry(number) for number in range(n_entries)), kept)
    assert await catalog.audit.delete_before(100) == n_entries
    assert await catalog.audit.list(AuditFilter()) == [kept]


async def test_a_change_that_fails_leaves_no_entry(catalog: Catalog) -> None:
    made = await catalog.datasets.add("ada", NewDataset(name="one"), lambda dataset: entry(1, dataset_id=dataset.id))
    other = await catalog.datasets.add("ada", NewDataset(name="two"))
    with pytest.raises(NameTakenError):
        await catalog.datasets.rename(other.id, "one", entry(2))
    with pytest.raises(NameTakenError):
        await catalog.datasets.add("ada", NewDataset(name="one"), lambda dataset: entry(3))
    assert not await catalog.datasets.rename(new_id(), "three", entry(4))
    assert not await catalog.datasets.delete(new_id(), entry(5))
    assert not await catalog.tokens.revoke(new_id(), entry(6))
    assert await catalog.audit.list(AuditFilter()) == [entry(1, dataset_id=made.id)]
