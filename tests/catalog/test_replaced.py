"""A catalog that is deleted, replaced or damaged while it is used is noticed, instead of losing what is written."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import psycopg
import pytest

from headwater.catalog import database
from headwater.catalog.catalog import Catalog
from headwater.catalog.keyring import Keyring
from headwater.cli.output import EXIT_CANNOT_START, exit_code_of
from headwater.domain.dataset import NewDataset
from headwater.domain.errors import CatalogDamagedError, CatalogUnavailableError, StartupError
from tests.catalog.processes import KEYRING, start
from tests.catalog.values import add_user, config, put


@pytest.fixture
async def opened(sqlite_url: str, keyring: Keyring) -> AsyncIterator[Catalog]:
    catalog = await Catalog.open(sqlite_url, keyring)
    await add_user(catalog, "ann")
    yield catalog
    await catalog.close()


def _delete(file: Path) -> None:
    file.unlink()


def _delete_all(file: Path) -> None:
    for each in file.parent.iterdir():
        each.unlink()


def _delete_log(file: Path) -> None:
    file.with_name(file.name + "-wal").unlink()


def _move(file: Path) -> None:
    file.rename(file.with_name("moved"))


def _rename_folder(file: Path) -> None:
    file.parent.rename(file.parent.with_name("moved"))


def _empty(file: Path) -> None:
    file.unlink()
    file.touch()


def _restore_copy(file: Path) -> None:
    _copy(file, file.with_name("copy")).rename(file)


@pytest.mark.parametrize(
    "happens",
    [_delete, _delete_all, _delete_log, _move, _rename_folder, _empty, _restore_copy],
    ids=lambda do: do.__name__,
)
async def test_replaced_file_is_unavailable(opened: Catalog, tmp_path: Path, happens: Callable[[Path], None]) -> None:
    """Writes were acknowledged and the server said that it was ready; after a restart all of it was gone."""
    await opened.ping()
    file = tmp_path / "data" / "catalog.sqlite3"
    happens(file)
    there = file.exists()
    for attempt in (opened.ping(), opened.users.exists("ann"), add_user(opened, "bob")):
        with pytest.raises(CatalogUnavailableError, match="was removed or replaced while the server used it") as caught:
            await attempt
        assert str(file) not in caught.value.message
        assert str(file) in str(caught.value.__cause__), "for the log"
    assert file.exists() is there, "no new catalog is made"


async def test_file_that_is_put_back_is_used_again(opened: Catalog, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.rename(tmp_path / "moved")
    with pytest.raises(CatalogUnavailableError):
        await add_user(opened, "bob")
    (tmp_path / "moved").rename(folder)
    await opened.ping()
    await add_user(opened, "bob")
    assert await opened.users.list() == ["ann", "bob"]


def _copy(file: Path, copy: Path) -> Path:
    with sqlite3.connect(file) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()
    return copy


@pytest.mark.parametrize("noticed", [True, False])
@pytest.mark.parametrize("when", ["running", "stopped"])
async def test_restored_copy_is_used_after_a_restart(
    opened: Catalog, sqlite_url: str, keyring: Keyring, tmp_path: Path, when: str, noticed: bool
) -> None:
    """SQLite leaves its write-ahead log behind if the file was moved, and added it to the copy at the next start."""
    file = tmp_path / "data" / "catalog.sqlite3"
    copy = _copy(file, tmp_path / "copy")
    await add_user(opened, "bob")
    file.unlink()
    if when == "running":
        copy.rename(file)
    if noticed:
        with pytest.raises(CatalogUnavailableError):
            await opened.ping()
    await opened.close()
    if when == "stopped":
        copy.rename(file)
    restored = await Catalog.open(sqlite_url, keyring)
    assert await restored.users.list() == ["ann"]
    await restored.close()
    with sqlite3.connect(file) as again:
        assert again.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    again.close()


def _crash(url: str, *, after: int) -> None:
    """Write in another process, and kill it after a number of writes."""
    process = start("acknowledge", url, f"user {after}")
    assert process.stdout is not None
    for _ in range(after):
        assert process.stdout.readline()
    process.kill()
    process.wait()
    process.stdout.close()


async def _datasets(url: str) -> int:
    catalog = await Catalog.open(url, KEYRING)
    found = len(await catalog.datasets.list(None))
    await catalog.close()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("put_back", [shutil.copyfile, shutil.move], ids=["overwritten", "replaced"])
async def test_copy_beside_the_log_of_a_crash_is_refused(
    sqlite_url: str, tmp_path: Path, put_back: Callable[[Path, Path], None]
) -> None:
    """SQLite added the log to it: the server was ready, and the catalog a mixture, damaged or not."""
    file = tmp_path / "data" / "catalog.sqlite3"
    await (await Catalog.open(sqlite_url, KEYRING)).close()
    _crash(sqlite_url, after=20)
    copied = await _datasets(sqlite_url)
    copy = _copy(file, tmp_path / "copy")
    _crash(sqlite_url, after=1200)  # the log holds 1,000 pages before it begins anew
    shutil.copyfile(file, own := tmp_path / "own")
    put_back(copy, file)
    before = file.read_bytes()
    for attempt in (Catalog.open(sqlite_url, KEYRING), Catalog.check_exists(sqlite_url)):
        with pytest.raises(StartupError, match=r"older than the changes in catalog.sqlite3-wal beside it") as caught:
            await attempt
        assert exit_code_of(caught.value) == EXIT_CANNOT_START
    assert file.read_bytes() == before, "SQLite must not open it"
    for name in ("catalog.sqlite3-wal", "catalog.sqlite3-shm"):
        file.with_name(name).rename(tmp_path / name)
    assert await _datasets(sqlite_url) == copied
    for path in (own, tmp_path / "catalog.sqlite3-wal"):
        path.rename(file.with_name(path.name.replace("own", file.name)))
    assert await _datasets(sqlite_url) > copied + 100, "its own file is used with the log"


async def test_copy_that_the_log_continues_becomes_the_catalog_before_the_crash(
    sqlite_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "data" / "catalog.sqlite3"
    await (await Catalog.open(sqlite_url, KEYRING)).close()
    process = start("acknowledge", sqlite_url, "ann")
    assert process.stdout is not None
    process.stdout.readline()
    copy = _copy(file, tmp_path / "copy")
    lines = [process.stdout.readline() for _ in range(70)]
    process.kill()
    process.wait()
    process.stdout.close()
    copy.rename(file)
    assert await _datasets(sqlite_url) >= sum(line.startswith("dataset ") for line in lines)
    with sqlite3.connect(file) as again:
        assert again.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    again.close()


async def test_nothing_is_lost_if_the_file_is_put_back_after_a_stop(
    opened: Catalog, sqlite_url: str, keyring: Keyring, tmp_path: Path
) -> None:
    file = tmp_path / "data" / "catalog.sqlite3"
    await add_user(opened, "bob")
    file.rename(tmp_path / "moved")
    await opened.close()
    (tmp_path / "moved").rename(file)
    again = await Catalog.open(sqlite_url, keyring)
    assert await again.users.list() == ["ann", "bob"]
    await again.close()


async def test_write_is_not_acknowledged_if_the_file_goes_meanwhile(opened: Catalog, tmp_path: Path) -> None:
    file = tmp_path / "data" / "catalog.sqlite3"
    with pytest.raises(CatalogUnavailableError, match="was removed or replaced"):
        await opened._database.write(lambda _connection: file.unlink())


async def test_copy_that_is_made_while_the_catalog_is_used_does_not_matter(opened: Catalog, tmp_path: Path) -> None:
    """Other programs may open and close the catalog, and copy it, without making it look replaced."""
    file = tmp_path / "data" / "catalog.sqlite3"
    shutil.copy(file, tmp_path / "copy")
    with sqlite3.connect(file) as other:
        other.execute("VACUUM")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    await opened.ping()
    await add_user(opened, "bob")


@pytest.mark.parametrize(
    "statement", ["DROP TABLE datasources", "DROP TABLE alembic_version", "ALTER TABLE datasets DROP COLUMN feed"]
)
async def test_damage_while_the_catalog_is_used_is_unavailable(url: str, keyring: Keyring, statement: str) -> None:
    """With a table missing the server was ready, and on PostgreSQL requests were a 500."""
    catalog = await Catalog.open(url, keyring)
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    await catalog.ping()
    _execute(url, statement)
    with pytest.raises(CatalogUnavailableError, match="are missing: its operator must restore a copy"):
        await catalog.ping()
    if "datas" in statement:
        with pytest.raises(CatalogUnavailableError, match="are missing: its operator must restore a copy"):
            await catalog.datasets.find_with_datasources(dataset.id)
    await catalog.close()


@pytest.mark.slow
async def test_dropped_schema_is_unavailable_until_it_is_back(postgres_url: str, keyring: Keyring) -> None:
    """`/readyz` said that the server was ready, and all else was a 500."""
    catalog = await Catalog.open(postgres_url, keyring)
    await add_user(catalog, "ann")
    _execute(postgres_url, "ALTER SCHEMA public RENAME TO away")
    for attempt in (catalog.ping(), catalog.users.exists("ann"), add_user(catalog, "bob")):
        with pytest.raises(CatalogUnavailableError, match="are missing"):
            await attempt
    _execute(postgres_url, "ALTER SCHEMA away RENAME TO public")
    await catalog.ping()
    assert await catalog.users.list() == ["ann"]
    await catalog.close()


async def test_catalog_that_another_version_has_migrated_is_not_ready(url: str, keyring: Keyring) -> None:
    catalog = await Catalog.open(url, keyring)
    _execute(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CatalogUnavailableError, match="changed by another version"):
        await catalog.ping()
    await catalog.close()


def _execute(url: str, statement: str) -> None:
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute(statement)
        connection.close()
    else:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(statement)


def _remove_key(file: Path) -> None:
    file.unlink()


def _replace_key(file: Path) -> None:
    file.unlink()
    Keyring.load_or_create(file)


def _damage_key(file: Path) -> None:
    file.write_text("nonsense")


@pytest.mark.parametrize("happens", [_remove_key, _replace_key, _damage_key], ids=lambda do: do.__name__)
async def test_lost_key_file_is_noticed(sqlite_url: str, tmp_path: Path, happens: Callable[[Path], None]) -> None:
    """Secrets were stored, encrypted with a key that was only in memory: after a restart nobody could read them."""
    file = tmp_path / "secret.key"
    catalog = await Catalog.open(sqlite_url, Keyring.load_or_create(file))
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    text = file.read_text()
    happens(file)
    for attempt in (catalog.ping(), catalog.datasources.change(dataset.id, put(dataset.id, config("S3")))):
        with pytest.raises(CatalogUnavailableError, match="its operator must put it back"):
            await attempt
    assert await catalog.datasources.list(dataset.id) == []
    assert await catalog.datasources.change(dataset.id, put(dataset.id, config("LOCAL"))), "nothing to encrypt"
    file.unlink(missing_ok=True)
    file.touch(0o600)
    file.write_text(f"new:{'A' * 43}=,{text}")
    await catalog.ping()
    assert await catalog.datasources.change(dataset.id, put(dataset.id, config("S3"))), "the key is rotated"
    await catalog.close()


@contextmanager
def _hanging(file: Path) -> Iterator[None]:
    """Let whoever opens a file wait, as on a volume that hangs: for a pipe, somebody must write."""

    def wake() -> None:
        os.close(os.open(file, os.O_RDWR | os.O_NONBLOCK))

    kept = file.rename(file.with_suffix(".kept"))
    os.mkfifo(file, 0o600)
    timer = Timer(5, wake)  # or a test that fails would wait for ever
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        wake()
        kept.rename(file)


async def test_key_file_that_hangs_stops_nothing_else(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`/readyz` read it in the event loop: the whole server stopped. A PUT read it while it held SQLite's lock."""
    file = tmp_path / "secret.key"
    catalog = await Catalog.open(sqlite_url, Keyring.load_or_create(file))
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.4)
    with _hanging(file):
        attempts: list[Awaitable[object]] = [catalog.ping() for _ in range(8)]
        attempts += [catalog.datasources.change(dataset.id, put(dataset.id, config("S3"))) for _ in range(2)]
        began = time.monotonic()
        failing = asyncio.gather(*attempts, return_exceptions=True)
        for number in range(3):
            await add_user(catalog, f"user {number}")
            assert await catalog.users.exists(f"user {number}")
        assert time.monotonic() - began < 0.4
        assert all(isinstance(error, CatalogUnavailableError) for error in await failing)
        assert time.monotonic() - began < 2
    monkeypatch.undo()
    await catalog.ping()
    assert await catalog.datasources.change(dataset.id, put(dataset.id, config("S3")))
    await catalog.close()


def test_key_of_a_setting_has_no_file() -> None:
    Keyring([("test", os.urandom(32))]).check_file()


async def test_a_file_that_becomes_malformed_is_not_called_temporary(
    opened: Catalog, sqlite_url: str, keyring: Keyring
) -> None:
    """Requests were told to try again shortly, and the log did not say that a copy must be restored."""
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    await opened.close()
    catalog = await Catalog.open(sqlite_url, keyring)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xd7" * (path.stat().st_size - 4096))
    catalog._database._engine.dispose()  # type: ignore[attr-defined]  # with the pages in its memory
    with pytest.raises(CatalogDamagedError, match="restore a copy") as caught:
        await catalog.users.exists("ann")
    assert "malformed" in str(caught.value.__cause__)
    assert (caught.value.status, exit_code_of(caught.value)) == (503, EXIT_CANNOT_START)
    await catalog.close()
