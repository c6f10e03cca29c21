"""What must survive a restart: users, tokens, datasets, their datasources, secrets and watermarks.

Queries live here, decisions do not: where a rule is needed inside a transaction, the caller hands it in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy import Connection, Row, bindparam, delete, exc, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from headwater.catalog.engine import Database, database_of, reason_of
from headwater.catalog.keyring import SETTING, Keyring
from headwater.catalog.rows import (
    dataset_of,
    datasource_of,
    now_ms,
    row_of_dataset,
    row_of_datasource,
    token_of,
)
from headwater.catalog.schema import stored_version
from headwater.catalog.tables import datasets, datasources, tokens, users
from headwater.domain.dataset import Dataset, NewDataset
from headwater.domain.datasource import Datasource, Purpose
from headwater.domain.errors import CatalogUnavailableError, KeyMissingError, NameTakenError, StartupError
from headwater.domain.ids import new_id
from headwater.domain.purposes import Reconfigured
from headwater.domain.users import ApiToken

_KEY_SAMPLE = 20  # secrets that are tried with each key on opening; that one was altered does not mean a wrong key
_IDS_AT_ONCE = 5_000  # databases limit how many parameters a statement may have
_MOST_ROWS = 2**31 - 1  # the most that LIMIT and OFFSET may say

_token = select(tokens).where(tokens.c.digest == bindparam("digest"), tokens.c.revoked_at.is_(None))
_dataset = select(datasets).where(datasets.c.id == bindparam("dataset_id"))
_opened = (
    select(
        datasets,
        datasources.c.id.label("datasource_id"),
        datasources.c.dataset_id,
        datasources.c.purpose,
        datasources.c.config,
        datasources.c.secret,
    )
    .outerjoin(datasources)
    .where(datasets.c.id == bindparam("dataset_id"))
    .order_by(datasources.c.purpose)
)
_dataset_locked = select(datasets.c.id).where(datasets.c.id == bindparam("dataset_id")).with_for_update()
_sources = (
    select(datasources).where(datasources.c.dataset_id == bindparam("dataset_id")).order_by(datasources.c.purpose)
)
_source_ids = (
    select(datasources.c.dataset_id, datasources.c.id)
    .where(datasources.c.dataset_id.in_(bindparam("dataset_ids", expanding=True)))
    .order_by(datasources.c.dataset_id, datasources.c.purpose)
)
_has_input = sa.exists().where(
    datasources.c.dataset_id == datasets.c.id,
    datasources.c.purpose.in_((Purpose.INPUT_OUTPUT.value, Purpose.INPUT.value)),
)
_set_watermark = (
    update(datasets).where(datasets.c.id == bindparam("dataset_id"), _has_input).values(watermark=bindparam("seconds"))
)
_of_input = (
    update(datasets)
    .where(
        datasets.c.id == bindparam("dataset_id"),
        _has_input.where(datasources.c.id == bindparam("datasource_id")),
    )
    .values(counted_until=bindparam("end"))
)
_count_all = _of_input.where(
    sa.or_(
        datasets.c.counted_until.is_(None),
        datasets.c.counted_until <= bindparam("end"),
        datasets.c.counted_until > bindparam("now"),
    )
).values(n_samples=bindparam("samples"), size_in_bytes=bindparam("size"))
_count_more = _of_input.where(datasets.c.counted_until == bindparam("before")).values(
    n_samples=datasets.c.n_samples + bindparam("samples"),
    size_in_bytes=datasets.c.size_in_bytes + bindparam("size"),
)


class Catalog:
    """The catalog, open. Safe to use from many tasks at once, and beside other processes on the same database.

    What a writing method changed is on disk when it returns.

    Raises:
        CatalogUnavailableError: (from every method) the database is down, locked for too long, or full.
    """

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    @classmethod
    async def open(cls, url: str, keyring: Keyring) -> Self:
        """Open the catalog, make it where there is none, and bring its tables to the newest version.

        Args:
            url: `sqlite:///path` or `postgresql://…`.
            keyring: must hold every key that secrets in the catalog were encrypted with.

        Raises:
            StartupError: the database cannot be opened, a newer version wrote it, or a key is missing.
        """
        database = database_of(url)
        catalog = cls(database, keyring)
        try:
            await asyncio.to_thread(database.prepare)
            await database.read(catalog._check_keys)
        except (exc.SQLAlchemyError, OSError, CatalogUnavailableError) as error:
            await database.close()
            raise StartupError(f"catalog {database.name} cannot be opened: {reason_of(error)}") from error
        except BaseException:
            await database.close()
            raise
        return catalog

    async def close(self) -> None:
        """Close all connections. Nothing may be under way any more."""
        await self._database.close()

    async def ping(self) -> None:
        """Raise CatalogUnavailableError unless the catalog answers a query."""
        await self._database.read(stored_version)

    def _check_keys(self, connection: Connection) -> None:
        secret, ids = datasources.c.secret, self._keyring.ids
        of_key = {key_id: func.substr(secret, 1, len(key_id) + 1) == f"{key_id}:" for key_id in ids}
        columns = select(datasources.c.dataset_id, secret).where(secret.is_not(None)).limit(_KEY_SAMPLE)
        foreign = connection.execute(columns.where(*(~held for held in of_key.values()))).first()
        if foreign is not None:
            key_id = foreign.secret.partition(":")[0]
            raise KeyMissingError(
                f"the catalog holds secrets encrypted with the key '{key_id}', which is not among this server's "
                f"keys ({', '.join(ids)}): add it to {SETTING}, or restore the key file that belongs to this catalog"
            )
        for key_id, held in of_key.items():
            rows = connection.execute(columns.where(held)).all()
            if rows and not any(self._keyring.decrypts(row.secret, row.dataset_id) for row in rows):
                raise KeyMissingError(
                    f"the key '{key_id}' does not decrypt the catalog's secrets: it is another key than the one of "
                    f"that id that encrypted them. Correct {SETTING}, or restore the key file"
                )

    async def ensure_user(self, name: str) -> None:
        """Make the user where there is none."""
        await self._database.write(lambda connection: _ensure_user(connection, name))

    async def users(self) -> list[str]:
        """The names of all users, in order."""
        query = select(users.c.name).order_by(users.c.name)
        return await self._database.read(lambda connection: list(connection.execute(query).scalars()))

    async def has_user(self, name: str) -> bool:
        """Whether there is such a user."""
        query = select(users.c.name).where(users.c.name == name)
        return await self._database.read(lambda connection: connection.execute(query).first() is not None)

    async def add_token(self, user: str, admin: bool, digest: bytes) -> ApiToken:
        """Store a token's SHA-256. Makes the user where there is none."""
        token = ApiToken(id=new_id(), user=user, admin=admin, created_at=now_ms(), revoked_at=None)

        def work(connection: Connection) -> None:
            _ensure_user(connection, user)
            connection.execute(
                insert(tokens),
                {
                    "id": token.id,
                    "user": user,
                    "admin": admin,
                    "digest": digest,
                    "created_at": token.created_at,
                    "revoked_at": None,
                },
            )

        await self._database.write(work)
        return token

    async def tokens(self) -> list[ApiToken]:
        """All tokens, also revoked ones, in the order they were made."""
        query = select(tokens).order_by(tokens.c.created_at, tokens.c.id)
        return await self._database.read(lambda connection: [token_of(row) for row in connection.execute(query)])

    async def revoke_token(self, token_id: str) -> bool:
        """Make a token worthless at once. False if there is none; one revoked before keeps its time."""
        statement = (
            update(tokens)
            .where(tokens.c.id == token_id)
            .values(revoked_at=func.coalesce(tokens.c.revoked_at, now_ms()))
        )
        return await self._changes(statement)

    async def token(self, digest: bytes) -> ApiToken | None:
        """The token of this SHA-256; None if there is none or it was revoked."""

        def work(connection: Connection) -> ApiToken | None:
            row = connection.execute(_token, {"digest": digest}).first()
            return token_of(row) if row is not None else None

        return await self._database.read(work)

    async def add_dataset(self, owner: str, new: NewDataset) -> Dataset:
        """Make a dataset. Makes the owner where there is no such user.

        Raises:
            NameTakenError: the owner has a dataset of that name.
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
        )

        def work(connection: Connection) -> None:
            _ensure_user(connection, owner)
            try:
                connection.execute(insert(datasets), row_of_dataset(dataset))
            except exc.IntegrityError:
                raise _name_taken(new.name) from None

        await self._database.write(work)
        return dataset

    async def dataset(self, dataset_id: str) -> Dataset | None:
        """The dataset of this id."""

        def work(connection: Connection) -> Dataset | None:
            row = connection.execute(_dataset, {"dataset_id": dataset_id}).first()
            return dataset_of(row) if row is not None else None

        return await self._database.read(work)

    async def find_with_datasources(self, dataset_id: str) -> tuple[Dataset, Callable[[], list[Datasource]]] | None:
        """Return a dataset, and what decodes its datasources, in one query; None if there is no such dataset.

        The second raises HeadwaterError if a stored secret cannot be decrypted. It does no I/O.
        """

        def work(connection: Connection) -> Sequence[Row[Any]]:
            return connection.execute(_opened, {"dataset_id": dataset_id}).all()

        rows = await self._database.read(work)
        if not rows:
            return None

        def load_datasources() -> list[Datasource]:
            found = (row for row in rows if row.datasource_id is not None)
            return [datasource_of(self._keyring, row, row.datasource_id) for row in found]

        return dataset_of(rows[0]), load_datasources

    async def datasets(
        self,
        owner: str | None,
        limit: int | None = None,
        offset: int = 0,
        *,
        name: str | None = None,
        prefix: str | None = None,
        newest: int | None = None,
    ) -> list[Dataset]:
        """One user's datasets, or everyone's, by the time they were made, then by id.

        Args:
            owner: None for everyone's.
            limit: at most so many; None for all.
            offset: how many to leave out at the beginning.
            name: only those of exactly this name. Letter case counts, here as in `prefix`.
            prefix: only those whose name begins with this, which is at least one character.
            newest: only so many of those made last, before `offset` and `limit` are looked at.
        """
        query = _of_owner(select(datasets), owner)
        if name is not None:
            query = query.where(datasets.c.name == name)
        if prefix is not None:
            after_all = prefix[:-1] + chr(ord(prefix[-1]) + 1)
            query = query.where(datasets.c.name >= prefix, datasets.c.name < after_all)
        if newest is not None:
            last = query.order_by(datasets.c.created_at.desc(), datasets.c.id.desc()).limit(min(newest, _MOST_ROWS))
            query = select(datasets).where(datasets.c.id.in_(last.with_only_columns(datasets.c.id)))
        query = query.offset(min(offset, _MOST_ROWS))
        return await self._datasets(query if limit is None else query.limit(min(limit, _MOST_ROWS)))

    async def datasets_of_ids(self, ids: Sequence[str]) -> list[Dataset]:
        """Those of these datasets that there are, each once, in the order of `datasets`."""
        found: list[Dataset] = []
        for start in range(0, len(ids), _IDS_AT_ONCE):
            found += await self._datasets(select(datasets).where(datasets.c.id.in_(ids[start : start + _IDS_AT_ONCE])))
        once = {dataset.id: dataset for dataset in found}
        return sorted(once.values(), key=lambda dataset: (dataset.created_at, dataset.id))

    async def children(self, parent_id: str) -> list[Dataset]:
        """The datasets that were made as children of this one, in the order of `datasets`."""
        return await self._datasets(select(datasets).where(datasets.c.parent_id == parent_id))

    async def rename_dataset(self, dataset_id: str, name: str) -> bool:
        """Give a dataset another name. False if there is no such dataset.

        Raises:
            NameTakenError: the owner has another dataset of that name.
        """
        statement = update(datasets).where(datasets.c.id == dataset_id).values(name=name, modified_at=now_ms())
        try:
            return await self._changes(statement)
        except exc.IntegrityError:
            raise _name_taken(name) from None

    async def touch_dataset(self, dataset_id: str) -> bool:
        """Say that a dataset was modified now. False if there is no such dataset."""
        return await self._changes(update(datasets).where(datasets.c.id == dataset_id).values(modified_at=now_ms()))

    async def delete_dataset(self, dataset_id: str) -> bool:
        """Remove a dataset with its datasources, secrets and watermark. False if there is none."""
        return await self._changes(delete(datasets).where(datasets.c.id == dataset_id))

    async def datasources(self, dataset_id: str) -> list[Datasource]:
        """The datasources of a dataset, secrets decrypted."""
        return await self._database.read(lambda connection: self._datasources(connection, dataset_id))

    async def datasource_ids(self, dataset_ids: Sequence[str]) -> dict[str, list[str]]:
        """The ids of the datasources of each of these datasets; an empty list where there are none."""
        found: dict[str, list[str]] = {dataset_id: [] for dataset_id in dataset_ids}

        def work(connection: Connection) -> list[Any]:
            rows: list[Any] = []
            for start in range(0, len(dataset_ids), _IDS_AT_ONCE):
                some = dataset_ids[start : start + _IDS_AT_ONCE]
                rows += connection.execute(_source_ids, {"dataset_ids": some})
            return rows

        for row in await self._database.read(work):
            found[row.dataset_id].append(row.id)
        return found

    async def change_datasources(
        self, dataset_id: str, decide: Callable[[Sequence[Datasource]], Reconfigured]
    ) -> Reconfigured | None:
        """Read a dataset's datasources and store in their place what `decide` makes of them, in one transaction.

        Where the input moved, the watermark is 0 again (contract.md#watermark), and nothing is counted. All secrets
        that are stored are encrypted with the first key.

        Args:
            dataset_id: the dataset.
            decide: pure; an error that it raises changes nothing and passes through. Runs in a thread.

        Returns:
            What `decide` made of them; None if there is no such dataset.
        """

        def work(connection: Connection) -> Reconfigured | None:
            if connection.execute(_dataset_locked, {"dataset_id": dataset_id}).first() is None:
                return None
            decided = decide(self._datasources(connection, dataset_id, lost_as_mask=True))
            after, input_moved = decided
            connection.execute(delete(datasources).where(datasources.c.dataset_id == dataset_id))
            if after:
                rows = [row_of_datasource(self._keyring, dataset_id, datasource) for datasource in after]
                connection.execute(insert(datasources), rows)
            changed: dict[str, int | None] = {"modified_at": now_ms()}
            if input_moved:
                changed |= {"watermark": 0, "n_samples": 0, "size_in_bytes": 0, "counted_until": None}
            connection.execute(update(datasets).where(datasets.c.id == dataset_id).values(**changed))
            return decided

        return await self._database.write(work)

    async def set_watermark(self, dataset_id: str, seconds: int) -> bool:
        """Set how far a dataset was processed. False if the dataset has no datasource for raw samples.

        Args:
            dataset_id: the dataset.
            seconds: whole Unix seconds; may be less than before.
        """
        parameters = {"dataset_id": dataset_id, "seconds": seconds}
        return await self._database.write(
            lambda connection: connection.execute(_set_watermark, parameters).rowcount == 1
        )

    async def count_samples(
        self, dataset_id: str, datasource_id: str, start: int, end: int, samples: int, size: int
    ) -> None:
        """Keep what a listing of raw samples has counted, once all of its window was listed (contract.md#datasets).

        A window from 0 on counts anew, unless one that reached further was counted already. One that begins a second
        after what was counted adds to it. Any other changes nothing, and neither does the same one again, nor one
        of a datasource that is not the dataset's input any more. When a dataset was modified stays as it is.

        Args:
            dataset_id: the dataset.
            datasource_id: the input that was listed.
            start: the first second of the window.
            end: its last second. A count that reaches into the future gives way to the next from 0.
            samples: how many there were.
            size: how many bytes they have together.
        """
        if end < start:
            return
        counted = {
            "dataset_id": dataset_id,
            "datasource_id": datasource_id,
            "end": end,
            "samples": samples,
            "size": size,
        }

        def work(connection: Connection) -> None:
            if start == 0:
                connection.execute(_count_all, {**counted, "now": now_ms() // 1000})
            else:
                connection.execute(_count_more, {**counted, "before": start - 1})

        await self._database.write(work)

    async def _changes(self, statement: sa.Update | sa.Delete) -> bool:
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def _datasets(self, query: sa.Select[Any]) -> list[Dataset]:
        ordered = query.order_by(datasets.c.created_at, datasets.c.id)
        return await self._database.read(lambda connection: [dataset_of(row) for row in connection.execute(ordered)])

    def _datasources(self, connection: Connection, dataset_id: str, *, lost_as_mask: bool = False) -> list[Datasource]:
        rows = connection.execute(_sources, {"dataset_id": dataset_id})
        return [datasource_of(self._keyring, row, row.id, lost_as_mask=lost_as_mask) for row in rows]


def _ensure_user(connection: Connection, name: str) -> None:
    # Both databases have ON CONFLICT DO NOTHING; SQLAlchemy has a construct for each.
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(users).values(name=name, created_at=now_ms()).on_conflict_do_nothing()
    connection.execute(statement)


def _of_owner(query: sa.Select[Any], owner: str | None) -> sa.Select[Any]:
    return query if owner is None else query.where(datasets.c.owner == owner)


def _name_taken(name: str) -> NameTakenError:
    return NameTakenError(f"name: you already have a dataset named '{name}'; choose another name")
