"""Errors of a catalog that cannot be opened say why and what to do, and never show a password."""

import os
import socket
import sqlite3
import stat
import sys
import traceback

import pytest

from headwater.catalog import database, postgres_database, sqlite_database
from headwater.catalog.catalog import Catalog
from headwater.catalog.engine import parse_database_url
from headwater.catalog.keyring import Keyring
from headwater.cli.output import EXIT_UNAVAILABLE, exit_code_of
from headwater.domain.dataset import NewDataset
from headwater.domain.errors import CatalogUnavailableError, StartupError
from tests.catalog.processes import start
from tests.catalog.values import add_user, config, put
from tests.need import unprivileged
from tests.servers import free_port

PASSWORD = "pass-word-of-the-test"


async def refusal(url: str, keyring: Keyring, kind: type[StartupError | CatalogUnavailableError] = StartupError) -> str:
    with pytest.raises(kind) as caught:
        await Catalog.open(url, keyring)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    return caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "",
        "catalog.sqlite3",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        f"mysql://user:{PASSWORD}@host/name",
        f"postgresql+asyncpg://user:{PASSWORD}@host/name",
        f"postgresql+psycopg2://user:{PASSWORD}@host/name",
    ],
)
async def test_url_of_no_database_is_refused(url, keyring):
    assert "HEADWATER_DATABASE_URL: expected sqlite:///" in await refusal(url, keyring)


@pytest.mark.slow
async def test_other_schemes_of_postgresql_open_the_same_catalog(postgres_url, keyring):
    first = await Catalog.open(postgres_url, keyring)
    await add_user(first, "ann")
    await first.close()
    for scheme in ("postgresql+psycopg://", "postgres://"):
        catalog = await Catalog.open(postgres_url.replace("postgresql://", scheme), keyring)
        assert await catalog.users.exists("ann")
        await catalog.close()


async def test_file_that_is_not_a_database_is_refused(tmp_path, keyring):
    path = tmp_path / "catalog.sqlite3"
    path.write_bytes(b"not a database, but long enough to be looked at as one" * 30)
    message = await refusal(f"sqlite:///{path}", keyring)
    assert message.startswith(f"catalog {path} cannot be opened: file is not a database. ")
    assert "restore a copy" in message


@pytest.mark.parametrize("checked_bytes", [sqlite_database._CHECKED_BYTES, 0], ids=["small", "large"])
async def test_malformed_file_is_refused(tmp_path, keyring, monkeypatch, checked_bytes):
    """Commands and servers opened a damaged catalog, and called each error that followed temporary."""
    monkeypatch.setattr(sqlite_database, "_CHECKED_BYTES", checked_bytes)
    path = tmp_path / "catalog.sqlite3"
    await (await Catalog.open(f"sqlite:///{path}", keyring)).close()
    await (await Catalog.open(f"sqlite:///{path}", keyring)).close()
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xd7" * 4096 * 4)
    message = await refusal(f"sqlite:///{path}", keyring)
    assert message.startswith(f"catalog {path} cannot be opened: database disk image is malformed")
    assert "restore a copy" in message


async def test_locked_catalog_at_the_start_is_temporary(tmp_path, keyring, monkeypatch):
    """It was an error of the settings: a supervisor would not have tried again."""
    path = tmp_path / "catalog.sqlite3"
    await (await Catalog.open(f"sqlite:///{path}", keyring)).close()
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(CatalogUnavailableError, match=f"catalog {path} cannot be opened: database is locked") as caught:
        await Catalog.open(f"sqlite:///{path}", keyring)
    assert exit_code_of(caught.value) == EXIT_UNAVAILABLE
    other.close()
    await (await Catalog.open(f"sqlite:///{path}", keyring)).close()


async def test_folder_that_cannot_be_written_is_named(tmp_path, keyring):
    """The error "attempt to write a readonly database" did not say that SQLite makes files in the folder."""
    path = tmp_path / "data" / "catalog.sqlite3"
    await (await Catalog.open(f"sqlite:///{path}", keyring)).close()
    path.parent.chmod(0o500)
    output, _ = start("open", f"sqlite:///{path}", prefix=unprivileged()).communicate()
    path.parent.chmod(0o700)
    assert output.startswith(f"catalog {path} cannot be written: {path.parent} has mode 0500, ")


async def test_folder_in_place_of_the_file_is_refused(tmp_path, keyring):
    assert f"catalog {tmp_path} cannot be opened: " in await refusal(f"sqlite:///{tmp_path}", keyring)


async def test_file_in_place_of_the_folder_is_refused(tmp_path, keyring):
    (tmp_path / "file").touch()
    message = await refusal(f"sqlite:///{tmp_path}/file/catalog.sqlite3", keyring)
    assert f"cannot be opened: {tmp_path}/file" in message


async def test_read_only_folder_is_refused(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o500)
    process = start("open", f"sqlite:///{folder}/catalog.sqlite3", prefix=unprivileged())
    output, _ = process.communicate()
    path = folder / "catalog.sqlite3"
    assert output.startswith(f"catalog {path} cannot be written: {folder} has mode 0500, ")


@pytest.mark.parametrize("folder_mode", [0o500, 0o700])
async def test_read_only_file_is_refused(tmp_path, keyring, folder_mode):
    """SQLite opens a file that it may not write for reading: the server was ready, and each write a 503."""
    path = tmp_path / "data" / "catalog.sqlite3"
    await (await Catalog.open(f"sqlite:///{path}", keyring)).close()
    path.chmod(0o400)
    path.parent.chmod(folder_mode)
    output, _ = start("open", f"sqlite:///{path}", prefix=unprivileged()).communicate()
    path.parent.chmod(0o700)
    refused = f"{path} has mode 0400" if folder_mode == 0o700 else f"{path.parent} has mode 0500"
    assert output.startswith(f"catalog {path} cannot be written: {refused}, ")


async def test_postgresql_that_refuses_connections_is_reported(keyring):
    url = f"postgresql://user:{PASSWORD}@127.0.0.1:{free_port()}/name"
    message = await refusal(url, keyring, CatalogUnavailableError)
    assert message.startswith("catalog PostgreSQL at 127.0.0.1, database name cannot be opened: ")
    assert "Connection refused" in message


async def test_postgresql_that_does_not_respond_is_reported(keyring, monkeypatch):
    monkeypatch.setitem(postgres_database._TIMEOUTS, "connect_timeout", "2")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://user:{PASSWORD}@127.0.0.1:{silent.getsockname()[1]}/name"
        assert "timeout" in await refusal(url, keyring, CatalogUnavailableError)


@pytest.mark.slow
async def test_missing_postgresql_database_is_reported(postgres, keyring):
    assert 'database "absent" does not exist' in await refusal(postgres("absent"), keyring)


async def test_missing_postgresql_driver_is_reported(keyring, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    message = await refusal(f"postgresql://user:{PASSWORD}@host/name", keyring)
    assert "from the folder of its source: pip install '.[postgresql]'" in message


async def test_new_database_is_readable_only_by_its_owner(tmp_path, keyring):
    path = tmp_path / "deep" / "data" / "catalog.sqlite3"
    mask = os.umask(0)
    try:
        catalog = await Catalog.open(f"sqlite:///{path}", keyring)
        await add_user(catalog, "ann")
        modes = {child.name: stat.S_IMODE(child.stat().st_mode) for child in path.parent.iterdir()}
        await catalog.close()
    finally:
        os.umask(mask)
    assert modes == dict.fromkeys(("catalog.sqlite3", "catalog.sqlite3-wal", "catalog.sqlite3-shm"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_sqlite_is_configured_for_durability(sqlite_url, keyring):
    await (await Catalog.open(sqlite_url, keyring)).close()
    database = parse_database_url(sqlite_url)
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}

    def settings(connection):
        return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in expected}

    assert await database.read(settings) == expected
    assert await database.write(settings) == expected
    await database.close()


async def test_path_may_contain_special_characters(tmp_path, keyring):
    path = tmp_path / "50% off? #1 é" / "catalog.sqlite3"
    catalog = await Catalog.open(f"sqlite:///{path}", keyring)
    await add_user(catalog, "ann")
    await catalog.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM users").fetchall() == [("ann",)]
    connection.close()


@pytest.fixture
async def with_secret(url, keyring) -> str:
    """The URL of a catalog that holds one secret, encrypted with the key `test`."""
    catalog = await Catalog.open(url, keyring)
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    await catalog.datasources.change(dataset.id, put(dataset.id, config("S3")))
    await catalog.close()
    return url


async def test_missing_key_is_named(with_secret):
    message = await refusal(with_secret, Keyring([("other", os.urandom(32)), ("another", os.urandom(32))]))
    assert "the key 'test', which is not among this server's keys (other, another)" in message
    assert "HEADWATER_SECRET_KEY" in message


async def test_another_key_with_the_same_id_is_refused(with_secret):
    message = await refusal(with_secret, Keyring([("other", os.urandom(32)), ("test", os.urandom(32))]))
    assert "the key 'test' does not decrypt" in message
    assert "HEADWATER_SECRET_KEY" in message


async def test_key_id_is_case_sensitive(with_secret):
    """LIKE in SQL matches `TEST:` with `test:`."""
    assert "the key 'test', which is not among" in await refusal(with_secret, Keyring([("TEST", os.urandom(32))]))


async def test_catalog_without_secrets_opens_with_any_key(url, keyring):
    catalog = await Catalog.open(url, keyring)
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    await catalog.datasources.change(dataset.id, put(dataset.id, config("LOCAL")))
    await catalog.close()
    await (await Catalog.open(url, Keyring([("other", os.urandom(32))]))).close()
