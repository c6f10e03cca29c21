"""Datasets in the catalog, with their watermarks and counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection, Row, bindparam, delete, exc, insert, select, update

from headwater.catalog.audit import change_one, record
from headwater.catalog.clock import now_ms
from headwater.catalog.database import MAX_IDS_PER_QUERY, Database
from headwater.catalog.feed.feeds import acknowledge_watermark, drop_feed
from headwater.catalog.keyring import Keyring
from headwater.catalog.shares import roles_query, visible
from headwater.catalog.stored_datasource import COLUMNS, datasource_of_row
from headwater.catalog.tables import datasets, datasources, feed_listings, feeds
from headwater.catalog.users import ensure_user
from headwater.domain.audit import AuditEntry
from headwater.domain.dataset import Dataset, DatasetCreator, DatasetType, ImageType, NewDataset
from headwater.domain.datasource import Datasource, Purpose
from headwater.domain.errors import NameTakenError
from headwater.domain.feed import FeedMode
from headwater.domain.ids import new_id
from headwater.domain.sharing import Role, Visibility

_MAX_ROWS = 2**31 - 1
"""The largest value of LIMIT and OFFSET that both databases accept."""

_WITH_COUNTS = select(datasets, feeds.c.n_rows, feeds.c.n_bytes).outerjoin(
    feeds, (feeds.c.dataset_id == datasets.c.id) & feeds.c.complete
)
"""Datasets with the counts of their feeds, if these are complete."""
_DATASET = _WITH_COUNTS.where(datasets.c.id == bindparam("dataset_id"))
_DATASET_WITH_DATASOURCES = (
    _WITH_COUNTS.add_columns(*COLUMNS)
    .outerjoin(datasources, datasources.c.dataset_id == datasets.c.id)
    .where(datasets.c.id == bindparam("dataset_id"))
    .order_by(datasources.c.purpose)
)
_HAS_INPUT = sa.exists().where(
    datasources.c.dataset_id == datasets.c.id,
    datasources.c.purpose.in_((Purpose.INPUT_OUTPUT.value, Purpose.INPUT.value)),
)
_LOCK_WATERMARK = select(datasets.c.watermark).where(datasets.c.id == bindparam("dataset_id")).with_for_update()
_SET_WATERMARK = (
    update(datasets).where(datasets.c.id == bindparam("dataset_id"), _HAS_INPUT).values(watermark=bindparam("seconds"))
)


_PROGRESS = (
    select(
        datasets.c.id,
        datasets.c.watermark,
        select(sa.func.max(feed_listings.c.ended_at)).where(feed_listings.c.feed == feeds.c.id).scalar_subquery(),
    )
    .outerjoin(feeds, feeds.c.dataset_id == datasets.c.id)
    .order_by(datasets.c.id)
    .limit(bindparam("most"))
)


class ProgressRow(NamedTuple):
    """The watermark of a dataset, 0 if it was never set, and when a listing of its feed last ended, in milliseconds."""

    id: str
    watermark: int
    ended_at: int | None


class DatasetCatalog:
    """The datasets of all users. Satisfies `auth.permissions.DatasetLookup`."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def add(self, owner: str, new: NewDataset, entry: Callable[[Dataset], AuditEntry] | None = None) -> Dataset:
        """Make a dataset. Adds the owner if there is no user with this name.

        Args:
            owner: the owner.
            new: the dataset.
            entry: returns what the audit log says about it; None for nothing.

        Raises:
            NameTakenError: the owner has a dataset with this name.
        """
        now = now_ms()
        dataset = Dataset(
            id=new_id(),
            owner=owner,
            name=new.name,
            type=new.type,
            img_type=new.img_type,
            creator=new.creator,
            parent_id=new.parent_id,
            include_all_files=new.include_all_files,
            watermark=0,
            created_at=now,
            modified_at=now,
            feed=new.feed,
        )

        def work(connection: Connection) -> None:
            ensure_user(connection, owner)
            try:
                connection.execute(insert(datasets), _row_of(dataset))
            except exc.IntegrityError:
                raise _name_taken(new.name) from None
            record(connection, entry(dataset) if entry is not None else None)

        await self._database.write(work)
        return dataset

    async def get(self, dataset_id: str) -> Dataset | None:
        """Return the dataset with this id; None if there is none."""

        def work(connection: Connection) -> Dataset | None:
            row = connection.execute(_DATASET, {"dataset_id": dataset_id}).first()
            return _dataset_of(row) if row is not None else None

        return await self._database.read(work)

    async def find_with_datasources(self, dataset_id: str) -> tuple[Dataset, Callable[[], Sequence[Datasource]]] | None:
        """Return a dataset and a function that decodes its datasources, read in one query.

        Returns None if there is no such dataset. The function does no I/O. It raises HeadwaterError if a stored
        secret cannot be decrypted.
        """

        def work(connection: Connection) -> Sequence[Row[Any]]:
            return connection.execute(_DATASET_WITH_DATASOURCES, {"dataset_id": dataset_id}).all()

        rows = await self._database.read(work)
        if not rows:
            return None

        def load_datasources() -> Sequence[Datasource]:
            return [datasource_of_row(self._keyring, row) for row in rows if row.datasource_id is not None]

        return _dataset_of(rows[0]), load_datasources

    async def roles(self, dataset_id: str, user: str, groups: frozenset[str]) -> Sequence[Role]:
        """Return the roles that shares of the dataset give to the user and to these groups."""
        query = roles_query(dataset_id, user, groups)
        return await self._database.read(lambda connection: [Role(role) for role in connection.scalars(query)])

    async def list(
        self,
        visibility: Visibility | None,
        limit: int | None = None,
        offset: int = 0,
        *,
        name: str | None = None,
        prefix: str | None = None,
        newest: int | None = None,
    ) -> Sequence[Dataset]:
        """Return datasets, ordered by the time they were made, then by id.

        Args:
            visibility: which; None for those of all users.
            limit: the maximum number of datasets; None for all.
            offset: how many datasets to skip first.
            name: only datasets with exactly this name. Case-sensitive, as is `prefix`.
            prefix: only datasets whose name begins with this text of at least one character.
            newest: only this many of those made last, before `offset` and `limit` are applied.
        """
        query = _WITH_COUNTS
        if visibility is not None:
            query = query.where(visible(visibility))
        if name is not None:
            query = query.where(datasets.c.name == name)
        if prefix is not None:
            after_all = prefix[:-1] + chr(ord(prefix[-1]) + 1)
            query = query.where(datasets.c.name >= prefix, datasets.c.name < after_all)
        if newest is not None:
            last = query.order_by(datasets.c.created_at.desc(), datasets.c.id.desc()).limit(min(newest, _MAX_ROWS))
            query = _WITH_COUNTS.where(datasets.c.id.in_(last.with_only_columns(datasets.c.id)))
        query = query.offset(min(offset, _MAX_ROWS))
        return await self._load(query if limit is None else query.limit(min(limit, _MAX_ROWS)))

    async def list_by_ids(self, visibility: Visibility | None, ids: Sequence[str]) -> Sequence[Dataset]:
        """Return the datasets with these ids that are visible, each once, as `list` does. Other ids are skipped."""
        found: dict[str, Dataset] = {}
        query = _WITH_COUNTS if visibility is None else _WITH_COUNTS.where(visible(visibility))
        for start in range(0, len(ids), MAX_IDS_PER_QUERY):
            some = await self._load(query.where(datasets.c.id.in_(ids[start : start + MAX_IDS_PER_QUERY])))
            found |= {dataset.id: dataset for dataset in some}
        return sorted(found.values(), key=lambda dataset: (dataset.created_at, dataset.id))

    async def list_children(self, visibility: Visibility | None, parent_id: str) -> Sequence[Dataset]:
        """Return the datasets that were made as children of this one and are visible, as `list` does."""
        query = _WITH_COUNTS.where(datasets.c.parent_id == parent_id)
        return await self._load(query if visibility is None else query.where(visible(visibility)))

    async def rename(self, dataset_id: str, name: str, entry: AuditEntry | None = None) -> bool:
        """Give a dataset another name. Return False if there is no such dataset.

        Raises:
            NameTakenError: the owner has another dataset with this name.
        """
        statement = update(datasets).where(datasets.c.id == dataset_id).values(name=name, modified_at=now_ms())
        try:
            return await self._changes_one(statement, entry)
        except exc.IntegrityError:
            raise _name_taken(name) from None

    async def touch(self, dataset_id: str) -> bool:
        """Record that a dataset was modified now. Return False if there is no such dataset."""
        return await self._changes_one(update(datasets).where(datasets.c.id == dataset_id).values(modified_at=now_ms()))

    async def delete(self, dataset_id: str, entry: AuditEntry | None = None) -> bool:
        """Delete a dataset with its datasources, secrets and watermark. Return False if there is no such dataset."""
        return await self._changes_one(delete(datasets).where(datasets.c.id == dataset_id), entry)

    async def set_watermark(
        self, dataset_id: str, seconds: int, now: int, entry: Callable[[int], AuditEntry | None] | None = None
    ) -> bool:
        """Set how far a dataset was processed. Return False if it has no datasource for raw samples.

        Args:
            dataset_id: the dataset.
            seconds: whole Unix seconds; may be less than before.
            now: the server's time in Unix seconds.
            entry: returns what the audit log says about it, if anything, when called with the watermark before.
        """

        def work(connection: Connection) -> bool:
            parameters = {"dataset_id": dataset_id, "seconds": seconds}
            before = connection.scalar(_LOCK_WATERMARK, parameters) or 0
            if connection.execute(_SET_WATERMARK, parameters).rowcount != 1:
                return False
            acknowledge_watermark(connection, dataset_id, seconds, now)
            record(connection, entry(before) if entry is not None else None)
            return True

        return await self._database.write(work)

    async def set_feed(
        self, dataset_id: str, feed: FeedMode | None, effective: FeedMode, entry: AuditEntry | None = None
    ) -> bool:
        """Choose how a dataset lists raw samples. Return False if there is no such dataset.

        Args:
            dataset_id: the dataset.
            feed: the mode; None to follow the setting of the server.
            effective: the mode that then holds. The index is dropped unless it is exact: listings by date promise
                nothing in it, so that it could not be used again.
        """

        def work(connection: Connection) -> bool:
            if connection.execute(update(datasets).where(datasets.c.id == dataset_id).values(feed=feed)).rowcount != 1:
                return False
            if effective is FeedMode.DATES:
                drop_feed(connection, dataset_id)
            record(connection, entry)
            return True

        return await self._database.write(work)

    async def _changes_one(self, statement: sa.Update | sa.Delete, entry: AuditEntry | None = None) -> bool:
        return await self._database.write(lambda connection: change_one(connection, statement, entry))

    async def _load(self, query: sa.Select[Any]) -> Sequence[Dataset]:
        ordered = query.order_by(datasets.c.created_at, datasets.c.id)
        return await self._database.read(lambda connection: [_dataset_of(row) for row in connection.execute(ordered)])

    async def progress(self, most: int) -> Sequence[ProgressRow]:
        """Return the progress of datasets: the oldest ones, at most `most`."""
        rows = await self._database.read(lambda connection: connection.execute(_PROGRESS, {"most": most}).all())
        return [ProgressRow(*row) for row in rows]


def _dataset_of(row: Row[Any]) -> Dataset:
    return Dataset(
        id=row.id,
        owner=row.owner,
        name=row.name,
        type=DatasetType(row.type),
        img_type=ImageType(row.img_type) if row.img_type is not None else None,
        creator=DatasetCreator(row.creator),
        parent_id=row.parent_id,
        include_all_files=row.every_file,
        watermark=row.watermark,
        created_at=row.created_at,
        modified_at=row.modified_at,
        n_samples=row.n_samples if row.n_rows is None else row.n_rows,
        size_in_bytes=row.size_in_bytes if row.n_bytes is None else row.n_bytes,
        feed=None if row.feed is None else FeedMode(row.feed),
        counted=row.n_rows is not None or row.n_samples > 0,
    )


def _row_of(dataset: Dataset) -> dict[str, Any]:
    return {
        "id": dataset.id,
        "owner": dataset.owner,
        "name": dataset.name,
        "type": dataset.type.value,
        "img_type": dataset.img_type.value if dataset.img_type is not None else None,
        "creator": dataset.creator.value,
        "parent_id": dataset.parent_id,
        "every_file": dataset.include_all_files,
        "watermark": dataset.watermark,
        "created_at": dataset.created_at,
        "modified_at": dataset.modified_at,
        "n_samples": dataset.n_samples,
        "size_in_bytes": dataset.size_in_bytes,
        "feed": dataset.feed,
    }


def _name_taken(name: str) -> NameTakenError:
    return NameTakenError(f"name: you already have a dataset named '{name}'; choose another name")
