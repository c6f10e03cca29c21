"""All encrypted secrets of a catalog: whether the keys fit them, and their encryption with another key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, func, select, text, update

from headwater.catalog.database import Database
from headwater.catalog.keyring import Keyring
from headwater.catalog.secret_key_file import KEY_SETTING
from headwater.catalog.tables import datasources
from headwater.domain.errors import HeadwaterError, KeyMissingError

_SECRETS_PER_KEY = 20
"""How many secrets are decrypted per key on opening. One that fails was altered; if all fail, the key is wrong."""

_SECRETS_PER_TRANSACTION = 200

_SECRET = datasources.c.secret
_STORED: Select[tuple[str, str, str]] = select(datasources.c.id, datasources.c.dataset_id, _SECRET).where(
    _SECRET.is_not(None)
)
_REPLACE = (
    update(datasources)
    .where(datasources.c.id == bindparam("datasource"), bindparam("before") == _SECRET)
    .values(secret=bindparam("after"))
)


class Reencrypted(NamedTuple):
    """What one transaction has done.

    Attributes:
        last: the id of the last datasource that was looked at; None if there are no more.
        seen: how many secrets were looked at.
        failed: the ids of the datasets with a secret that no key decrypts.
    """

    last: str | None
    seen: int
    failed: Sequence[str]


def check_keys(connection: Connection, keyring: Keyring) -> None:
    """Check that a keyring decrypts the secrets of a catalog, by some of them.

    Raises:
        KeyMissingError: a key is missing, or it is another one with the same id.
    """
    foreign = connection.execute(_with_other_keys(keyring.ids).limit(1)).first()
    if foreign is not None and keyring.decrypts(foreign.secret, foreign.dataset_id):
        # The keys were rotated since the key file was read, which has been read again.
        foreign = connection.execute(_with_other_keys(keyring.ids).limit(1)).first()
    if foreign is not None:
        key_id = foreign.secret.partition(":")[0]
        raise KeyMissingError(
            f"the catalog holds secrets encrypted with the key '{key_id}', which is not among this server's "
            f"keys ({', '.join(keyring.ids) or 'none'}): add it to {KEY_SETTING}, or restore the key file that belongs "
            f"to this catalog"
        )
    for key_id in keyring.ids:
        rows = connection.execute(_STORED.where(_starts_with(key_id)).limit(_SECRETS_PER_KEY)).all()
        if rows and not any(keyring.decrypts(row.secret, row.dataset_id) for row in rows):
            raise KeyMissingError(
                f"the key '{key_id}' does not decrypt the catalog's secrets: they were encrypted with another "
                f"key that has the same id. Correct {KEY_SETTING}, or restore the key file"
            )


class SecretCatalog:
    """The secrets of all datasources, encrypted."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def count_with_other_keys(self) -> int:
        """Return how many secrets are encrypted with another key than the first.

        This waits for transactions that store secrets: those that begin later use the first key of the key file.
        """

        def work(connection: Connection) -> int:
            if connection.dialect.name == "postgresql":  # in SQLite, no other transaction writes meanwhile
                connection.execute(text(f"LOCK TABLE {datasources.name} IN SHARE MODE"))
            query = select(func.count()).select_from(_with_other_keys(self._keyring.ids[:1]).subquery())
            return connection.execute(query).scalar_one()

        return await self._database.write(work, long=True)

    async def reencrypt_some(self, after: str) -> Reencrypted:
        """Encrypt secrets with the first key that were encrypted with another one: some, in one transaction.

        A secret that is replaced meanwhile stays as its writer has stored it.

        Args:
            after: the id of the datasource after which to continue; empty to begin.
        """
        query = _with_other_keys(self._keyring.ids[:1]).where(datasources.c.id > after).order_by(datasources.c.id)

        def work(connection: Connection) -> Reencrypted:
            rows = connection.execute(query.limit(_SECRETS_PER_TRANSACTION)).all()
            changes, failed = [], []
            for row in rows:
                try:
                    clear = self._keyring.decrypt(row.secret, row.dataset_id)
                except HeadwaterError:
                    failed.append(row.dataset_id)
                    continue
                encrypted = self._keyring.encrypt(clear, row.dataset_id)
                changes.append({"datasource": row.id, "before": row.secret, "after": encrypted})
            if changes:
                connection.execute(_REPLACE, changes)
            return Reencrypted(rows[-1].id if rows else None, len(rows), failed)

        return await self._database.write(work, long=True)


def _starts_with(key_id: str) -> Any:
    return func.substr(_SECRET, 1, len(key_id) + 1) == f"{key_id}:"


def _with_other_keys(ids: Sequence[str]) -> Select[tuple[str, str, str]]:
    """Select the secrets that are encrypted with none of these keys."""
    return _STORED.where(*(~_starts_with(key_id) for key_id in ids))
