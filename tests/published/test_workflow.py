"""The published clients, unmodified, on a live server.

`workflow.py` does what a user of each client does; its report is compared with the files on disk.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.environments import ROOT
from tests.live import Live, running
from tests.published.environments import HERE, VERSIONS, Environment, installed
from tests.servers import moto_server, s3_client

FIRST, BETWEEN, NEWEST = VERSIONS

IMAGES = [f"camera {side}/img_{index:02}.png" for side in ("left", "right") for index in range(10)]
"""More than two pages of the server."""

PREDICTIONS = {f".lightly/predictions/detection/{name}.json": f'{{"of": "{name}"}}' for name in "abcdefghi"}
RELEVANT = ".lightly/predictions/detection/c.json"
METADATA = {".lightly/metadata/schema.json": "[]", ".lightly/metadata/camera left/img_00.json": "{}"}
OLD = 1_600_000_000
"""The time of the first image and of all other files; each further image is one minute newer."""

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c63600000000200015e0b4f6b0000000049454e44ae426082"
)
"""The smallest PNG image, with one pixel."""

BUCKET = "published"


class WorkflowInput(NamedTuple):
    """The argument of `workflow.py`."""

    name: str
    """A unique name that distinguishes the datasets of one run from those of another."""
    root: str
    """The folder of the LOCAL datasources."""
    path: str
    """The same folder, relative to the mount root of the server."""
    download: str
    """A folder for downloads."""
    image: str
    window: tuple[int, int]
    input: str
    """A bucket and path that contains only images."""
    lightly: str
    """A bucket and path that contains only a `.lightly/` folder."""
    foreign: str
    """A dataset of another user."""
    calls: list[str]
    """The documented calls."""

    def to_json(self) -> str:
        """Return the argument as text."""
        since, to = self.window
        return json.dumps({**self._asdict(), "from": since, "to": to, "unknown": "f" * 24})


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A bucket with all images at one path and a `.lightly/` folder at another."""
    with moto_server() as url, s3_client(url) as client:
        client.create_bucket(Bucket=BUCKET)
        for name in IMAGES:
            client.put_object(Bucket=BUCKET, Key=f"in/{name}", Body=_bytes(name))
        for name, text in PREDICTIONS.items():
            client.put_object(Bucket=BUCKET, Key=f"out/{name}", Body=text.encode())
        yield url


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, s3: str) -> Iterator[Live]:
    """A server with small pages for all clients of this module."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "files").mkdir()
    (folder / "managed").mkdir()
    with running(
        folder,
        local_root=str(folder / "files"),
        managed_store=(folder / "managed").as_uri(),
        s3_endpoint=s3,
        allowed_endpoints="127.0.0.0/8",
        page_size="7",
    ) as running_server:
        yield running_server


class Ran(NamedTuple):
    """The result of a run of `workflow.py`."""

    version: str
    found: dict[str, Any]
    root: Path
    downloads: Path


@pytest.fixture(scope="module", params=VERSIONS)
def ran(request: pytest.FixtureRequest, live: Live, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run the workflow once for each version; each test checks one part."""
    environment: Environment = installed(request.param)
    root = Path(live.environ["HEADWATER_LOCAL_ROOT"]) / f"of {environment.version}"
    _fill(root)
    downloads = tmp_path_factory.mktemp("downloads")
    stranger = live.headwater("token", "create", "--user", "stranger")
    made = live.call(
        "POST", "/v1/datasets", {"name": f"of a stranger {len(request.node.name)}{os.urandom(3).hex()}"}, token=stranger
    )
    workflow_input = WorkflowInput(
        name=os.urandom(4).hex(),
        root=str(root),
        path=root.name,
        download=str(downloads),
        image=IMAGES[3],
        window=(OLD + 60, OLD + 5 * 60),
        input=f"s3://{BUCKET}/in",
        lightly=f"s3://{BUCKET}/out/",
        foreign=made.json["id"],
        calls=list(_documented()),
    )
    environ = {"LIGHTLY_SERVER_LOCATION": live.url, "LIGHTLY_TOKEN": live.token}
    found = environment.run("workflow.py", workflow_input.to_json(), environ=environ)
    return Ran(environment.version, found, root, downloads)


def _fill(root: Path) -> None:
    files = {name: _bytes(name) for name in IMAGES}
    files |= {name: text.encode() for name, text in (PREDICTIONS | METADATA).items()}
    files |= {
        ".lightly/embeddings/all.csv": b"filenames,embedding_0\n",
        ".lightly/relevant.txt": b"camera left/img_0*\ncamera right/img_03.png\n",
        ".lightly/relevant-predictions.txt": b".lightly/predictions/detection/b*\n" + RELEVANT.encode(),
        "notes.txt": b"no sample",
    }
    for index, (name, body) in enumerate(files.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        at = OLD + 60 * index if name in IMAGES else OLD
        os.utime(path, (at, at))


def _bytes(name: str) -> bytes:
    """Return an image that differs from all others: readers ignore what follows its end."""
    return PNG + name.encode()


def _documented() -> dict[str, list[str]]:
    """Return the calls in the table of `docs/coming-from-lightly.md`, each with the versions that it works in."""
    text = (ROOT / "docs" / "coming-from-lightly.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \| ([✓–]) \| ([✓–]) \| ([✓–]) \|$", text, re.MULTILINE)
    return {row[0]: [each for each, mark in zip(VERSIONS, row[1:], strict=True) if mark == "✓"] for row in rows}


def _downloaded(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _contents(names: list[str]) -> dict[str, bytes]:
    return {name: _bytes(name) for name in names}


def test_documented_calls_are_the_tested_ones(ran: Ran) -> None:
    documented = _documented()
    assert ran.found["calls"] == [name for name, versions in documented.items() if ran.version in versions]
    program = (HERE / "workflow.py").read_text()
    run = set(re.findall(r"\bused\.([a-z]\w*)|(\bdownload\.\w+)\(", program))
    known = {f"{call}{function}" for call, function in run} - {"upload_file_with_signed_url", "api_client"}
    assert known == set(documented)


def test_datasets_are_created_found_and_deleted(ran: Ran) -> None:
    found, name = ran.found["datasets"], ran.found["name"]
    assert found["type"] == "Images"
    assert found["by name"]
    assert found["deleted"]
    assert found["names"] == [f"{name} {each}" for each in ("a", "b", "b_1", "b_2")]
    latest, texts = found["the latest"]
    assert latest
    assert any("taking the last modified dataset" in text for text in texts)
    assert found["no such name"]["classes"][0] == "ValueError"
    # The oldest version uses the existing dataset instead.
    assert found["again"] == {"value": "None"} if ran.version == FIRST else found["again"]["classes"][0] == "ValueError"
    assert found["enriched"] == [[0, 0]]


def test_datasets_are_found_by_name_and_owner(ran: Ran) -> None:
    if ran.version == FIRST:
        assert "shared" not in ran.found["datasets"], "this version has no such call"
        return
    found, name = ran.found["datasets"], ran.found["name"]
    assert found["exists"] == [True, False]
    assert found["name exists"] == [True, True, False]
    assert found["shared"] == {"own": [f"{name} a"], "shared": [], "all": [f"{name} a"]}
    assert (found["all"], found["not shared"]) == (4, 0)
    assert found["set"]["classes"][0] == "ValueError"
    assert sorted(found["enriched by name"]) == [f"{name} b", f"{name} b_1", f"{name} b_2"]
    assert found["children"] == []
    assert found.get("enriched by ids", True)


def test_every_type_of_config_is_set_and_read(ran: Ran) -> None:
    found = ran.found["configs"]
    refused = found.pop("a server as path", None)
    assert set(found) == {"S3", "S3DelegatedAccess", "GCS", "AZURE", "LOCAL", "OBS", "LIGHTLY"}
    for kind, config in found.items():
        assert config["type"] == kind
        assert config["fullPath"].endswith("some/path")
        assert config["purpose"] == "INPUT_OUTPUT"
        assert "a-secret" not in json.dumps(config)
    assert found["S3"]["s3SecretAccessKey"]
    assert found["S3DelegatedAccess"]["s3ExternalId"] == "an-external-id"
    assert ("thumbSuffix" in found["GCS"]) == (ran.version == FIRST)
    assert found["LOCAL"].get("webServerLocation") == ("http://localhost:3456" if ran.version == NEWEST else None)
    if refused is not None:
        assert (refused["status"], refused["code"]) == (400, "MALFORMED_REQUEST")
        assert "fullPath" in refused["text"]


def test_permissions_are_listed(ran: Ran) -> None:
    permissions = ran.found["listing"]["permissions"]
    flags = ["can_list", "can_read", "can_write"] + ([] if ran.version == FIRST else ["can_overwrite"])
    assert {name: value for name, value in permissions.items() if value is not None} == dict.fromkeys(flags, True)


def test_raw_samples_are_listed_completely_and_by_window(ran: Ran) -> None:
    found = ran.found["listing"]
    assert found["all"] == IMAGES
    assert found["window"] == IMAGES[1:6]
    assert found["nothing"] == []


def test_samples_are_downloaded(ran: Ran) -> None:
    assert _downloaded(ran.downloads / "all") == _contents(IMAGES)
    if ran.version != NEWEST:
        assert ran.found["listing"]["image"] == [1, 1]


def test_relevant_filenames_shards_and_redirected_urls_are_listed(ran: Ran) -> None:
    found = ran.found["listing"]
    if ran.version == FIRST:
        assert "relevant" not in found, "this version has no such call"
        return
    relevant = [*IMAGES[:10], "camera right/img_03.png"]
    assert found["relevant"] == relevant
    assert found["redirected"] == IMAGES
    assert found["redirected differ"]
    assert _downloaded(ran.downloads / "redirected") == _contents(IMAGES[:5])
    if ran.version == NEWEST:
        assert found["shards"] == IMAGES
        assert found["relevant shards"] == relevant
        assert int(found["head"]) == len(_bytes(IMAGES[3]))


def test_new_samples_are_listed_once(ran: Ran) -> None:
    found = ran.found["new"]
    assert found["first"] == IMAGES
    assert found["second"] == ["new.png"]
    assert found["again"] == [*IMAGES, "new.png"]
    first, second = found["marks"]
    assert OLD < first < second <= time.time()


def test_predictions_metadata_and_embeddings_are_listed_and_read(ran: Ran) -> None:
    found = ran.found["folders"]
    if ran.version == FIRST:
        assert found is None, "this version has no such call"
        return
    assert found["predictions"] == found["redirected"] == list(PREDICTIONS)
    assert found["window"] == []
    assert found["relevant"] == list(PREDICTIONS)[1:3]
    assert found["no such task"] == []
    assert sorted(found["metadata"]) == sorted(METADATA)
    assert found["a prediction"] == found["its row"] == '{"of": "a"}'
    assert found["a metadata file"] == "[]"
    assert found["an embedding"].startswith("filenames,")
    assert (found["not there"]["classes"][0], "404" in found["not there"]["text"]) == ("HTTPError", True)
    assert found["written"] == "written"
    assert found["written is listed"] == [".lightly/predictions/written/by.json"]
    if ran.version == NEWEST:
        assert found["predictions in shards"] == found["by iterator"] == list(PREDICTIONS)
        assert found["metadata in shards"] == sorted(METADATA)
        assert (found["of a run"]["status"], found["of a run"]["code"]) == (404, "DOCKER_RUN_UNKNOWN")


def test_input_and_lightly_datasource_are_used_together(ran: Ran) -> None:
    found = ran.found["two"]
    if ran.version == FIRST:
        assert found is None, "this version has no purposes"
        return
    assert found["samples"] == IMAGES
    assert _downloaded(ran.downloads / "two") == _contents(IMAGES)
    assert found["predictions"] == [list(row) for row in PREDICTIONS.items()]
    assert found["datasources"] == [["INPUT", f"s3://{BUCKET}/in"], ["LIGHTLY", f"s3://{BUCKET}/out/"]]
    assert found.get("lightly", f"s3://{BUCKET}/out/") == f"s3://{BUCKET}/out/"


def test_bucket_is_listed_and_downloaded(ran: Ran) -> None:
    assert ran.found["bucket"]["samples"] == IMAGES
    assert _downloaded(ran.downloads / "bucket") == _contents(IMAGES)


def test_managed_storage_is_listed(ran: Ran) -> None:
    assert ran.found["managed"]["samples"] == []


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [
        ("401", 401, "UNAUTHORIZED"),
        ("401 listing", 401, "UNAUTHORIZED"),
        ("403", 403, "FORBIDDEN"),
        ("403 listing", 403, "FORBIDDEN"),
        ("404", 404, "DATASET_UNKNOWN"),
        ("no datasource", 404, "DATASET_DATASOURCE_UNKNOWN"),
        ("no datasource listing", 404, "DATASET_DATASOURCE_UNKNOWN"),
        ("not offered", 404, "NOT_IMPLEMENTED"),
    ],
)
def test_error_raises_the_exception_of_the_client(ran: Ran, what: str, status: int, code: str) -> None:
    refused = ran.found["refusals"][what]
    assert "ApiException" in refused["classes"]
    assert (refused["status"], refused["code"]) == (status, code)


@pytest.mark.parametrize("what", ["404 listing", "404 new"])
def test_unknown_dataset_raises_the_exception_of_the_version(ran: Ran, what: str) -> None:
    refused = ran.found["refusals"][what]
    if ran.version == NEWEST:
        assert refused["classes"][0] == "DatasetNotFoundError"
    else:
        assert (refused["classes"][0], refused["code"]) == ("ApiException", "DATASET_UNKNOWN")


def test_slash_at_the_end_of_the_server_url_has_no_effect(ran: Ran) -> None:
    found = ran.found["slash"]
    assert found["host"].endswith("/") == (ran.version != NEWEST)
    assert found["all"] == IMAGES
    assert _downloaded(ran.downloads / "slash") == _contents(IMAGES[:2])
