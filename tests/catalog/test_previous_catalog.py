"""A catalog that the previous release wrote is upgraded with everything in it (tests/catalog/previous/README.md)."""

import asyncio
import json
import sqlite3
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from headwater.auth.authenticate import Authenticator, digest
from headwater.auth.permissions import open_dataset
from headwater.catalog.catalog import Catalog
from headwater.catalog.engine import parse_database_url
from headwater.catalog.keyring import Keyring
from headwater.catalog.schema import HEAD, stored_version
from headwater.catalog.tables import datasources
from headwater.domain.errors import UnauthorizedError
from headwater.domain.permissions import Permission
from headwater.domain.purposes import input_datasource
from headwater.domain.read_url import ReadUrlSigner
from headwater.domain.redirected_url import RedirectedUrlSigner
from headwater.domain.users import Principal, Scope
from tests.catalog.feed.fed import Fed, several

PREVIOUS = Path(__file__).with_name("previous")
EXPECTED = json.loads((PREVIOUS / "catalog.json").read_text())
KEYRING = Keyring([(EXPECTED["key_id"], bytes.fromhex(EXPECTED["key"]))])
VERSION = "0002"


@pytest.fixture
async def previous_url(url, tmp_path, monkeypatch):
    """The URL of a database with the catalog of the previous release: a file, or its rows in PostgreSQL."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir()
        _load_dump(path)
        return url
    _load_dump(tmp_path / "previous.db")
    await _make_empty_catalog(url, monkeypatch)
    await _copy_rows(tmp_path / "previous.db", url)
    return url


def _load_dump(path):
    connection = sqlite3.connect(path)
    connection.executescript((PREVIOUS / "catalog.sql").read_text())
    connection.close()


async def _make_empty_catalog(url, monkeypatch):
    def upgrade(original, config, _head):
        original(config, VERSION)

    from alembic import command

    with monkeypatch.context() as patch:
        patch.setattr("alembic.command.upgrade", partial(upgrade, command.upgrade))
        patch.setattr("headwater.catalog.schema.HEAD", VERSION)
        patch.setattr("headwater.catalog.schema._missing", lambda _connection: [])
        await (await Catalog.open(url, KEYRING)).close()


async def _copy_rows(file, url):
    source = sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool)
    previous = sa.MetaData()  # of the tables as that release declared them
    previous.reflect(source, only=lambda name, _: name != "alembic_version")
    for table in previous.sorted_tables:
        with source.connect() as connection:
            rows = [row._asdict() for row in connection.execute(sa.select(table))]
        await _execute(url, sa.insert(table).values(rows))


async def _execute(url, statement):
    database = parse_database_url(url)
    try:
        await database.write(lambda connection: connection.execute(statement))
    finally:
        await database.close()


async def _stored(url, work):
    database = parse_database_url(url)
    try:
        return await database.read(work)
    finally:
        await database.close()


@pytest.fixture
async def catalog(previous_url):
    opened = await Catalog.open(previous_url, KEYRING)
    yield opened
    await opened.close()


async def test_fixture_is_of_the_previous_version(previous_url):
    assert await _stored(previous_url, stored_version) == VERSION
    configs = await _stored(previous_url, lambda connection: connection.execute(sa.select(datasources.c.config)).all())
    assert all("fullPath" in row.config for row in configs)


async def test_catalog_is_upgraded(previous_url):
    await (await Catalog.open(previous_url, KEYRING)).close()
    assert await _stored(previous_url, stored_version) == HEAD
    configs = await _stored(previous_url, lambda connection: connection.execute(sa.select(datasources.c.config)).all())
    assert len(configs) == 8
    assert not any("fullPath" in row.config for row in configs)


async def test_concurrent_starts_upgrade_once(previous_url):
    catalogs = await asyncio.gather(*(Catalog.open(previous_url, KEYRING) for _ in range(4)))
    for catalog in catalogs:
        assert len(await catalog.datasources.list(EXPECTED["datasets"][2]["id"])) == 2
        await catalog.close()
    await (await Catalog.open(previous_url, KEYRING)).close()


async def test_text_that_no_version_wrote_is_kept(previous_url):
    """A row that cannot be read must not keep the server from starting."""
    odd = ["no JSON", "[1]", '{"type":"TAPE","fullPath":"x","more":1}']
    ids = [each["datasources"][0]["id"] for each in EXPECTED["datasets"][:3]]
    for datasource_id, text in zip(ids, odd, strict=True):
        await _execute(
            previous_url, sa.update(datasources).where(datasources.c.id == datasource_id).values(config=text)
        )
    await (await Catalog.open(previous_url, KEYRING)).close()
    rows = await _stored(previous_url, lambda connection: connection.execute(sa.select(datasources)).all())
    stored = {row.id: row.config for row in rows}
    assert [stored[each] for each in ids] == [*odd[:2], '{"type":"TAPE","full_path":"x","more":1}']


async def test_datasets_watermarks_and_counts_are_kept(catalog):
    for expected in EXPECTED["datasets"]:
        dataset = await catalog.datasets.get(expected["id"])
        assert {name: getattr(dataset, name) for name in expected if name != "datasources"} == {
            name: value for name, value in expected.items() if name != "datasources"
        }
    assert len(await catalog.datasets.list(None)) == len(EXPECTED["datasets"]) == 7
    assert any(each["n_samples"] and each["watermark"] for each in EXPECTED["datasets"])


async def test_counts_are_kept_until_everything_was_listed(catalog):
    """Counts by listings continued after a window that was counted. Those of the index begin with a whole listing."""
    expected = next(each for each in EXPECTED["datasets"] if each["n_samples"])
    source = input_datasource(await catalog.datasources.list(expected["id"]))
    assert source is not None
    fed = Fed(catalog, expected["id"], source.id)
    started = await fed.begin()
    await fed.read(started, several("ab", size=7), None, "b")
    assert await fed.counts() == (expected["n_samples"], expected["size_in_bytes"])
    await fed.read(started, several("c", size=7), "b", None)
    assert await fed.counts() == (3, 21)


async def test_datasources_are_read_with_their_secrets(catalog):
    seen = set()
    for expected in EXPECTED["datasets"]:
        found = {source.id: source for source in await catalog.datasources.list(expected["id"])}
        assert set(found) == {each["id"] for each in expected["datasources"]}
        for each in expected["datasources"]:
            config = found[each["id"]].config
            assert config.to_wire() == each["wire"]
            assert config.secret == each["secret"]
            assert config.location.fingerprint == each["location"]
            seen.add((config.type, config.purpose))
    assert {type_name for type_name, _ in seen} == {
        "S3",
        "S3DelegatedAccess",
        "GCS",
        "AZURE",
        "OBS",
        "LOCAL",
        "LIGHTLY",
    }
    assert {purpose for _, purpose in seen} == {"INPUT_OUTPUT", "INPUT", "LIGHTLY"}


async def test_datasources_are_the_same_in_the_query_with_the_dataset(catalog):
    for expected in EXPECTED["datasets"]:
        context = await open_dataset(catalog.datasets, Principal("x", Scope.ADMIN), expected["id"], Permission.READ)
        assert {source.id for source in context.datasources} == {each["id"] for each in expected["datasources"]}


async def test_tokens_authenticate(catalog):
    access = Authenticator(catalog.tokens, None)
    assert len(await catalog.tokens.list()) == len(EXPECTED["tokens"]) == 3
    for token in EXPECTED["tokens"]:
        if token["revoked"]:
            with pytest.raises(UnauthorizedError):
                await access.authenticate([token["text"]], [])
            assert await catalog.tokens.find(digest(token["text"])) is None
        else:
            found = await access.authenticate([token["text"]], [])
            assert (found.user, found.scope) == (token["user"], Scope.ADMIN if token["admin"] else Scope.WRITE)


async def test_users_are_kept(catalog):
    assert await catalog.users.list() == ["ann", "bob", "https://issuer.example.com|user"]


async def test_redirected_urls_are_still_valid(catalog):
    signer = RedirectedUrlSigner(KEYRING.derive("redirected read urls"), EXPECTED["base_url"])
    for expected in EXPECTED["datasets"]:
        found = await catalog.datasources.list(expected["id"])
        for each in expected["datasources"]:
            token = each["redirected_url"].rpartition("publicToken=")[2]
            source = signer.find(found, "a folder/b é.png", token)
            if each["wire"]["purpose"] == "LIGHTLY":
                assert source is None, "a LIGHTLY datasource serves no raw samples"
                continue
            assert source is not None
            assert source.id == each["id"]
            assert signer.sign(source, ["a folder/b é.png"]) == [each["redirected_url"]]


@pytest.mark.parametrize("expected", EXPECTED["read_urls"], ids=["read", "write"])
def test_read_and_write_urls_are_still_valid(expected):
    signer = ReadUrlSigner(KEYRING.derive("read urls"), EXPECTED["base_url"], expected["scope"])
    signature = expected["url"].rpartition("signature=")[2]
    seconds_left = signer.verify(
        expected["path"], str(expected["expires"]), signature, expected["expires"] - 60, write=expected["write"]
    )
    assert seconds_left == 60
