"""Verify of AZURE datasources, as a client of a running server sees it: each flag by what really works."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from headwater.service.verify import TEST_KEY
from tests import live as live_module
from tests.servers import AZURE_ACCOUNT, AZURE_KEY, free_port
from tests.stores.azure.server import account_sas, container_sas
from tests.stores.s3.server import fetch

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient, ContainerClient

pytestmark = pytest.mark.slow  # each test starts a server, or waits for a time limit

ALL = {"canRead": True, "canWrite": True, "canList": True, "canOverwrite": True}


@pytest.fixture(scope="module")
def live(azurite_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[live_module.Live]:
    """A server whose operator has put Blob Storage at Azurite."""
    with live_module.running(tmp_path_factory.mktemp("azure"), azure_endpoint=azurite_url, page_size="7") as running:
        yield running


@pytest.fixture
def container(azure: BlobServiceClient) -> ContainerClient:
    """A container with three images."""
    made = azure.create_container(f"container-{uuid.uuid4().hex[:12]}")
    for name in ("data/a.jpg", "data/b c.png", "data/d.txt"):
        made.upload_blob(name, b"content")
    return made


def config(container: str, key: str = AZURE_KEY, **more: str) -> dict[str, str]:
    return {
        "type": "AZURE",
        "fullPath": f"{container}/data",
        "accountName": AZURE_ACCOUNT,
        "accountKey": key,
        **more,
    }


def verify(live: live_module.Live, dataset: str) -> dict[str, Any]:
    answer = live.call("GET", live.datasource(dataset, "verify"))
    assert answer.status == 200, answer.body
    assert AZURE_KEY not in answer.body.decode()
    assert re.search(r"sig=[A-Za-z0-9%]", answer.body.decode()) is None
    return dict(answer.json)


def flags(answer: dict[str, Any]) -> dict[str, bool]:
    """The flags; there is an error for each that is false, and for no other."""
    found = {name: value for name, value in answer.items() if name != "errors"}
    assert set(answer.get("errors", {})) == {name for name, value in found.items() if not value}
    return found


def stays(container: ContainerClient) -> bool:
    return container.get_blob_client(f"data/{TEST_KEY}").exists()


def test_everything_works_with_an_account_key(live: live_module.Live, container: ContainerClient) -> None:
    dataset = live.configured(config(container.container_name))
    assert verify(live, dataset) == ALL
    assert not stays(container)
    rows = [row for page in live.pages(dataset) for row in page["data"]]
    assert [row["fileName"] for row in rows] == ["a.jpg", "b c.png"]
    assert [fetch(row["readUrl"]) for row in rows] == [(200, b"content")] * 2


def test_many_pages_are_listed(live: live_module.Live, container: ContainerClient) -> None:
    keys = [f"{number:03}.jpg" for number in range(50)]
    for key in keys:
        container.upload_blob(f"data/many/{key}", b"x")
        container.upload_blob(f"data/.lightly/predictions/{key}.json", b"x")
    dataset = live.configured(config(container.container_name))
    assert live.names(dataset) == ["a.jpg", "b c.png", *(f"many/{key}" for key in keys)]


def test_an_exact_feed_contains_no_folder_stubs(live: live_module.Live, container: ContainerClient) -> None:
    """Stubs were listed as files; a response that has nothing but stubs must lead on to the files after them."""
    for number in range(30):
        container.upload_blob(f"data/c{number:02}.mp4", b"", metadata={"hdi_isfolder": "true"})
    dataset = live.configured(config(container.container_name))
    for _ in range(2):
        assert live.names(dataset) == ["a.jpg", "b c.png"]
    container.upload_blob("data/c29.mp4/e.jpg", b"content")
    assert live.names(dataset) == ["a.jpg", "b c.png", "c29.mp4/e.jpg"]


def test_everything_works_with_a_sas_token(live: live_module.Live, container: ContainerClient) -> None:
    for key in (account_sas("rwdlc"), "?" + container_sas(container.container_name, "rwdlc")):
        dataset = live.configured(config(container.container_name, key))
        assert verify(live, dataset) == ALL
        assert live.names(dataset) == ["a.jpg", "b c.png"]


@pytest.mark.parametrize(
    ("permissions", "lacking", "advice"),
    [
        ("rl", {"canWrite", "canOverwrite"}, "permission w (write)"),
        ("rwdc", {"canList"}, "permission l (list)"),
        ("wdcl", {"canRead"}, "permission r (read)"),
        ("rlcd", {"canOverwrite"}, "permission w (write) too"),
        ("rlc", {"canOverwrite"}, "permission w (write) too"),
        ("rlwc", set(), ""),
    ],
)
def test_each_missing_permission_of_a_token_is_named(
    live: live_module.Live, container: ContainerClient, permissions: str, lacking: set[str], advice: str
) -> None:
    name = container.container_name
    for key in (account_sas(permissions), container_sas(name, permissions)):
        dataset = live.configured(config(name, key))
        for _ in range(2):
            # The test file of the first time stays where it cannot be removed, and a second time says the same.
            answer = verify(live, dataset)
            assert flags(answer) == {**ALL, **dict.fromkeys(lacking, False)}
            for flag in lacking:
                assert advice in answer["errors"][flag]
            assert stays(container) == ("d" not in permissions and "c" in permissions)
        if stays(container):
            container.delete_blob(f"data/{TEST_KEY}")


def test_verify_writes_nothing_for_input(live: live_module.Live, container: ContainerClient) -> None:
    dataset = live.configured(config(container.container_name, account_sas("rl"), purpose="INPUT"))
    assert verify(live, dataset) == {**ALL, "canWrite": False, "canOverwrite": False}


@pytest.mark.parametrize("key", ["d3Jvbmc=", "wrong token"])
def test_a_wrong_key_is_refused(live: live_module.Live, container: ContainerClient, key: str) -> None:
    if key == "wrong token":
        key = account_sas()[:-9] + "AAAAAA%3D"
    answer = verify(live, live.configured(config(container.container_name, key)))
    assert flags(answer) == dict.fromkeys(ALL, False)
    assert all("Check accountKey" in text for text in answer["errors"].values())


def test_an_expired_token_is_refused(live: live_module.Live, container: ContainerClient) -> None:
    dataset = live.configured(config(container.container_name, account_sas(hours=-1)))
    answer = verify(live, dataset)
    assert flags(answer) == dict.fromkeys(ALL, False)
    assert all("the SAS token has expired" in text for text in answer["errors"].values())
    listed = live.call("GET", live.datasource(dataset, "list"))
    assert (listed.status, listed.code) == (400, "DATASET_DATASOURCE_CREDENTIALS_ERROR")


@pytest.mark.parametrize(
    ("member", "value", "text"),
    [
        ("accountKey", "not-a-key", "accountKey: expected an account key"),
        ("accountKey", f"AccountName=a;AccountKey={AZURE_KEY}", "Paste only what follows AccountKey="),
        ("accountName", "UPPER", "accountName: expected the name of a storage account"),
        ("fullPath", "no_container/data", "fullPath: expected container/path"),
        ("fullPath", "no-such-container/data", "There is no such container: check fullPath"),
    ],
)
def test_an_invalid_configuration_fails_every_flag(live: live_module.Live, member: str, value: str, text: str) -> None:
    """A PUT accepts it, because it checks only the form."""
    answer = verify(live, live.configured({**config("data"), member: value}))
    assert flags(answer) == dict.fromkeys(ALL, False)
    assert all(text in error for error in answer["errors"].values())


def test_an_unreachable_endpoint_is_reported_in_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("nobody")
    with live_module.running(folder, azure_endpoint=f"http://127.0.0.1:{free_port()}") as live:
        began = time.monotonic()
        answer = verify(live, live.configured(config("data")))
        assert time.monotonic() - began < 15
        assert flags(answer) == dict.fromkeys(ALL, False)
        assert all("refused the connection" in text for text in answer["errors"].values())


def test_the_documented_permissions_are_sufficient_and_necessary(
    live: live_module.Live, container: ContainerClient
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "providers" / "azure.md").read_text()
    read, write = re.findall(r"^\| list.*\| `([a-z]+)` \|$", page, re.MULTILINE)
    name = container.container_name

    def tried(permissions: str, **more: str) -> dict[str, Any]:
        return verify(live, live.configured(config(name, container_sas(name, permissions), **more)))

    assert tried(read, purpose="INPUT") == {**ALL, "canWrite": False, "canOverwrite": False}
    assert tried(write) == ALL
    assert not stays(container)
    for one in write:
        answer = tried(write.replace(one, ""))
        # Without d the test file stays, which no flag tells.
        assert stays(container) if one == "d" else answer != ALL, one


@pytest.mark.parametrize("key", [AZURE_KEY, account_sas()])
def test_a_mistyped_folder_is_noted_with_its_neighbours(
    live: live_module.Live, container: ContainerClient, key: str
) -> None:
    """A mistyped folder was verified with four times yes, and nothing was ever listed. The flags stay as they are."""
    container.upload_blob("other/b.jpg", b"content")
    name = container.container_name
    dataset = live.configured(config(name, key, fullPath=f"{name}/Data"))
    answer = live.call("GET", live.datasource(dataset, "verify"))
    assert answer.json == ALL
    assert answer.headers["Headwater-Note"] == "there are no files under 'Data/'; nearby: 'data/'"
    dataset = live.configured(config(name, key, fullPath=f"{name}/{name}/night/data"))
    note = live.call("GET", live.datasource(dataset, "verify")).headers["Headwater-Note"]
    assert str(note).endswith("/night/data/'; nearby: 'data/'")
