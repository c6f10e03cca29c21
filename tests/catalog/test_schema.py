"""The migrations create the declared tables, and catalogs of other versions are upgraded or refused."""

import asyncio
import re
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from headwater.catalog.catalog import Catalog
from headwater.catalog.engine import parse_database_url
from headwater.catalog.schema import HEAD, MIGRATIONS
from headwater.catalog.tables import metadata
from headwater.domain.errors import StartupError
from headwater.domain.sharing import owned_by
from tests.catalog.feed.fed import Fed, several
from tests.catalog.values import add_user


async def with_database(url, work):
    database = parse_database_url(url)
    try:
        return await database.write(work)
    finally:
        await database.close()


async def execute(url, statement):
    await with_database(url, lambda connection: connection.exec_driver_sql(statement))


async def open_and_close(url, keyring):
    catalog = await Catalog.open(url, keyring)
    await catalog.close()


def test_head_is_the_newest_migration():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_migrations_create_the_declared_tables(url, keyring):
    await open_and_close(url, keyring)

    def compare(connection):
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    assert await with_database(url, compare) == []


async def test_migrations_write_the_sql_of_the_declared_tables(sqlite_url, keyring):
    """The comparison of Alembic ignores the names of constraints."""
    await open_and_close(sqlite_url, keyring)
    query = "SELECT name, sql FROM sqlite_master WHERE name != 'alembic_version' AND sql IS NOT NULL"
    migrated = await with_database(sqlite_url, lambda connection: set(connection.exec_driver_sql(query)))

    plain = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    with plain.begin() as connection:
        metadata.create_all(connection)
        assert {_words(row) for row in migrated} == {_words(row) for row in connection.exec_driver_sql(query)}
    plain.dispose()


def _words(row):
    # SQLAlchemy and Alembic order constraints differently, and SQLite adds new columns to the last line.
    head, _, body = row.sql.partition("(")
    parts = re.split(r",(?![^(]*\))", body.strip().removesuffix(")"))
    return row.name, " ".join(head.split()), frozenset(" ".join(part.split()) for part in parts)


async def test_catalog_of_the_first_version_is_upgraded_with_its_contents(url, keyring, monkeypatch):
    monkeypatch.setattr("alembic.command.upgrade", partial(_upgrade_to, "0001", command.upgrade))
    monkeypatch.setattr("headwater.catalog.schema.HEAD", "0001")
    monkeypatch.setattr("headwater.catalog.schema._missing", lambda _connection: [])
    await open_and_close(url, keyring)
    monkeypatch.undo()
    statements = (
        "INSERT INTO users VALUES ('ann', 1)",
        "INSERT INTO datasets VALUES ('a', 'ann', 'Cats', 'Images', NULL, 'UNKNOWN', NULL, true, 7, 1, 2)",
        "INSERT INTO datasets VALUES ('b', 'ann', 'cats', 'Crops', 'full', 'UNKNOWN', 'a', false, 0, 3, 4)",
        """INSERT INTO datasources VALUES ('c', 'a', 'INPUT', '{"type":"LOCAL","fullPath":"x"}', NULL)""",
    )
    for statement in statements:
        await execute(url, statement)

    catalog = await Catalog.open(url, keyring)
    first, second = await catalog.datasets.list(None)
    assert (first.id, first.name, first.include_all_files, first.watermark, first.modified_at) == (
        "a",
        "Cats",
        True,
        7,
        2,
    )
    assert (first.n_samples, first.size_in_bytes) == (0, 0)
    assert (second.id, second.img_type, second.parent_id) == ("b", "full", "a")
    assert await catalog.datasets.list_children(None, "a") == [second]
    assert [source.id for source in await catalog.datasources.list("a")] == ["c"]
    assert await catalog.datasets.list(owned_by("ann"), prefix="c") == [second]
    await Fed(catalog, "a", "c").list_all(several("xy", size=10))
    counted, _ = await catalog.datasets.list(None)
    assert (counted.n_samples, counted.size_in_bytes) == (2, 20)
    await catalog.close()


def _upgrade_to(version, upgrade, config, _head):
    upgrade(config, version)


async def test_list_by_prefix_uses_an_index(url, keyring):
    await open_and_close(url, keyring)

    def plan(connection):
        if connection.dialect.name == "sqlite":
            explain = "EXPLAIN QUERY PLAN"
        else:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            explain = "EXPLAIN"
        query = "SELECT id FROM datasets WHERE owner = 'ann' AND name >= 'ab' AND name < 'ac'"
        return str(connection.exec_driver_sql(f"{explain} {query}").all())

    found = await with_database(url, plan)
    condition = "owner=? AND name>? AND name<?" if url.startswith("sqlite") else "(name >= 'ab'::text) AND (name < 'ac'"
    assert condition in found
    assert "Filter" not in found


async def test_opening_again_changes_nothing(url, keyring):
    await open_and_close(url, keyring)
    await open_and_close(url, keyring)


async def test_newer_catalog_is_refused_with_its_version(url, keyring):
    await open_and_close(url, keyring)
    await execute(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StartupError, match=f"version 9999, and .* up to {HEAD} only.*Upgrade Headwater"):
        await Catalog.open(url, keyring)


def execute_outside(url, *statements):
    """Run statements as another program does. SQLite creates the file if there is none."""
    connection: Any
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(exist_ok=True)
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    else:
        connection = psycopg.connect(url, autocommit=True)
    for statement in statements:
        connection.execute(statement)
    connection.close()


async def refusal(url, keyring):
    with pytest.raises(StartupError) as caught:
        await Catalog.open(url, keyring)
    return caught.value.message


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE datasets (x INTEGER)"],
        ["CREATE TABLE alembic_version (version_num TEXT)", "CREATE TABLE songs (x INTEGER)"],
        [
            "CREATE TABLE alembic_version (version_num TEXT)",
            "INSERT INTO alembic_version VALUES ('ae1027a6acf')",
            "CREATE TABLE songs (x INTEGER)",
        ],
    ],
    ids=["a table", "an empty version", "another version"],
)
async def test_tables_of_another_program_are_refused(url, keyring, statements):
    """The tables of a catalog were made beside them, or a program with Alembic was called a newer Headwater."""
    execute_outside(url, *statements)
    message = await refusal(url, keyring)
    assert re.search(r"is not a catalog of Headwater: it holds the tables .*(datasets|songs)", message)
    assert "choose another database" in message
    execute_outside(url, "CREATE TABLE users (x INTEGER)")  # the failed attempt left nothing behind


async def test_file_without_tables_is_refused(sqlite_url, keyring):
    """A file of 0 bytes, what is left of a catalog on a full disk, was silently opened as a new catalog."""
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    file.parent.mkdir()
    file.touch()
    assert "is an empty file" in await refusal(sqlite_url, keyring)
    assert file.stat().st_size == 0
    execute_outside(sqlite_url, "PRAGMA journal_mode = WAL", "CREATE TABLE x (y)", "DROP TABLE x")
    assert "it has no tables" in await refusal(sqlite_url, keyring)
    file.unlink()
    await open_and_close(sqlite_url, keyring)


async def test_file_of_another_program_is_left_as_it_is(sqlite_url, keyring):
    """Its journal mode was changed before it was refused."""
    execute_outside(sqlite_url, "CREATE TABLE songs (x INTEGER)")
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    before = file.read_bytes()
    assert "it holds the tables songs" in await refusal(sqlite_url, keyring)
    assert file.read_bytes() == before
    assert [child.name for child in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("statement", "lacks"),
    [
        ("DROP TABLE datasources", "datasources"),
        ("DROP TABLE feed_rows", "feed_rows"),
        ("ALTER TABLE datasets DROP COLUMN watermark", "datasets.watermark"),
    ],
)
async def test_catalog_without_a_table_or_column_is_refused(url, keyring, statement, lacks):
    """The server started and said that it was ready."""
    await open_and_close(url, keyring)
    execute_outside(url, statement)
    message = await refusal(url, keyring)
    assert f"is damaged; it lacks {lacks}. " in message
    assert "restore a copy" in message


@pytest.mark.slow
async def test_schema_of_the_url_is_used_beside_tables_of_another_program(postgres_url, keyring):
    execute_outside(postgres_url, "CREATE SCHEMA headwater", "CREATE TABLE users (x INTEGER)")
    url = f"{postgres_url}{'&' if '?' in postgres_url else '?'}options=-csearch_path=headwater"
    catalog = await Catalog.open(url, keyring)
    await add_user(catalog, "ann")
    await catalog.ping()
    await catalog.close()
    await open_and_close(url, keyring)
    assert "is not a catalog of Headwater" in await refusal(postgres_url, keyring)


@pytest.mark.slow
async def test_postgresql_with_tables_in_another_schema_or_of_an_extension_is_empty(postgres_url, keyring):
    execute_outside(
        postgres_url,
        "CREATE SCHEMA other",
        "CREATE TABLE other.songs (x INTEGER)",
        "CREATE TABLE spatial_ref_sys (x INTEGER)",
        "ALTER EXTENSION plpgsql ADD TABLE spatial_ref_sys",
    )
    await open_and_close(postgres_url, keyring)


async def test_concurrent_opens_of_an_empty_database_create_it_once(url, keyring):
    catalogs = await asyncio.gather(*(Catalog.open(url, keyring) for _ in range(4)))
    await asyncio.gather(*(add_user(catalog, f"user {number}") for number, catalog in enumerate(catalogs)))
    assert all([await catalogs[0].users.exists(f"user {number}") for number in range(4)])
    for catalog in catalogs:
        await catalog.close()


@pytest.mark.slow
def test_concurrent_migrations_wait_for_each_other_on_postgresql(postgres_url, keyring):
    """Two servers that started concurrently both created the tables, and one of them failed."""
    from headwater.catalog.schema import _ADVISORY_LOCK

    async def run():
        with psycopg.connect(postgres_url) as other:
            other.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
            opening = asyncio.create_task(open_and_close(postgres_url, keyring))
            await asyncio.sleep(0.5)
            assert not opening.done()
        await opening

    asyncio.run(run())


async def test_current_catalog_opens_without_alembic(sqlite_url, keyring, tmp_path):
    """Importing Alembic took longer than the rest of the start."""
    await open_and_close(sqlite_url, keyring)
    program = (
        "import asyncio, os, sys\n"
        "from headwater.catalog.catalog import Catalog\n"
        "from headwater.catalog.keyring import Keyring\n"
        "async def main():\n"
        "    await (await Catalog.open(sys.argv[1], Keyring([('test', os.urandom(32))]))).close()\n"
        "asyncio.run(main())\n"
        "assert 'sqlalchemy' in sys.modules\n"
        "assert not {'alembic', 'psycopg', 'sqlalchemy.orm'} & set(sys.modules), 'imported at start'\n"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", program, sqlite_url], env=environment, check=True)
