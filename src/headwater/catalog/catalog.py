"""The catalog: what must survive a restart, in one database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from sqlalchemy import exc

from headwater.catalog.audit import AuditCatalog
from headwater.catalog.database import Database, describe_error, is_damage, is_temporary
from headwater.catalog.datasets import DatasetCatalog
from headwater.catalog.datasources import DatasourceCatalog
from headwater.catalog.engine import parse_database_url
from headwater.catalog.feed.feeds import FeedCatalog
from headwater.catalog.keyring import Keyring
from headwater.catalog.schema import check_current, check_in_use
from headwater.catalog.shares import ShareCatalog
from headwater.catalog.stored_secrets import SecretCatalog, check_keys
from headwater.catalog.tokens import TokenCatalog
from headwater.catalog.users import UserCatalog
from headwater.domain.errors import (
    CatalogDamagedError,
    CatalogMissingError,
    CatalogUnavailableError,
    StartupError,
)


class Catalog:
    """The open catalog, with one attribute for each kind of thing that it stores.

    It can be used by many tasks concurrently, and by several processes on the same database. What a method has
    changed is on disk when the method returns. Queries live here; decisions do not: a rule that must hold within a
    transaction is passed in by the caller.

    Raises:
        CatalogUnavailableError: (from every method of the attributes) the database is down, full, or was locked for
            too long.
    """

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self.name = database.name
        self.users = UserCatalog(database)
        self.tokens = TokenCatalog(database)
        self.datasets = DatasetCatalog(database, keyring)
        self.shares = ShareCatalog(database)
        self.datasources = DatasourceCatalog(database, keyring)
        self.feed = FeedCatalog(database)
        self.audit = AuditCatalog(database)
        self.secrets = SecretCatalog(database, keyring)

    @classmethod
    async def open(cls, url: str, keyring: Keyring) -> Self:
        """Open the catalog. Create it if there is none, and upgrade its tables to the newest version.

        Args:
            url: `sqlite:///path` or `postgresql://…`.
            keyring: must hold every key that secrets in the catalog were encrypted with.

        Raises:
            CatalogUnavailableError: it cannot be opened at present: it is locked or does not respond.
            StartupError: the database cannot be opened, a newer version wrote it, or a key is missing.
        """
        database = parse_database_url(url)
        catalog = cls(database, keyring)
        try:
            with explained(database, "cannot be opened"):
                await database.prepare()
                await database.read(lambda connection: check_keys(connection, keyring))
        except BaseException:
            await database.close()
            raise
        return catalog

    @staticmethod
    async def check_exists(url: str) -> None:
        """Check that there is a catalog, and that it needs no upgrade. Changes and creates nothing.

        Raises:
            CatalogMissingError: there is none.
            CatalogUnavailableError: as `open`.
            StartupError: the database cannot be opened, or its tables have another version.
        """
        database = parse_database_url(url)
        try:
            with explained(database, "cannot be opened"):
                stored = await database.version()
        finally:
            await database.close()
        if stored is None:
            raise CatalogMissingError(f"there is no catalog at {database.name}")
        check_current(stored)

    async def close(self) -> None:
        """Close all connections. No call may be in flight."""
        await self._database.close()

    async def ping(self) -> None:
        """Raise CatalogUnavailableError unless the catalog answers, and is the whole one that was opened."""
        await self._database.read(check_in_use)
        await self._database.check_writes()
        await self._keyring.check_in_time()


@contextmanager
def explained(database: Database, what: str) -> Iterator[None]:
    """Let errors of the database in this block say what cannot be done.

    Raises:
        CatalogUnavailableError: it cannot be done at present.
        StartupError: it cannot be done.
    """
    try:
        yield
    except (exc.SQLAlchemyError, OSError, CatalogUnavailableError) as error:
        message = f"catalog {database.name} {what}: {describe_error(error)}"
        if isinstance(error, CatalogDamagedError) or is_damage(error):
            message += ". The file is damaged, or no catalog: stop its servers and restore a copy of the catalog"
        elif is_temporary(error):
            raise CatalogUnavailableError(f"{message}. Try again shortly") from None
        raise StartupError(message) from error
