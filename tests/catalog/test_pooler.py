"""A catalog behind PgBouncer: nothing is kept in a session, because the next transaction may run in another one."""

from __future__ import annotations

import asyncio
import time

import psycopg
import pytest

from headwater.catalog import database, postgres_database
from headwater.catalog.catalog import Catalog
from headwater.catalog.keyring import Keyring
from headwater.domain.dataset import NewDataset
from headwater.domain.errors import CatalogUnavailableError, StartupError
from tests.catalog.processes import KEYRING, start
from tests.catalog.values import add_user
from tests.postgresql import pooler

pytestmark = pytest.mark.slow


async def test_processes_migrate_and_write_concurrently(postgres_url: str) -> None:
    """The lock of a migration must be one of its transaction, and no process may see what another has prepared."""
    with pooler(postgres_url) as pooled:
        processes = [start("count", url, "40") for url in (pooled, pooled, postgres_url)]
        output = [await asyncio.to_thread(process.communicate) for process in processes]
        assert [each[0] for each in output] == ["counted\n"] * 3
        catalog = await Catalog.open(pooled, KEYRING)
        (dataset,) = await catalog.datasets.list(None)
        assert (await catalog.datasources.list(dataset.id))[0].config.full_path == "bucket/120"
        await catalog.close()


async def test_limits_apply_to_each_transaction_alone(
    postgres_url: str, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tuple(postgres_database._LIMITS_MS)

    def limits(connection):
        return [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]

    with psycopg.connect(postgres_url, autocommit=True) as operator:
        operator.execute(f"ALTER DATABASE {operator.info.dbname} SET statement_timeout = '50s'")
    with pooler(postgres_url, default_pool_size=1) as pooled:
        catalog = await Catalog.open(pooled, keyring)
        assert await catalog._database.read(limits) == ["8s", "50s", "1min"]
        assert await catalog._database.write(limits) == ["8s", "50s", "1min"]
        with psycopg.connect(pooled, autocommit=True) as other:
            assert [other.execute(f"SHOW {name}").fetchone() for name in names] == [("0",), ("50s",), ("0",)]
            assert other.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
        await catalog.close()


async def test_pooler_without_a_free_connection_does_not_starve_requests(
    postgres_url: str, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests waited 150 seconds."""
    with pooler(postgres_url) as pooled:
        catalog = await Catalog.open(pooled, keyring)
        dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
        monkeypatch.setattr(database, "WAIT_SECONDS", 1.0)
        with psycopg.connect(pooled) as first, psycopg.connect(pooled) as second:
            first.execute("SELECT 1")
            second.execute("SELECT 1")
            reads = [catalog.users.exists("ann") for _ in range(20)]
            writes = [catalog.datasets.rename(dataset.id, f"cats {number}") for number in range(20)]
            began = time.monotonic()
            results = await asyncio.gather(*reads, *writes, return_exceptions=True)
            assert {type(result) for result in results} == {CatalogUnavailableError}
            assert time.monotonic() - began < 3.0
        monkeypatch.undo()
        assert await catalog.datasets.rename(dataset.id, "dogs")
        await catalog.close()


async def test_pooler_that_runs_each_statement_elsewhere_is_refused(postgres_url: str, keyring: Keyring) -> None:
    with pooler(postgres_url, "statement") as pooled, pytest.raises(StartupError) as caught:
        await Catalog.open(pooled, keyring)
    assert "set pool_mode = transaction" in caught.value.message


async def test_options_of_the_url_are_refused_behind_a_pooler(postgres_url: str, keyring: Keyring) -> None:
    """PgBouncer can be told to leave them out: the tables would be made in another schema, or not be found."""
    advice = "ALTER ROLE … IN DATABASE … SET search_path"
    for ignored in ("", "options"):
        with pooler(postgres_url, ignore_startup_parameters=ignored) as pooled:
            with pytest.raises(StartupError) as caught:
                await Catalog.open(f"{pooled}?options=-csearch_path=headwater", keyring)
            assert advice in caught.value.message
    with psycopg.connect(postgres_url, autocommit=True) as operator:
        assert operator.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'users'").fetchone() == (0,)
        operator.execute("CREATE SCHEMA headwater")
        operator.execute(f"ALTER DATABASE {operator.info.dbname} SET search_path = headwater")
    with pooler(postgres_url) as pooled:
        catalog = await Catalog.open(pooled, keyring)
        await add_user(catalog, "ann")
        await catalog.close()
    with psycopg.connect(postgres_url) as operator:
        assert operator.execute("SELECT name FROM headwater.users").fetchall() == [("ann",)]


async def test_session_pooling_works_with_enough_connections(postgres_url: str, keyring: Keyring) -> None:
    with pooler(postgres_url, "session", default_pool_size=12) as pooled:
        catalog = await Catalog.open(pooled, keyring)
        await asyncio.gather(*(add_user(catalog, f"user {number}") for number in range(20)))
        assert all(await asyncio.gather(*(catalog.users.exists(f"user {number}") for number in range(20))))
        await catalog.close()
