"""LIGHTLY datasources: storage of the server, with one area per dataset (contract.md#datasource-config)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.live import Live, command, environ_for, fetch, running
from tests.servers import AZURE_ACCOUNT, AZURE_KEY, KEY_ID, SECRET, azure_client, azurite, rclone_s3, s3_client
from tests.stores.azure.server import container_sas
from tests.stores.gcs.server import GcsServer

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

pytestmark = pytest.mark.slow  # each test starts a server

LIGHTLY = {"type": "LIGHTLY", "fullPath": "whatever/the client/sends"}
ALL = {"canRead": True, "canWrite": True, "canList": True, "canOverwrite": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mount root. It contains the managed folder and the data folder, which LOCAL datasources must not see."""
    return tmp_path_factory.mktemp("managed")


@pytest.fixture(scope="module")
def live(folder: Path) -> Iterator[Live]:
    (folder / "areas").mkdir()
    with running(folder, local_root=str(folder), managed_store=f"file://{folder}/areas", page_size="2") as started:
        yield started


def test_area_is_created_on_demand_and_left_clean(live: Live, folder: Path) -> None:
    dataset = live.configured(LIGHTLY)
    assert live.call("GET", live.datasource(dataset)).json["fullPath"] == LIGHTLY["fullPath"]
    assert not (folder / "areas" / dataset).exists()
    assert live.names(dataset) == []
    assert live.call("GET", live.datasource(dataset, "verify")).json == ALL
    assert list((folder / "areas" / dataset).iterdir()) == []


def test_files_in_the_area_are_listed_and_read(live: Live, folder: Path) -> None:
    dataset = live.configured(LIGHTLY)
    area = folder / "areas" / dataset
    for name in ("a b.png", "sub/ü.png", "z.mp4"):
        (area / name).parent.mkdir(parents=True, exist_ok=True)
        (area / name).write_bytes(name.encode())
    rows = [row for page in live.pages(dataset) for row in page["data"]]
    assert [row["fileName"] for row in rows] == ["a b.png", "sub/ü.png", "z.mp4"]
    for row in rows:
        assert row["readUrl"].startswith(f"{live.url}/managed/{dataset}/")
        assert fetch(row["readUrl"]).body == row["fileName"].encode()
    assert fetch(rows[0]["readUrl"].replace("/managed/", "/files/")).status == 403


def test_area_is_isolated_from_other_datasets(live: Live, folder: Path) -> None:
    one = live.configured(LIGHTLY)
    (folder / "areas" / one).mkdir()
    (folder / "areas" / one / "secret.png").write_bytes(b"of one dataset")
    for path in ("../" + one, one, f"/{one}", f"file://{folder}/areas/{one}", ""):
        other = live.configured({**LIGHTLY, "fullPath": path})
        assert live.names(other) == []
    for path in ("areas", f"areas/{one}"):
        other = live.configured({"type": "LOCAL", "fullPath": path})
        answer = live.call("GET", live.datasource(other, "list"))
        assert (answer.status, answer.code) == (400, "DATASET_DATASOURCE_INVALID")
    whole = live.names(live.configured({"type": "LOCAL", "fullPath": ""}))
    assert not any("secret" in name for name in whole)
    assert live.names(one) == ["secret.png"]


def test_full_path_does_not_change_the_location(live: Live) -> None:
    """The watermark is kept, and a cursor stays valid."""
    dataset = live.configured(LIGHTLY)
    live.call("PUT", live.datasource(dataset, "processedUntilTimestamp"), {"processedUntilTimestamp": 7})
    cursor = live.call("GET", live.datasource(dataset, "list")).json["cursor"]
    live.call("PUT", live.datasource(dataset), {**LIGHTLY, "fullPath": "renamed"})
    assert live.call("GET", live.datasource(dataset, "processedUntilTimestamp")).json == {"processedUntilTimestamp": 7}
    assert live.call("GET", live.datasource(dataset, "list"), query={"cursor": cursor}).status == 200


@pytest.mark.slow
def test_server_without_managed_storage_names_the_setting(tmp_path: Path) -> None:
    with running(tmp_path) as live:
        dataset = live.configured(LIGHTLY)
        answer = live.call("GET", live.datasource(dataset, "list"))
        assert (answer.status, answer.code) == (400, "DATASET_DATASOURCE_INVALID")
        assert "HEADWATER_MANAGED_STORE" in answer.text
        found = live.call("GET", live.datasource(dataset, "verify")).json
        assert not any(found[flag] for flag in ALL)
        assert "HEADWATER_MANAGED_STORE" in found["errors"]["canList"]


@pytest.mark.slow
def test_absent_managed_folder_is_reported(tmp_path: Path) -> None:
    with running(tmp_path, managed_store=f"file://{tmp_path}/unmounted") as live:
        found = live.call("GET", live.datasource(live.configured(LIGHTLY), "verify")).json
        assert not any(found[flag] for flag in ALL)
        assert "its operator must create or mount it" in found["errors"]["canList"]
        assert not (tmp_path / "unmounted").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("managed", "local_root"),
    [
        ("/srv/managed", None),
        ("file://srv/managed", None),
        ("file:///", None),
        ("s3://", None),
        ("https://bucket.s3.amazonaws.com/x", None),
        ("s3://bucket/x?versionId=1", None),
        ("file://{folder}", "{folder}"),
        ("file://{folder}", "{folder}/below"),
    ],
)
def test_invalid_setting_is_refused_at_startup(tmp_path: Path, managed: str, local_root: str | None) -> None:
    settings = {"managed_store": managed.format(folder=tmp_path)}
    if local_root is not None:
        settings["local_root"] = local_root.format(folder=tmp_path)
    done = command(environ_for(tmp_path / "data", **settings), "serve")
    assert done.returncode == 6
    assert "HEADWATER_MANAGED_STORE" in done.stderr


def _s3_identity(home: Path, **variables: str) -> dict[str, str]:
    """Return environment variables with which botocore finds only the given credentials."""
    return {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(home / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-credentials"),
        **variables,
    }


def test_areas_in_s3_with_the_servers_own_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "buckets" / "managed").mkdir(parents=True)
    given = _s3_identity(tmp_path, AWS_ACCESS_KEY_ID=KEY_ID, AWS_SECRET_ACCESS_KEY=SECRET, AWS_REGION="eu-west-1")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with (
        rclone_s3(tmp_path / "buckets") as url,
        running(tmp_path, managed_store="s3://managed/headwater", s3_endpoint=url) as live,
    ):
        one, other = live.configured(LIGHTLY), live.configured(LIGHTLY)
        assert live.call("GET", live.datasource(one, "verify")).json == ALL
        with s3_client(url) as client:
            client.put_object(Bucket="managed", Key=f"headwater/{one}/a.png", Body=b"pixels")
        assert live.names(one) == ["a.png"]
        assert live.names(other) == []
        (page,) = live.pages(one)
        assert f"/managed/headwater/{one}/a.png?" in page["data"][0]["readUrl"]
        assert fetch(page["data"][0]["readUrl"]).body == b"pixels"


@pytest.mark.slow
def test_server_without_aws_credentials_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in _s3_identity(tmp_path).items():
        monkeypatch.setenv(name, value)
    with running(tmp_path, managed_store="s3://managed") as live:
        found = live.call("GET", live.datasource(live.configured(LIGHTLY), "verify")).json
        assert not any(found[flag] for flag in ALL)
        assert "has no AWS credentials of its own" in found["errors"]["canList"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [{"AWS_PROFILE": "absent"}, {"AWS_ROLE_ARN": "arn:aws:iam::1:role/x", "AWS_WEB_IDENTITY_TOKEN_FILE": "/no"}],
)
def test_unusable_aws_credentials_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    """Errors of botocore's credential chain that are not its own exceptions were a 500."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in _s3_identity(tmp_path, **given).items():
        monkeypatch.setenv(name, value)
    with running(tmp_path, managed_store="s3://managed") as live:
        found = live.call("GET", live.datasource(live.configured(LIGHTLY), "verify")).json
        assert not any(found[flag] for flag in ALL)
        assert "This server's own AWS credentials are not available" in found["errors"]["canList"]


@pytest.mark.slow
def test_areas_in_cloud_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with GcsServer() as gcs:
        (tmp_path / "key.json").write_text(json.dumps(gcs.key_file()))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        settings = {"gcs_endpoint": gcs.url, "allowed_endpoints": "127.0.0.1"}
        with running(tmp_path, managed_store="gs://bucket/headwater/", **settings) as live:
            one, other = live.configured(LIGHTLY), live.configured(LIGHTLY)
            assert live.call("GET", live.datasource(one, "verify")).json == ALL
            gcs.put("bucket", f"headwater/{one}/a b.png", b"pixels")
            (page,) = live.pages(one)
            assert [row["fileName"] for row in page["data"]] == ["a b.png"]
            assert fetch(page["data"][0]["readUrl"]).body == b"pixels"
            assert live.names(other) == []
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
        with running(tmp_path, managed_store="gs://bucket", **settings) as live:
            found = live.call("GET", live.datasource(live.configured(LIGHTLY), "verify")).json
            assert "GOOGLE_APPLICATION_CREDENTIALS" in found["errors"]["canList"]


@pytest.fixture(scope="module")
def azurite_url() -> Iterator[str]:
    with azurite() as url:
        yield url


@pytest.fixture
def container(azurite_url: str) -> Iterator[ContainerClient]:
    with azure_client(azurite_url) as client:
        yield client.create_container(f"managed-{uuid.uuid4().hex[:12]}")


@pytest.mark.parametrize("by", ["key", "connection string"])
def test_areas_in_azure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, azurite_url: str, container: ContainerClient, by: str
) -> None:
    given = {"AZURE_STORAGE_ACCOUNT": AZURE_ACCOUNT, "AZURE_STORAGE_KEY": AZURE_KEY}
    if by == "connection string":
        given = {"AZURE_STORAGE_CONNECTION_STRING": f"AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};x=y"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    managed = f"az://{container.container_name}/headwater"
    with running(tmp_path, managed_store=managed, azure_endpoint=azurite_url) as live:
        one, other = live.configured(LIGHTLY), live.configured(LIGHTLY)
        assert live.call("GET", live.datasource(one, "verify")).json == ALL
        container.upload_blob(f"headwater/{one}/a b.png", b"pixels")
        (page,) = live.pages(one)
        assert [row["fileName"] for row in page["data"]] == ["a b.png"]
        assert fetch(page["data"][0]["readUrl"]).body == b"pixels"
        assert live.names(other) == []
    for name in given:
        monkeypatch.delenv(name)
    sas = container_sas(container.container_name)
    for own in ({}, {"AZURE_STORAGE_ACCOUNT": AZURE_ACCOUNT, "AZURE_STORAGE_KEY": sas}):
        # The SAS token would be part of every URL and give access to the areas of all datasets.
        for name, value in own.items():
            monkeypatch.setenv(name, value)
        with running(tmp_path, managed_store=managed, azure_endpoint=azurite_url) as live:
            found = live.call("GET", live.datasource(live.configured(LIGHTLY), "verify")).json
            assert not any(found[flag] for flag in ALL)
            assert "would open the areas of all datasets" in found["errors"]["canList"]
            assert sas not in str(found)
