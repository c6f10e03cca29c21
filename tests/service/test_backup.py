"""Backups are restored with their keys, and never over what is used or holds data."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from headwater.catalog.catalog import Catalog
from headwater.catalog.keyring import Keyring
from headwater.catalog.secret_key_file import KeyFile, new_key
from headwater.catalog.transfer.catalog_file import CatalogFile
from headwater.domain.dataset import NewDataset
from headwater.domain.errors import CatalogUnavailableError, HeadwaterError, KeyMissingError, StartupError
from headwater.service.backup import back_up, check, restore
from headwater.settings import Settings
from tests.catalog.values import KEY_TEXT, config, put
from tests.servers import postgres_database, postgres_server


def settings_of(folder: Path, **more: str) -> Settings:
    return Settings.load({}, data_dir=str(folder), **more)


def keyring_of(settings: Settings) -> Keyring:
    if settings.secret_key is not None:
        return Keyring.parse(settings.secret_key)
    return Keyring.load_or_create(settings.folder / "secret.key")


async def _open(settings: Settings) -> Catalog:
    return await Catalog.open(settings.catalog_url, keyring_of(settings))


def make(settings: Settings, name: str = "cats") -> str:
    """Add a dataset with a secret; return its id."""

    async def work() -> str:
        catalog = await _open(settings)
        dataset = await catalog.datasets.add("ann", NewDataset(name=name))
        await catalog.datasources.change(dataset.id, put(dataset.id, config("S3", s3SecretAccessKey=f"of {name}")))
        await catalog.close()
        return dataset.id

    return asyncio.run(work())


def secrets_in(settings: Settings) -> dict[str, str | None]:
    """Return the secret of each dataset by its name."""

    async def work() -> dict[str, str | None]:
        catalog = await _open(settings)
        found = {}
        for dataset in await catalog.datasets.list(None):
            (source,) = await catalog.datasources.list(dataset.id)
            found[dataset.name] = source.config.secret
        await catalog.close()
        return found

    return asyncio.run(work())


@pytest.fixture
def source(tmp_path: Path) -> Settings:
    settings = settings_of(tmp_path / "source")
    make(settings)
    return settings


@pytest.fixture
def file(source: Settings, tmp_path: Path) -> Path:
    back_up(source, tmp_path / "file", with_keys=True)
    return tmp_path / "file"


def test_backup_is_restored_on_another_machine(file: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    target = settings_of(tmp_path / "target")
    done = restore(target, file, overwrite=False, with_keys=True)
    assert done.rows["datasources"] == 1
    assert secrets_in(target) == {"cats": "of cats"}
    for name in ("headwater.db", "secret.key"):
        assert stat.S_IMODE((target.folder / name).stat().st_mode) == 0o600
    assert not any(part.faults for part in check(target))


def test_backup_without_the_key_needs_it(source: Settings, tmp_path: Path) -> None:
    file, target = tmp_path / "file", settings_of(tmp_path / "target")
    assert back_up(source, file, with_keys=False).keys == ()
    assert b"keys" not in subprocess.check_output(["gzip", "-dc"], input=file.read_bytes()).splitlines()[0]
    with pytest.raises(KeyMissingError, match=r"keys \(none\)"):
        restore(target, file, overwrite=False, with_keys=True)
    assert list(target.folder.iterdir()) == [], "nothing was changed"
    shutil.copy2(source.folder / "secret.key", target.folder / "secret.key")
    restore(target, file, overwrite=False, with_keys=True)
    assert secrets_in(target) == {"cats": "of cats"}


def test_key_of_a_setting_is_in_no_backup(tmp_path: Path) -> None:
    source = settings_of(tmp_path / "source", secret_key=KEY_TEXT)
    make(source)
    assert back_up(source, tmp_path / "file", with_keys=True).keys == ()
    target = settings_of(tmp_path / "target", secret_key=KEY_TEXT)
    restore(target, tmp_path / "file", overwrite=False, with_keys=True)
    assert secrets_in(target) == {"cats": "of cats"}
    assert not (target.folder / "secret.key").exists()


def test_restored_catalog_keeps_the_keys_that_are_there_first(source: Settings, file: Path) -> None:
    """A backup from before a rotation brings its key back, and the new one goes on to encrypt and sign."""
    key_file = KeyFile(source.folder / "secret.key")
    old = keyring_of(source)
    new_id, new = new_key()
    key_file.replace({new_id: new})
    (source.folder / "headwater.db").unlink()
    make(source, "dogs")
    restore(source, file, overwrite=True, with_keys=True)
    assert secrets_in(source) == {"cats": "of cats"}
    assert keyring_of(source).ids == (new_id, *old.ids)
    assert stat.S_IMODE(key_file.path.stat().st_mode) == 0o600


def test_another_key_with_the_same_id_is_refused(source: Settings, file: Path) -> None:
    (key_id,) = keyring_of(source).ids
    before = (source.folder / "headwater.db").read_bytes()
    KeyFile(source.folder / "secret.key").replace({key_id: new_key()[1]})
    with pytest.raises(StartupError, match="another key with the id"):
        restore(source, file, overwrite=True, with_keys=True)
    assert (source.folder / "headwater.db").read_bytes() == before


def test_data_is_replaced_only_if_told_so(source: Settings, file: Path) -> None:
    make(source, "dogs")
    with pytest.raises(HeadwaterError, match="there is a catalog with data"):
        restore(source, file, overwrite=False, with_keys=True)
    assert set(secrets_in(source)) == {"cats", "dogs"}
    restore(source, file, overwrite=True, with_keys=True)
    assert set(secrets_in(source)) == {"cats"}


def test_catalog_that_is_open_is_not_replaced(source: Settings, file: Path) -> None:
    """The server would have gone on with a file that is gone, and lost what it wrote."""

    # In a process of its own: closing a file drops the locks of this process on it.
    code = "import sys, time; from pathlib import Path; import sqlite3; c = sqlite3.connect(sys.argv[1]); "
    code += "c.execute('SELECT * FROM users').fetchall(); print('open', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(source.folder / "headwater.db")], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(CatalogUnavailableError, match="is in use: stop all servers"):
            restore(source, file, overwrite=True, with_keys=True)
        other.kill()
    restore(source, file, overwrite=True, with_keys=True)


@pytest.mark.parametrize("damaged", [False, True])
def test_log_of_the_replaced_catalog_is_not_added_to_the_new_one(source: Settings, file: Path, damaged: bool) -> None:
    """After a crash, SQLite adds what is in an old -wal file to whatever file has the name of the catalog."""
    live = source.folder / "headwater.db"
    connection = sqlite3.connect(live, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("INSERT INTO users (name, created_at) VALUES ('bob', 1)")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute(
        "INSERT INTO users (name, created_at) VALUES ('lost', 1)"
    )  # without the first page, by which SQLite knows the file
    main, log = (live.with_name(live.name + end).read_bytes() for end in ("", "-wal"))
    connection.close()
    live.write_bytes(os.urandom(len(main)) if damaged else main)
    live.with_name("headwater.db-wal").write_bytes(log)
    assert len(log) > 4096
    restore(source, file, overwrite=True, with_keys=True)
    assert sorted(each.name for each in source.folder.iterdir()) == ["headwater.db", "secret.key"]
    with sqlite3.connect(live) as restored:
        assert restored.execute("SELECT name FROM users").fetchall() == [("ann",)]
        assert restored.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    restored.close()


def test_log_of_a_catalog_that_was_moved_away_is_not_added_to_the_new_one(file: Path, tmp_path: Path) -> None:
    """It may hold what that catalog needs, so it is only removed if told so."""
    target = settings_of(tmp_path / "target")
    target.folder.mkdir()
    left = target.folder / "headwater.db-wal"
    left.write_bytes(b"left")
    with pytest.raises(StartupError, match="belongs to a catalog that is not there any more"):
        restore(target, file, overwrite=False, with_keys=True)
    assert left.exists()
    restore(target, file, overwrite=True, with_keys=True)
    assert not left.exists()
    assert secrets_in(target) == {"cats": "of cats"}


def _garbage(live: Path) -> None:
    live.write_bytes(os.urandom(50_000))


def _empty(live: Path) -> None:
    live.write_bytes(b"")


def _damaged_pages(live: Path) -> None:
    data = bytearray(live.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    live.write_bytes(data)
    live.with_name("headwater.db-wal").write_bytes(os.urandom(5000))


@pytest.mark.parametrize("happens", [_garbage, _empty, _damaged_pages], ids=lambda do: do.__name__)
def test_damaged_catalog_is_replaced_if_told_so(source: Settings, file: Path, happens: Callable[[Path], None]) -> None:
    live = source.folder / "headwater.db"
    happens(live)
    damaged = live.read_bytes()
    with pytest.raises(HeadwaterError):
        restore(source, file, overwrite=False, with_keys=True)
    assert live.read_bytes() == damaged
    restore(source, file, overwrite=True, with_keys=True)
    assert secrets_in(source) == {"cats": "of cats"}


def test_catalog_of_an_earlier_version_is_backed_up(source: Settings, tmp_path: Path) -> None:
    """Before an upgrade, the new program has to make the backup: the old one has no command for it."""
    live = source.folder / "headwater.db"
    live.unlink()
    connection = sqlite3.connect(live)
    connection.executescript((Path(__file__).parents[1] / "catalog/previous/catalog.sql").read_text())
    connection.close()
    (source.folder / "secret.key").write_text(KEY_TEXT)
    before = live.read_bytes()
    back_up(source, tmp_path / "file", with_keys=True)
    assert live.read_bytes() == before, "it is not upgraded"
    target = settings_of(tmp_path / "target")
    restore(target, tmp_path / "file", overwrite=False, with_keys=True)
    assert not any(part.faults for part in check(target))
    assert len(secrets_in_all(target)) == 8


def secrets_in_all(settings: Settings) -> list[str | None]:
    """Return the secret of each datasource."""

    async def work() -> list[str | None]:
        catalog = await _open(settings)
        found = [
            source.config.secret
            for dataset in await catalog.datasets.list(None)
            for source in await catalog.datasources.list(dataset.id)
        ]
        await catalog.close()
        return found

    return asyncio.run(work())


def test_file_that_exists_is_not_overwritten(source: Settings, file: Path, tmp_path: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(HeadwaterError, match="exists: choose another name"):
        back_up(source, file, with_keys=True)
    with pytest.raises(HeadwaterError, match=r"/nowhere/file cannot be written: No such file"):
        back_up(source, Path("/nowhere/file"), with_keys=True)
    assert file.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "source"]


def test_backup_is_complete_even_if_the_old_key_is_forgotten_meanwhile(
    source: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup held the keys of one moment, and the secrets of another."""
    from headwater.service import backup as module

    load, key_file = module._load_keyring, KeyFile(source.folder / "secret.key")

    def rotate_and_load(path: Path) -> Keyring:
        monkeypatch.undo()
        key_file.replace(dict([new_key()]) | keyring_of(source).keys)

        async def work() -> None:
            catalog = await _open(source)
            await catalog.secrets.reencrypt_some("")
            await catalog.close()

        asyncio.run(work())
        key_file.replace(dict([next(iter(keyring_of(source).keys.items()))]))
        return load(path)

    monkeypatch.setattr(module, "_load_keyring", rotate_and_load)
    back_up(source, tmp_path / "file", with_keys=True)
    target = settings_of(tmp_path / "target")
    restore(target, tmp_path / "file", overwrite=False, with_keys=True)
    assert secrets_in(target) == {"cats": "of cats"}


KILLS = 3

RESTORE = (
    "import sys; from pathlib import Path; from headwater.service.backup import restore; "
    "from headwater.settings import Settings; print('ready', flush=True); "
    "restore(Settings.load({}, data_dir=sys.argv[1]), Path(sys.argv[2]), overwrite=True, with_keys=True)"
)


def test_killed_restore_leaves_the_old_catalog_or_the_new_one(source: Settings, tmp_path: Path) -> None:
    connection = sqlite3.connect(source.folder / "headwater.db")
    with connection:
        rows = ((f"user {number}", number) for number in range(30_000))
        connection.executemany("INSERT INTO users (name, created_at) VALUES (?, ?)", rows)
    connection.close()
    file = tmp_path / "file"
    back_up(source, file, with_keys=True)
    target = settings_of(tmp_path / "target")
    make(target, "dogs")
    seconds = 0.0
    outcomes: list[str] = []
    for attempt in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-c", RESTORE, str(target.folder), str(file)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            began = time.monotonic()
            if attempt:
                time.sleep(random.random() * seconds)
                process.send_signal(signal.SIGKILL)
            process.wait(60)
            seconds = seconds if attempt else time.monotonic() - began
        found = secrets_in(target)
        assert found in ({"dogs": "of dogs"}, {"cats": "of cats"})
        assert not any(part.faults for part in check(target))
        outcomes.append(*found)
        (target.folder / "headwater.db").unlink()
        make(target, "dogs")
    assert outcomes[0] == "cats"


@pytest.mark.slow
def test_catalog_in_postgresql_is_backed_up_and_replaced(source: Settings, file: Path, tmp_path: Path) -> None:
    with postgres_server() as uri_of, postgres_database(uri_of) as url:
        target = settings_of(tmp_path / "target", database_url=url)
        restore(target, file, overwrite=False, with_keys=True)
        assert secrets_in(target) == {"cats": "of cats"}
        make(target, "dogs")
        back_up(target, tmp_path / "second", with_keys=True)
        with psycopg.connect(url) as other:
            other.execute("SELECT 1")
            with pytest.raises(CatalogUnavailableError, match="is in use"):
                restore(target, file, overwrite=True, with_keys=True)
        with pytest.raises(HeadwaterError, match="there is a catalog with data"):
            restore(target, file, overwrite=False, with_keys=True)
        restore(target, file, overwrite=True, with_keys=True)
        assert set(secrets_in(target)) == {"cats"}
        assert not any(part.faults for part in check(target))
    (source.folder / "headwater.db").unlink()
    restore(source, tmp_path / "second", overwrite=False, with_keys=True)
    assert secrets_in(source) == {"cats": "of cats", "dogs": "of dogs"}


def test_file_of_backup_names_no_temporary_file(file: Path) -> None:
    assert CatalogFile(file).header.tables
    assert b"file" not in file.read_bytes()[:40]


def faults(settings: Settings) -> dict[str, Any]:
    return {part.name: part.faults for part in check(settings) if part.faults}


@pytest.mark.parametrize(
    ("statement", "part", "says"),
    [
        ("UPDATE datasources SET secret = 'x:AAAA'", "secrets", "with a key that this server does not have"),
        ("UPDATE datasources SET secret = substr(secret, 1, 12) || 'AAAA'", "secrets", "cannot be decrypted"),
        ('UPDATE datasources SET config = \'{"type":"TAPE"}\'', "secrets", "configure it again"),
        ("UPDATE datasources SET config = 'x'", "secrets", "its config is not JSON"),
        ("DELETE FROM users", "references", "refer to users ann, which is not there"),
        ("INSERT INTO feed_rows VALUES (7, x'00', 1, 1, 1, NULL)", "totals", "of the index 7, which is not there"),
        ("ALTER TABLE datasets DROP COLUMN feed", "tables", "it lacks datasets.feed"),
    ],
)
def test_check_finds_faults(source: Settings, statement: str, part: str, says: str) -> None:
    assert faults(source) == {}
    connection = sqlite3.connect(source.folder / "headwater.db", isolation_level=None)
    connection.execute(statement)
    connection.close()
    (found,) = faults(source).items()
    assert found[0] == part
    assert says in found[1][0]


@pytest.mark.parametrize(("rows", "size", "wrong"), [(2, 30, False), (3, 30, True), (2, 31, True)])
def test_check_compares_totals_with_rows(source: Settings, rows: int, size: int, wrong: bool) -> None:
    connection = sqlite3.connect(source.folder / "headwater.db", isolation_level=None)
    (dataset,) = connection.execute("SELECT id FROM datasets").fetchone()
    names = "dataset_id, key_order, out_of_order, promised, promised_by_others, listings, changes, complete, n_rows"
    feed = connection.execute(
        f"INSERT INTO feeds ({names}, n_bytes) VALUES (?, '', 0, 1, 1, 1, 1, 1, ?, ?)", (dataset, rows, size)
    ).lastrowid
    for number in (10, 20):
        connection.execute("INSERT INTO feed_rows VALUES (?, ?, 1, 1, ?, NULL)", (feed, bytes([number]), number))
    connection.close()
    assert ("totals" in faults(source)) is wrong


def test_check_finds_damaged_pages(source: Settings) -> None:
    for number in range(40):
        make(source, f"set {number}")
    live = source.folder / "headwater.db"
    data = bytearray(live.read_bytes())
    data[-4096:] = bytes(4096)
    live.write_bytes(data)
    assert "restore a" in _fault_or_error(source)


def _fault_or_error(settings: Settings) -> str:
    try:
        return str(faults(settings)["file"])
    except StartupError as error:
        return error.message


BACK_UP = (
    "import resource, sys; from pathlib import Path; from headwater.service.backup import back_up, check, restore; "
    "from headwater.settings import Settings; source = Settings.load({}, data_dir=sys.argv[1]); "
    "back_up(source, Path(sys.argv[2]), with_keys=True); "
    "restore(source, Path(sys.argv[2]), overwrite=True, with_keys=True); "
    "assert not any(part.faults for part in check(source)); "
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
)


@pytest.mark.nightly
def test_memory_does_not_depend_on_the_number_of_files(source: Settings, tmp_path: Path) -> None:
    connection = sqlite3.connect(source.folder / "headwater.db")
    (dataset,) = connection.execute("SELECT id FROM datasets").fetchone()
    names = "id, dataset_id, key_order, out_of_order, promised, promised_by_others, listings, changes, complete"
    peaks = []
    for rows in (1_000, 1_000_000):
        with connection:
            connection.execute("DELETE FROM feed_rows")
            connection.execute("DELETE FROM feeds")
            feed = f"INSERT INTO feeds ({names}, n_rows, n_bytes) VALUES (1, ?, '', 0, 1, 1, 1, 1, 1, ?, ?)"
            connection.execute(feed, (dataset, rows, rows))
            connection.executemany(
                "INSERT INTO feed_rows VALUES (1, ?, ?, 1, 1, NULL)",
                ((f"folder/with/a/long/name/{number:09}.png".encode(), number) for number in range(rows)),
            )
        connection.close()
        file = tmp_path / str(rows)
        done = subprocess.run(
            [sys.executable, "-c", BACK_UP, str(source.folder), str(file)], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout) // 1024)
        connection = sqlite3.connect(source.folder / "headwater.db")
    connection.close()
    assert peaks[1] - peaks[0] < 20, f"MiB: {peaks}"
