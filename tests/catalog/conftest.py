"""A catalog on each database: SQLite in an empty folder, PostgreSQL on a real server."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from headwater.catalog.catalog import Catalog
from headwater.catalog.keyring import Keyring
from headwater.catalog.tables import metadata
from tests.servers import postgres_database


@pytest.fixture
def sqlite_url(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/data/catalog.sqlite3"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request) -> str:
    """The URL of an empty database, of each kind."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture
def keyring() -> Keyring:
    return Keyring([("test", os.urandom(32))])


@pytest.fixture(scope="session")
def shared_postgres_url(postgres) -> Iterator[str]:
    """A database for tests that do not need a new one: making a database takes longer than a test."""
    with postgres_database(postgres) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
async def catalog(request, keyring: Keyring) -> AsyncIterator[Catalog]:
    """An empty catalog, open, on each database."""
    shared = request.param == "postgresql"
    url = request.getfixturevalue("shared_postgres_url" if shared else "sqlite_url")
    opened = await Catalog.open(url, keyring)
    yield opened
    await opened.close()
    if shared:
        # A test that failed may have left a transaction open: fail instead of waiting for it.
        with psycopg.connect(url, options="-c lock_timeout=10s") as connection:
            connection.execute(f"TRUNCATE {', '.join(metadata.tables)}")
