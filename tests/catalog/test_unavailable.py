"""A database that is locked, full or down is a 503 with `retry_after`, and works again once it is back."""

import asyncio
import sqlite3
import time
from pathlib import Path

import psycopg
import pytest

from headwater.catalog import database, postgres_database
from headwater.catalog.catalog import Catalog
from headwater.cli.output import EXIT_UNAVAILABLE, exit_code_of, text_of
from headwater.domain.dataset import NewDataset
from headwater.domain.errors import CatalogUnavailableError
from headwater.domain.sharing import owned_by
from tests.catalog.feed.fed import make_fed
from tests.catalog.processes import KEYRING, start
from tests.catalog.values import add_user
from tests.servers import stopped


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
    assert text_of(caught.value).endswith("(database is locked)"), "the operator at the shell is told the cause"
    assert await catalog.users.exists("ann"), "readers do not wait for writers"
    other.execute("ROLLBACK")
    other.close()
    await add_user(catalog, "bob")
    assert await catalog.users.exists("bob")
    await catalog.close()


@pytest.fixture
def locked(tmp_path, sqlite_url, keyring):
    """Hold the write lock of a catalog, as another process does."""
    asyncio.run(_open_and_close(sqlite_url, keyring))
    other = sqlite3.connect(tmp_path / "data" / "catalog.sqlite3", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


async def _open_and_close(url, keyring):
    await (await Catalog.open(url, keyring)).close()


async def _seconds(attempt):
    """Return how long an attempt takes that fails."""
    began = time.monotonic()
    with pytest.raises(CatalogUnavailableError, match="try again"):
        await attempt
    return time.monotonic() - began


async def test_writers_do_not_wait_for_each_other_to_give_up(sqlite_url, keyring, monkeypatch, locked):
    """There is one thread for writes: with a lock that stays, writers waited 10, 20, 30 … seconds."""
    catalog = await Catalog.open(sqlite_url, keyring)
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.4)
    waited = await asyncio.gather(*(_seconds(add_user(catalog, f"user {number}")) for number in range(20)))
    assert min(waited) > 0.3
    assert max(waited) < 1.5
    locked.execute("ROLLBACK")
    await add_user(catalog, "ann")
    assert await catalog.users.list() == ["ann"], "what was refused is not written later"
    await catalog.close()


async def test_all_writes_of_a_request_wait_together(sqlite_url, keyring, monkeypatch, locked):
    """A request with several writes waited for the lock with each of them."""
    catalog = await Catalog.open(sqlite_url, keyring)
    monkeypatch.setattr(database, "WAIT_SECONDS", 1.0)
    with database.limit_waits():
        releasing = asyncio.create_task(_release(locked, after=0.7))
        await add_user(catalog, "ann")
        await releasing
        locked.execute("BEGIN IMMEDIATE")
        assert await _seconds(add_user(catalog, "bob")) < 0.6
        assert await _seconds(add_user(catalog, "bob")) < 0.2, "no time is left"
    assert await _seconds(add_user(catalog, "bob")) > 0.8, "another request has its own time"
    await catalog.close()


async def _release(connection, after):
    await asyncio.sleep(after)
    connection.execute("ROLLBACK")


async def test_long_work_does_not_use_up_the_time_of_a_request(sqlite_url, keyring, monkeypatch):
    catalog = await Catalog.open(sqlite_url, keyring)
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.3)
    with database.limit_waits():
        for _ in range(2):
            await catalog._database.write(lambda _connection: time.sleep(0.5))
        await add_user(catalog, "ann")
    await catalog.close()


async def test_removal_of_rows_has_its_own_time(sqlite_url, keyring, monkeypatch, locked):
    """It goes on in the background after the request that has started it, which may have had to wait itself."""
    catalog = await Catalog.open(sqlite_url, keyring)
    started = await (await _unlocked_feed(catalog, locked)).begin()
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.3)
    with database.limit_waits():
        locked.execute("BEGIN IMMEDIATE")
        await _seconds(add_user(catalog, "ann"))
        locked.execute("ROLLBACK")
        await _seconds(add_user(catalog, "ann"))
        await catalog.feed.remove_unseen(started.listing)
    await catalog.close()


async def _unlocked_feed(catalog, locked):
    locked.execute("ROLLBACK")
    return await make_fed(catalog)


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
    assert "not ready" in output.splitlines(), "/readyz said ready while each write was refused"
    assert "ready again" in output.splitlines()
    catalog = await Catalog.open(sqlite_url, KEYRING)
    assert sorted(dataset.id for dataset in await catalog.datasets.list(owned_by("ann"))) == sorted(acknowledged)
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


@pytest.fixture
def postmaster(postgres):
    """The id of the process of the server that has started the others."""
    with psycopg.connect(postgres("postgres"), autocommit=True) as connection:
        ((folder,),) = connection.execute("SHOW data_directory").fetchall()
    return int(Path(folder, "postmaster.pid").read_text().split()[0])


@pytest.mark.slow
async def test_postgresql_that_hangs_is_unavailable_until_it_goes_on(postgres_url, keyring, postmaster, monkeypatch):
    """No setting limits how long a statement waits for a server that does not respond: there was no answer."""
    catalog = await Catalog.open(postgres_url, keyring)
    await asyncio.gather(*(add_user(catalog, f"user {number}") for number in range(3)))
    await asyncio.gather(*(catalog.ping() for number in range(3)))
    monkeypatch.setattr(database, "WAIT_SECONDS", 1.0)
    with stopped(postmaster):
        reads = [_seconds(catalog.ping()) for _ in range(20)]
        writes = [_seconds(add_user(catalog, f"late user {number}")) for number in range(20)]
        waited = await asyncio.gather(*reads, *writes)
        assert min(waited) > 0.9
        assert max(waited) < 3.0
    monkeypatch.undo()
    await catalog.ping()
    await add_user(catalog, "ann")
    assert set(await catalog.users.list()) >= {"ann", "user 0", "user 1", "user 2"}
    await catalog.close()


@pytest.mark.slow
async def test_request_waits_once_for_a_postgresql_that_hangs(postgres_url, keyring, postmaster, monkeypatch):
    """After a write that was given up, the request tries to take back a promise: that took as long again."""
    catalog = await Catalog.open(postgres_url, keyring)
    await add_user(catalog, "ann")
    monkeypatch.setattr(database, "WAIT_SECONDS", 1.0)
    with stopped(postmaster), database.limit_waits():
        assert await _seconds(add_user(catalog, "bob")) < 2.5
        assert await _seconds(add_user(catalog, "bob")) < 0.3
    await catalog.close()


@pytest.mark.slow
async def test_start_does_not_wait_for_a_postgresql_that_hangs(postgres_url, keyring, postmaster, monkeypatch):
    await (await Catalog.open(postgres_url, keyring)).close()
    monkeypatch.setattr(database, "WAIT_SECONDS", 1.0)
    monkeypatch.setitem(postgres_database._TIMEOUTS, "connect_timeout", "2")
    with stopped(postmaster), pytest.raises(CatalogUnavailableError, match=r"does not respond|timeout") as caught:
        await Catalog.open(postgres_url, keyring)
    assert exit_code_of(caught.value) == EXIT_UNAVAILABLE


@pytest.mark.slow
async def test_lock_that_another_session_holds_is_given_up(postgres_url, keyring, monkeypatch):
    monkeypatch.setitem(postgres_database._LIMITS_MS, "lock_timeout", 300)
    catalog = await Catalog.open(postgres_url, keyring)
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT * FROM datasets FOR UPDATE")
        assert await _seconds(catalog.datasets.rename(dataset.id, "dogs")) < 2
    assert await catalog.datasets.rename(dataset.id, "dogs")
    await catalog.close()


@pytest.mark.slow
async def test_locked_tables_at_the_start_are_temporary(postgres_url, keyring, monkeypatch):
    """Commands ended with 6, and the error repeated a line of SQL."""
    await (await Catalog.open(postgres_url, keyring)).close()
    monkeypatch.setitem(postgres_database._LIMITS_MS, "lock_timeout", 300)
    with psycopg.connect(postgres_url) as other:
        other.execute("LOCK TABLE alembic_version")
        with pytest.raises(CatalogUnavailableError, match="canceling statement due to lock timeout") as caught:
            await Catalog.check_exists(postgres_url)
    assert exit_code_of(caught.value) == EXIT_UNAVAILABLE
    assert "\n" not in caught.value.message
    assert "LINE" not in caught.value.message


@pytest.mark.slow
async def test_limits_of_the_url_are_kept_and_long_work_is_not_cut(postgres_url, keyring, monkeypatch):
    url = f"{postgres_url}{'&' if '?' in postgres_url else '?'}options=-c%20lock_timeout%3D7s"
    catalog = await Catalog.open(url, keyring)
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")

    def limits(connection):
        return [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]

    assert await catalog._database.read(limits) == ["7s", "1min", "1min"]
    assert await catalog._database.write(limits) == ["7s", "1min", "1min"]
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.5)
    sleep = "SELECT pg_sleep(1)"
    await catalog._database.write(lambda connection: connection.exec_driver_sql(sleep).all(), long=True)
    with pytest.raises(CatalogUnavailableError):
        await catalog._database.write(lambda connection: connection.exec_driver_sql(sleep).all())
    await catalog.close()


@pytest.mark.slow
async def test_all_units_of_a_request_on_postgresql_wait_together(postgres_url, keyring, monkeypatch):
    """Only those that failed were counted: a request waited as long as it liked for a server that was slow."""
    catalog = await Catalog.open(postgres_url, keyring)
    monkeypatch.setattr(database, "WAIT_SECONDS", 1.0)

    def sleep(connection):
        connection.exec_driver_sql("SELECT pg_sleep(0.6)").all()

    with database.limit_waits():
        await catalog._database.read(sleep)
        assert await _seconds(catalog._database.write(sleep)) < 1.2
        assert await _seconds(catalog.ping()) < 0.3, "no time is left"
    with database.limit_waits():
        for _ in range(2):
            await catalog._database.write(sleep, long=True)  # rows that are deleted: their number decides, not waiting
        await catalog.ping()
    await catalog.close()
