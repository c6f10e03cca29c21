"""A database that is locked, full or down is a 503 with `retry_after`, and works again once it is back."""

import asyncio
import sqlite3

import psycopg
import pytest

from headwater.catalog import database
from headwater.catalog.catalog import Catalog
from headwater.domain.dataset import NewDataset
from headwater.domain.errors import CatalogUnavailableError
from tests.catalog.processes import KEYRING, start
from tests.catalog.values import add_user


def test_error_is_a_503_with_retry_after():
    error = CatalogUnavailableError("x")
    assert (error.status, error.code, error.retry_after) == (503, "MALFORMED_RESPONSE", 5)


async def test_locked_sqlite_is_unavailable_for_writes(tmp_path, sqlite_url, keyring, monkeypatch):
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.2)
    catalog = await Catalog.open(sqlite_url, keyring)
    await add_user(catalog, "ann")
    other = sqlite3.connect(tmp_path / "data" / "catalog.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(CatalogUnavailableError, match="try again") as caught:
        await add_user(catalog, "bob")
    assert "locked" not in caught.value.message
    assert await catalog.users.exists("ann"), "readers do not wait for writers"
    other.execute("ROLLBACK")
    other.close()
    await add_user(catalog, "bob")
    assert await catalog.users.exists("bob")
    await catalog.close()


async def test_sqlite_waits_for_a_writer_in_another_process(tmp_path, sqlite_url, keyring):
    catalog = await Catalog.open(sqlite_url, keyring)
    other = sqlite3.connect(tmp_path / "data" / "catalog.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(add_user(catalog, "ann"))
    await asyncio.sleep(0.4)
    assert not writing.done()
    other.execute("COMMIT")
    other.close()
    await writing
    await catalog.close()


async def test_opening_waits_for_a_writer_in_another_process(tmp_path, sqlite_url, keyring):
    """SQLite does not wait for a lock when it sets the journal mode: a second server did not start."""
    await (await Catalog.open(sqlite_url, keyring)).close()
    other = sqlite3.connect(tmp_path / "data" / "catalog.sqlite3", isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN IMMEDIATE")
    opening = asyncio.create_task(Catalog.open(sqlite_url, keyring))
    await asyncio.sleep(0.3)
    assert not opening.done()
    other.execute("COMMIT")
    other.close()
    await (await opening).close()


async def test_full_disk_refuses_writes_and_keeps_what_was_acknowledged(sqlite_url):
    output, _ = start("fill", sqlite_url).communicate()
    lines = [line.split() for line in output.splitlines()]
    acknowledged = [words[1] for words in lines if words[0] == "dataset"]
    refused = int(lines[-1][1])
    assert refused >= 3
    assert len(acknowledged) == 200 - refused
    catalog = await Catalog.open(sqlite_url, KEYRING)
    assert sorted(dataset.id for dataset in await catalog.datasets.list("ann")) == sorted(acknowledged)
    await catalog.close()


@pytest.fixture
def operator(postgres, postgres_url):
    """A connection to the server that can close the database to others, and the name of the database."""
    with psycopg.connect(postgres("postgres"), autocommit=True) as connection:
        yield connection, psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]


def disconnect(operator):
    connection, name = operator
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    return len(connection.execute(query, [name]).fetchall())


@pytest.mark.slow
async def test_restart_of_postgresql_goes_unnoticed(postgres_url, keyring, operator):
    catalog = await Catalog.open(postgres_url, keyring)
    await asyncio.gather(*(add_user(catalog, f"user {number}") for number in range(3)))
    for _ in range(3):
        assert all(await asyncio.gather(*(catalog.users.exists(f"user {number}") for number in range(3))))
        assert disconnect(operator) > 0
    await add_user(catalog, "ann")
    assert await catalog.users.exists("ann")
    await catalog.close()


@pytest.mark.slow
async def test_postgresql_is_unavailable_until_it_is_back(postgres_url, keyring, operator):
    catalog = await Catalog.open(postgres_url, keyring)
    await add_user(catalog, "ann")
    connection, name = operator
    connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    disconnect(operator)
    for attempt in (
        catalog.ping(),
        catalog.users.exists("ann"),
        add_user(catalog, "bob"),
        catalog.datasets.add("ann", NewDataset(name="cats")),
    ):
        with pytest.raises(CatalogUnavailableError, match="try again"):
            await attempt
    connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await catalog.ping()
    await add_user(catalog, "bob")
    assert await catalog.datasets.list(None) == []
    await catalog.close()
