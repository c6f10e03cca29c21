"""Stored secrets: what the files contain, and which key encrypted them."""

import os
import subprocess

import pytest

from headwater.catalog.catalog import Catalog
from headwater.catalog.engine import parse_database_url
from headwater.catalog.keyring import Keyring
from headwater.catalog.tables import datasources
from headwater.domain.dataset import NewDataset
from headwater.domain.errors import HeadwaterError
from tests.catalog.values import config, dataset_with_datasources, put
from tests.domain.configs import SECRETS


async def stored_secrets(url: str) -> list[str]:
    database = parse_database_url(url)
    rows = await database.read(lambda connection: connection.execute(datasources.select()).all())
    await database.close()
    return [row.secret for row in rows]


async def stored_text(url: str) -> str:
    database = parse_database_url(url)
    rows = await database.read(lambda connection: connection.execute(datasources.select()).all())
    await database.close()
    return repr(rows)


def bytes_of(folder) -> bytes:
    # In a process of its own: closing a database file drops the locks that this process holds on it.
    return subprocess.check_output(["cat", *(str(path) for path in sorted(folder.iterdir()))])


async def test_no_file_of_the_data_folder_contains_a_secret(tmp_path):
    """That includes the write-ahead log, and the time after the secret was replaced or its dataset deleted."""
    folder = tmp_path / "data"
    keyring = Keyring.load_or_create(folder / "secret.key")
    catalog = await Catalog.open(f"sqlite:///{folder}/catalog.sqlite3", keyring)
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    clear = []
    for number in range(3):
        for type_name, member in SECRETS.items():
            clear.append(f"clear-{type_name}-{number}-secret")
            new = config(type_name, fullPath=f"place-{type_name}-{number}/x", **{member: clear[-1]})
            await catalog.datasources.change(dataset.id, put(dataset.id, new))
            (stored,) = await catalog.datasources.list(dataset.id)
            assert stored.config.secret == clear[-1]
    while_open = bytes_of(folder)
    assert (folder / "catalog.sqlite3-wal").stat().st_size > 0
    encrypted = await stored_secrets(f"sqlite:///{folder}/catalog.sqlite3")
    await catalog.datasets.delete(dataset.id)
    after_delete = bytes_of(folder)
    await catalog.close()
    closed = bytes_of(folder)
    assert b"place-OBS-2" in while_open, "the bytes that were searched are not those of the catalog"
    for content in (while_open, after_delete, closed):
        assert not [secret for secret in clear if secret.encode() in content]
    # what is deleted is overwritten, also the encrypted text
    assert encrypted[0].encode() in while_open
    assert encrypted[0].encode() not in closed
    assert b"place-OBS-2" not in closed


@pytest.mark.parametrize("type_name", SECRETS)
async def test_no_column_contains_a_secret(url, keyring, type_name):
    catalog = await Catalog.open(url, keyring)
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    await catalog.datasources.change(
        dataset.id, put(dataset.id, config(type_name, fullPath="the-place/x", **{SECRETS[type_name]: "clear-secret"}))
    )
    await catalog.close()
    text = await stored_text(url)
    assert "the-place" in text
    assert "clear-secret" not in text
    assert SECRETS[type_name] not in text


async def test_rotated_key_decrypts_until_it_is_removed(url):
    """The old key decrypts as long as it is there, and every write goes to the new one."""
    old, new = ("old", os.urandom(32)), ("new", os.urandom(32))
    catalog = await Catalog.open(url, Keyring([old]))
    one, two = [await catalog.datasets.add("ann", NewDataset(name=name)) for name in ("one", "two")]
    for dataset in (one, two):
        await catalog.datasources.change(dataset.id, put(dataset.id, config("S3", s3SecretAccessKey=dataset.name)))
    await catalog.close()

    catalog = await Catalog.open(url, Keyring([new, old]))
    for dataset in (one, two):
        assert (await catalog.datasources.list(dataset.id))[0].config.secret == dataset.name
    # a PUT with the mask keeps the secret, and is a write
    await catalog.datasources.change(
        one.id, put(one.id, config("S3", s3SecretAccessKey="********", thumbSuffix="thumbs"))
    )
    assert sorted(secret.partition(":")[0] for secret in await stored_secrets(url)) == ["new", "old"]
    await catalog.datasources.change(two.id, put(two.id, config("S3", s3SecretAccessKey="********")))
    await catalog.close()

    catalog = await Catalog.open(url, Keyring([new]))
    for dataset in (one, two):
        assert (await catalog.datasources.list(dataset.id))[0].config.secret == dataset.name
    await catalog.close()


async def test_secret_moved_to_another_dataset_is_refused(url, keyring):
    """Otherwise a person who can write to the database could send the secret of one user to the server of another."""
    catalog = await Catalog.open(url, keyring)
    one, two = [await catalog.datasets.add("ann", NewDataset(name=name)) for name in ("one", "two")]
    for dataset in (one, two):
        await catalog.datasources.change(dataset.id, put(dataset.id, config("S3")))
    await catalog.close()
    database = parse_database_url(url)
    await database.write(
        lambda connection: connection.exec_driver_sql(
            f"UPDATE datasources SET dataset_id = '{one.id}', purpose = 'LIGHTLY' WHERE dataset_id = '{two.id}'"
        )
    )
    await database.close()
    catalog = await Catalog.open(url, keyring)
    with pytest.raises(HeadwaterError, match="cannot be decrypted") as caught:
        await dataset_with_datasources(catalog, one.id)
    assert caught.value.status == 500
    await catalog.close()


async def test_stored_config_of_unknown_form_is_a_server_error(url, keyring):
    """It was reported as a 400 that told the client of a GET to correct its body."""
    catalog = await Catalog.open(url, keyring)
    dataset = await catalog.datasets.add("ann", NewDataset(name="cats"))
    await catalog.datasources.change(dataset.id, put(dataset.id, config("LOCAL")))
    database = parse_database_url(url)
    await database.write(
        lambda connection: connection.exec_driver_sql('UPDATE datasources SET config = \'{"type": "TAPE"}\'')
    )
    await database.close()
    with pytest.raises(HeadwaterError, match="configure it again") as caught:
        await catalog.datasources.list(dataset.id)
    assert caught.value.status == 500
    await catalog.close()
