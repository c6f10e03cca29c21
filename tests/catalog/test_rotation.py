"""The key changes while secrets are read and written, and none is lost or left behind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from headwater.catalog.catalog import Catalog
from headwater.catalog.engine import parse_database_url
from headwater.catalog.keyring import SETTLE_SECONDS, Keyring
from headwater.catalog.secret_key_file import KeyFile, new_key, parse_keys
from headwater.catalog.tables import datasources
from headwater.domain.dataset import NewDataset
from headwater.domain.datasource import Datasource
from headwater.domain.errors import HeadwaterError, StartupError
from headwater.domain.purposes import Reconfigured
from tests.catalog.values import config, put


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    path = tmp_path / "secret.key"
    Keyring.load_or_create(path)
    return KeyFile(path)


def open_catalog(url: str, file: KeyFile) -> asyncio.Future[Catalog]:
    return asyncio.ensure_future(Catalog.open(url, Keyring.load_or_create(file.path)))


def add_key(file: KeyFile) -> str:
    """Put a new key first, as `headwater secrets rotate` does; return its id."""
    stored = file.read()
    assert stored is not None
    key_id, key = new_key()
    file.replace({key_id: key, **stored.keys})
    return key_id


def remove_old_keys(file: KeyFile) -> None:
    stored = file.read()
    assert stored is not None
    file.replace(dict(list(stored.keys.items())[:1]))


async def reencrypt(catalog: Catalog) -> int:
    """Encrypt all secrets that are there with the first key; return how many."""
    after: str | None = ""
    seen = 0
    while after is not None:
        some = await catalog.secrets.reencrypt_some(after)
        assert some.failed == []
        after, seen = some.last, seen + some.seen
    return seen


async def keys_in_use(url: str) -> set[str]:
    database = parse_database_url(url)
    rows = await database.read(lambda connection: connection.execute(datasources.select()).all())
    await database.close()
    return {row.secret.partition(":")[0] for row in rows}


async def test_concurrent_writes_of_servers_are_neither_lost_nor_left_behind(url: str, file: KeyFile) -> None:
    """Two servers write while the key is rotated three times, and forgets all others each time."""
    one, two = await open_catalog(url, file), await open_catalog(url, file)
    ids = [(await one.datasets.add("ann", NewDataset(name=f"set {number}"))).id for number in range(12)]
    written = dict.fromkeys(ids, 0)
    stop = asyncio.Event()

    async def write_next(catalog: Catalog, dataset_id: str) -> None:
        number = written[dataset_id] + 1
        new = config("S3", s3SecretAccessKey=f"{dataset_id} {number}")
        await catalog.datasources.change(dataset_id, put(dataset_id, new))
        written[dataset_id] = number

    async def write(catalog: Catalog, mine: Sequence[str]) -> None:
        while not stop.is_set():
            for dataset_id in mine:
                await write_next(catalog, dataset_id)
                await asyncio.sleep(0.002)  # SQLite does not let processes write in turn

    async def rotate() -> None:
        operator = await open_catalog(url, file)
        for _ in range(3):
            await asyncio.sleep(0.1)
            key_id = add_key(file)
            await operator.ping()  # reads the file
            while await operator.secrets.count_with_other_keys():
                await reencrypt(operator)
            remove_old_keys(file)
            assert await keys_in_use(url) <= {key_id}, "a write that had begun before came later"
        await operator.close()
        stop.set()

    for dataset_id in ids:  # what a server decrypts shows it that the file is the right one
        await write_next(one, dataset_id)
    await asyncio.gather(rotate(), write(one, ids[:6]), write(two, ids[6:]))
    for catalog in (one, two, await open_catalog(url, file)):
        for dataset_id in ids:
            (stored,) = await catalog.datasources.list(dataset_id)
            assert stored.config.secret == f"{dataset_id} {written[dataset_id]}"
        await catalog.close()
    assert sum(written.values()) > 3 * len(ids)


async def test_write_that_has_begun_before_the_rotation_uses_the_new_key(url: str, file: KeyFile) -> None:
    """It had read the key file, and stored a secret with a key that was gone when it was done."""
    catalog, operator = await open_catalog(url, file), await open_catalog(url, file)
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    deciding, decide = threading.Event(), threading.Event()

    def slowly(stored: Sequence[Datasource]) -> Reconfigured:
        deciding.set()
        assert decide.wait(10)
        return put(dataset.id, config("S3"))(stored)

    writing = asyncio.create_task(catalog.datasources.change(dataset.id, slowly))
    await asyncio.to_thread(deciding.wait, 10)
    key_id = add_key(file)
    threading.Timer(0.2, decide.set).start()
    await operator.ping()
    await operator.secrets.count_with_other_keys()
    await writing
    assert await keys_in_use(url) == {key_id}
    await catalog.close()
    await operator.close()


async def test_rotation_waits_for_writes_that_use_the_old_key(
    url: str, file: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It found no secret with the old key, forgot that key, and then the write was committed."""
    catalog, operator = await open_catalog(url, file), await open_catalog(url, file)
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    encrypting, commit = threading.Event(), threading.Event()
    encrypt = catalog._keyring.encrypt

    def slowly(text: str, dataset_id: str) -> str:
        encrypting.set()
        assert commit.wait(10)
        return encrypt(text, dataset_id)

    monkeypatch.setattr(catalog._keyring, "encrypt", slowly)
    writing = asyncio.create_task(catalog.datasources.change(dataset.id, put(dataset.id, config("S3"))))
    await asyncio.to_thread(encrypting.wait, 10)
    add_key(file)
    await operator.ping()
    counting = asyncio.create_task(operator.secrets.count_with_other_keys())
    await asyncio.sleep(0.3)
    assert not counting.done()
    commit.set()
    await writing
    assert await counting == 1
    await catalog.close()
    await operator.close()


async def test_secret_that_is_replaced_meanwhile_stays_as_it_was_written(
    url: str, file: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rotation read a secret, a PUT replaced it, and the rotation wrote the one before."""
    catalog, operator = await open_catalog(url, file), await open_catalog(url, file)
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    await catalog.datasources.change(dataset.id, put(dataset.id, config("S3", s3SecretAccessKey="first")))
    add_key(file)
    await operator.ping()
    decrypt = operator._keyring.decrypt
    loop = asyncio.get_running_loop()

    def replace_and_decrypt(text: str, dataset_id: str) -> str:
        monkeypatch.undo()
        new = put(dataset.id, config("S3", s3SecretAccessKey="second"))
        future = asyncio.run_coroutine_threadsafe(catalog.datasources.change(dataset.id, new), loop)
        if url.startswith("postgresql"):  # in SQLite it waits until the rotation is done
            future.result(10)
        else:
            time.sleep(0.1)
        return decrypt(text, dataset_id)

    monkeypatch.setattr(operator._keyring, "decrypt", replace_and_decrypt)
    await operator.secrets.reencrypt_some("")
    while await operator.secrets.count_with_other_keys():
        await asyncio.sleep(0.05)
    while (stored := (await operator.datasources.list(dataset.id))[0].config.secret) == "first":
        assert url.startswith("sqlite")
        await asyncio.sleep(0.05)
    assert stored == "second"
    await catalog.close()
    await operator.close()


async def test_server_that_slept_through_a_rotation_goes_on(sqlite_url: str, file: KeyFile) -> None:
    """Its only key is not in the file any more. That the file is the right one is shown by what it decrypts."""
    asleep, operator = await open_catalog(sqlite_url, file), await open_catalog(sqlite_url, file)
    dataset = await operator.datasets.add("ann", NewDataset(name="cats"))
    await operator.datasources.change(dataset.id, put(dataset.id, config("S3", s3SecretAccessKey="the secret")))
    key_id = add_key(file)
    await operator.ping()
    await reencrypt(operator)
    remove_old_keys(file)
    assert (await asleep.datasources.list(dataset.id))[0].config.secret == "the secret"
    await asleep.ping()
    await asleep.datasources.change(dataset.id, put(dataset.id, config("S3", s3SecretAccessKey="another")))
    assert await keys_in_use(sqlite_url) == {key_id}
    await asleep.close()
    await operator.close()


async def test_server_that_starts_during_a_rotation_reads_the_file_again(sqlite_url: str, file: KeyFile) -> None:
    """It had read the key file, then the rotation ended, and it found secrets of an unknown key."""
    operator = await open_catalog(sqlite_url, file)
    dataset = await operator.datasets.add("ann", NewDataset(name="cats"))
    await operator.datasources.change(dataset.id, put(dataset.id, config("S3")))
    early = Keyring.load_or_create(file.path)
    add_key(file)
    await operator.ping()
    await reencrypt(operator)
    await (await Catalog.open(sqlite_url, early)).close()
    await operator.close()


async def test_secret_that_no_key_decrypts_is_reported_and_left(url: str, file: KeyFile) -> None:
    catalog = await open_catalog(url, file)
    ids = [(await catalog.datasets.add("ann", NewDataset(name=f"set {number}"))).id for number in range(3)]
    for dataset_id in ids:
        await catalog.datasources.change(dataset_id, put(dataset_id, config("S3")))
    database = parse_database_url(url)
    statement = datasources.update().where(datasources.c.dataset_id == ids[1])
    key_id = catalog._keyring.ids[0]
    await database.write(lambda connection: connection.execute(statement.values(secret=f"{key_id}:AAAA")))
    await database.close()
    add_key(file)
    await catalog.ping()
    some = await catalog.secrets.reencrypt_some("")
    assert (some.seen, some.failed) == (3, [ids[1]])
    assert await catalog.secrets.count_with_other_keys() == 1
    await catalog.close()


def test_first_key_signs_when_every_server_knows_it(file: KeyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was started after a rotation signed cursors that others did not accept for a second."""
    keyring = Keyring.load_or_create(file.path)
    live = keyring.follow("cursors")
    (old,) = live
    add_key(file)
    keyring.check_file()
    now = time.time()
    assert live[0] == old
    assert len(live) == len(set(live)) == 2
    assert Keyring.load_or_create(file.path).derive("cursors") == tuple(live)
    monkeypatch.setattr(time, "time", lambda: now + SETTLE_SECONDS + 1)
    assert live[1] == old
    remove_old_keys(file)
    keyring.check_file()
    assert old not in live
    assert len(live) == 1


def test_a_replaced_file_keeps_its_mode_and_a_link(file: KeyFile, tmp_path: Path) -> None:
    """After a rotation, a server in the group of the file could not read it."""
    file.path.chmod(0o640)
    link = tmp_path / "data" / "secret.key"
    link.parent.mkdir()
    link.symlink_to(file.path)
    add_key(KeyFile(link))
    assert link.is_symlink()
    assert file.path.stat().st_mode & 0o777 == 0o640
    assert len(parse_keys(file.path.read_text().strip(), "")) == 2
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data", "secret.key"]


def test_only_one_command_changes_the_keys(file: KeyFile) -> None:
    """Each of two commands would write its own key, and the key of the first would be lost."""
    with file.locked(), pytest.raises(StartupError, match="another command is changing the key file"), file.locked():
        pass
    with file.locked():
        pass


def _foreign(file: KeyFile) -> None:
    file.replace(dict([new_key()]))


def _removed(file: KeyFile) -> None:
    file.path.unlink()


@pytest.mark.parametrize("happens", [_foreign, _removed], ids=lambda do: do.__name__)
def test_a_file_without_the_key_of_a_secret_is_not_used(file: KeyFile, happens: Callable[[KeyFile], None]) -> None:
    keyring = Keyring.load_or_create(file.path)
    ids = keyring.ids
    happens(file)
    unknown = Keyring([new_key()]).encrypt("s", "d")
    with pytest.raises(HeadwaterError, match="a key that this server does not have"):
        keyring.decrypt(unknown, "d")
    assert keyring.ids == ids
