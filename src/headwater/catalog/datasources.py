"""Datasources in the catalog, with their secrets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, select, update

from headwater.catalog.audit import record
from headwater.catalog.clock import now_ms
from headwater.catalog.database import MAX_IDS_PER_QUERY, Database
from headwater.catalog.feed.feeds import drop_feed
from headwater.catalog.keyring import Keyring, KeysChangedError
from headwater.catalog.stored_datasource import (
    COLUMNS,
    DatasourceSummary,
    datasource_of_row,
    row_of_datasource,
    summary_of_row,
)
from headwater.catalog.tables import datasets, datasources
from headwater.domain.audit import AuditEntry
from headwater.domain.datasource import Datasource
from headwater.domain.errors import CatalogUnavailableError
from headwater.domain.purposes import Reconfigured

_DATASOURCES: Select[Any] = (
    select(*COLUMNS).where(datasources.c.dataset_id == bindparam("dataset_id")).order_by(datasources.c.purpose)
)
_IN_DATASETS = datasources.c.dataset_id.in_(bindparam("dataset_ids", expanding=True))
_BY_PURPOSE = (datasources.c.dataset_id, datasources.c.purpose)
_IDS: Select[Any] = select(datasources.c.dataset_id, datasources.c.id).where(_IN_DATASETS).order_by(*_BY_PURPOSE)
_SUMMARIES: Select[Any] = select(*COLUMNS).where(_IN_DATASETS).order_by(*_BY_PURPOSE)
_LOCK_DATASET = select(datasets.c.watermark).where(datasets.c.id == bindparam("dataset_id")).with_for_update()

_MAX_ROTATIONS = 3
"""How often a write begins again because the keys were rotated meanwhile."""

T = TypeVar("T")


class DatasourceCatalog:
    """The datasources of all datasets."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def list(self, dataset_id: str) -> Sequence[Datasource]:
        """Return the datasources of a dataset, with their secrets decrypted.

        Raises:
            HeadwaterError: a stored secret cannot be decrypted.
        """
        return await self._database.read(lambda connection: self._load(connection, dataset_id))

    async def ids(self, dataset_ids: Sequence[str]) -> dict[str, Sequence[str]]:
        """Return the ids of the datasources of each of these datasets; an empty list for a dataset without any."""
        return await self._of_each(_IDS, dataset_ids, lambda row: str(row.id))

    async def summaries(self, dataset_ids: Sequence[str]) -> dict[str, Sequence[DatasourceSummary]]:
        """Return what the datasources of each of these datasets point to; an empty list for a dataset without any."""
        return await self._of_each(_SUMMARIES, dataset_ids, summary_of_row)

    async def change(
        self,
        dataset_id: str,
        decide: Callable[[Sequence[Datasource]], Reconfigured],
        entry: Callable[[Reconfigured], AuditEntry] | None = None,
    ) -> Reconfigured | None:
        """Replace the datasources of a dataset with those that `decide` returns, in one transaction.

        If raw samples now come from other data, the watermark (contract.md#watermark) and the counts go back to 0, and
        the feed is dropped.
        Every secret is encrypted again, with the first key.

        Args:
            dataset_id: the dataset.
            decide: called with the present datasources, in a thread. It must be pure. If it raises an error, nothing
                is changed and the error is passed on.
            entry: returns what the audit log says about it; None for nothing.

        Returns:
            What `decide` returned, with the watermark that was reset; None if there is no such dataset.

        Raises:
            CatalogUnavailableError: also if there is a secret to encrypt, and the key file is lost.
        """
        for _ in range(_MAX_ROTATIONS):
            with suppress(KeysChangedError):
                return await self._change(dataset_id, decide, entry)
        return await self._change(dataset_id, decide, entry)

    async def _change(
        self,
        dataset_id: str,
        decide: Callable[[Sequence[Datasource]], Reconfigured],
        entry: Callable[[Reconfigured], AuditEntry] | None,
    ) -> Reconfigured | None:
        lost: CatalogUnavailableError | None = None
        ids = self._keyring.ids
        try:
            await self._keyring.check_in_time()  # before the transaction: others wait for that
        except CatalogUnavailableError as error:
            lost = error

        def work(connection: Connection) -> Reconfigured | None:
            found = connection.execute(_LOCK_DATASET, {"dataset_id": dataset_id}).first()
            if found is None:
                return None
            decided = decide(self._load(connection, dataset_id, mask_lost_secrets=True))
            connection.execute(delete(datasources).where(datasources.c.dataset_id == dataset_id))
            if any(datasource.config.secret is not None for datasource in decided.datasources):
                if lost is not None and self._keyring.ids == ids:
                    raise lost
                self._keyring.check_unchanged()  # after the first write, for which a rotation of the keys waits
            if decided.datasources:
                rows = [row_of_datasource(self._keyring, datasource) for datasource in decided.datasources]
                connection.execute(insert(datasources), rows)
            changed: dict[str, int | None] = {"modified_at": now_ms()}
            if decided.input_moved:
                drop_feed(connection, dataset_id)
                changed |= {"watermark": 0, "n_samples": 0, "size_in_bytes": 0}
                decided = decided._replace(lost_watermark=found.watermark)
            connection.execute(update(datasets).where(datasets.c.id == dataset_id).values(**changed))
            record(connection, entry(decided) if entry is not None else None)
            return decided

        return await self._database.write(work)

    async def _of_each(
        self, query: Select[Any], dataset_ids: Sequence[str], read: Callable[[Row[Any]], T]
    ) -> dict[str, Sequence[T]]:
        """Return what `read` makes of the datasources of each of these datasets."""

        def work(connection: Connection) -> dict[str, Sequence[T]]:
            found: dict[str, list[T]] = {dataset_id: [] for dataset_id in dataset_ids}
            for start in range(0, len(dataset_ids), MAX_IDS_PER_QUERY):
                some = dataset_ids[start : start + MAX_IDS_PER_QUERY]
                for row in connection.execute(query, {"dataset_ids": some}):
                    found[row.dataset_id].append(read(row))
            return dict(found)

        return await self._database.read(work)

    def _load(
        self, connection: Connection, dataset_id: str, *, mask_lost_secrets: bool = False
    ) -> Sequence[Datasource]:
        rows = connection.execute(_DATASOURCES, {"dataset_id": dataset_id})
        return [datasource_of_row(self._keyring, row, mask_lost_secret=mask_lost_secrets) for row in rows]
