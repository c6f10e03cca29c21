"""A catalog on each database: SQLite in an empty folder, PostgreSQL on a real server."""

from __future__ import annotations

import os
import tempfile
import uuid
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from headwater.catalog.catalog import Catalog
from headwater.catalog.keyring import Keyring
from headwater.catalog.tables import metadata
from tests.need import missing


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[str], str]]:
    """A PostgreSQL server of this test process, as a function that returns the URL of a database by its name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pgserver warns if XDG_RUNTIME_DIR is not set
        try:
            import pgserver

            server = pgserver.get_server(tempfile.mkdtemp(prefix="headwater-pg-"), cleanup_mode="delete")
        except Exception as error:  # anything can keep it from running here
            missing(f"PostgreSQL does not start on this machine: {error!r}")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri
    finally:
        server.cleanup()


@contextmanager
def postgres_database(uri_of: Callable[[str], str]) -> Iterator[str]:
    """Yield the URL of an empty database that exists during the block."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(uri_of("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield uri_of(name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(tmp_path) -> str:
    return f"sqlite:///{tmp_path}/data/catalog.sqlite3"


@pytest.fixture
def postgres_url(postgres) -> Iterator[str]:
    with postgres_database(postgres) as url:
        yield url


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
