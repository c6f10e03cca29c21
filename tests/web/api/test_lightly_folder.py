"""Predictions, metadata and embeddings under `.lightly/` (contract.md#lightly-folder)."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.live import Live, fetch

NOW = int(time.time())
PREDICTIONS = [f".lightly/predictions/task/{index:02}.json" for index in range(10)]
METADATA = [".lightly/metadata/a b.json", ".lightly/metadata/schema.json", ".lightly/metadata/sub/ü.json"]
OTHERS = [
    ".lightly/predictions/schema.json",
    ".lightly/predictions/task.json",
    ".lightly/predictions/task 2/00.json",
    ".lightly/predictions/taskmore/00.json",
    ".lightly/metadata.json",
    ".lightly/embeddings/e.csv",
    "task/00.json",
    "a.png",
]


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        os.utime(path, (NOW, NOW))


def local(bucket: Path, purpose: str = "INPUT_OUTPUT") -> dict[str, str]:
    return {"type": "LOCAL", "fullPath": bucket.name, "purpose": purpose}


@pytest.fixture
def dataset(live: Live, bucket: Path) -> str:
    make(bucket, *PREDICTIONS, *METADATA, *OTHERS)
    (bucket / ".lightly/predictions/task/empty folder").mkdir()
    return live.configured(local(bucket))


def call(live: Live, dataset: str, operation: str, **query: Any) -> Any:
    return live.call("GET", live.datasource(dataset, operation), query=query)


def url(live: Live, dataset: str, operation: str, name: str) -> str:
    answer = call(live, dataset, operation, fileName=name)
    assert answer.status == 200, answer.body
    assert isinstance(answer.json, str)
    return answer.json


def test_listing_contains_every_file_of_its_folder(live: Live, dataset: str) -> None:
    pages = list(live.pages(dataset, "predictions/list", taskName="task"))
    assert len(pages[0]["data"]) <= 7
    rows = [row for page in pages for row in page["data"]]
    assert [row["fileName"] for row in rows] == PREDICTIONS
    assert [fetch(row["readUrl"]).body.decode() for row in rows] == PREDICTIONS
    assert live.names(dataset, "predictions/list", taskName="task 2") == [".lightly/predictions/task 2/00.json"]
    assert live.names(dataset, "predictions/list", taskName="absent") == []
    assert live.names(dataset, "metadata/list") == METADATA
    assert live.names(dataset) == ["a.png"]


def test_window_applies(live: Live, dataset: str) -> None:
    assert live.names(dataset, "metadata/list", to=NOW - 100) == []
    assert live.names(dataset, "metadata/list", from_=NOW - 100, to=NOW + 100) == METADATA
    assert live.names(dataset, "metadata/list", from_=9, to=8) == []
    assert call(live, dataset, "metadata/list", **{"from": "x"}).code == "MALFORMED_REQUEST"


def test_cursor_of_another_folder_is_refused(live: Live, dataset: str) -> None:
    cursor = call(live, dataset, "predictions/list", taskName="task").json["cursor"]
    for operation, query in (
        ("predictions/list", {"taskName": "task 2"}),
        ("metadata/list", {}),
        ("list", {}),
    ):
        answer = call(live, dataset, operation, cursor=cursor, **query)
        assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")
        assert "a listing of .lightly/predictions/task/" in answer.text


@pytest.mark.parametrize("task", [None, "", "..", "a/b", "../metadata"])
def test_task_name_is_required(live: Live, dataset: str, task: str | None) -> None:
    query = {} if task is None else {"taskName": task}
    for operation in ("predictions/list", "predictions/list/dnc"):
        answer = call(live, dataset, operation, dncShards=2, **query)
        assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")
        assert answer.text.startswith("taskName: ")


def test_read_url_of_a_single_file(live: Live, dataset: str) -> None:
    for operation, name, key in (
        ("predictions/file", "task/00.json", PREDICTIONS[0]),
        ("predictions/file", PREDICTIONS[0], PREDICTIONS[0]),
        ("predictions/file", "schema.json", ".lightly/predictions/schema.json"),
        ("metadata/file", "sub/ü.json", METADATA[2]),
        ("embeddings/file", "e.csv", ".lightly/embeddings/e.csv"),
    ):
        answer = fetch(url(live, dataset, operation, name))
        assert (answer.status, answer.body.decode()) == (200, key)


def test_url_is_returned_before_the_file_exists(live: Live, dataset: str, bucket: Path) -> None:
    read = url(live, dataset, "predictions/file", "new task/schema.json")
    head = url(live, dataset, "fileHEAD", ".lightly/predictions/new task/schema.json")
    assert (fetch(read).status, fetch(head, "HEAD").status) == (404, 404)
    write = url(live, dataset, "predictions/writeUrl", "new task/schema.json")
    assert fetch(write, "PUT", body={"task": 1}).status == 200
    assert json.loads((bucket / ".lightly/predictions/new task/schema.json").read_bytes()) == {"task": 1}
    assert fetch(read).json == {"task": 1}
    assert fetch(head, "HEAD").status == 200
    assert live.names(dataset, "predictions/list", taskName="new task") == [".lightly/predictions/new task/schema.json"]


def test_url_is_valid_for_one_method(live: Live, dataset: str) -> None:
    write = url(live, dataset, "predictions/writeUrl", "task/00.json")
    read = url(live, dataset, "predictions/file", "task/00.json")
    assert fetch(write).status == 403
    assert fetch(read, "PUT", body=b"x").status == 403


def test_file_head_uses_the_datasource_of_the_folder(live: Live, bucket: Path) -> None:
    input_folder, lightly_folder = bucket / "in", bucket / "own"
    make(input_folder, "a.png", ".lightly/metadata/x.json")
    make(lightly_folder, "b.png", ".lightly/metadata/y.json")
    dataset = live.configured({**local(bucket, "INPUT"), "fullPath": f"{bucket.name}/in"})
    answer = live.call("PUT", live.datasource(dataset), {**local(bucket, "LIGHTLY"), "fullPath": f"{bucket.name}/own"})
    assert answer.status == 200
    found = {
        name: fetch(url(live, dataset, "fileHEAD", name), "HEAD").status
        for name in ("a.png", "b.png", ".lightly/metadata/x.json", ".lightly/metadata/y.json")
    }
    assert found == {
        "a.png": 200,
        "b.png": 404,
        ".lightly/metadata/x.json": 404,
        ".lightly/metadata/y.json": 200,
    }
    assert live.names(dataset) == ["a.png"]
    assert live.names(dataset, "metadata/list") == [".lightly/metadata/y.json"]


@pytest.mark.parametrize("operation", ["predictions/file", "predictions/writeUrl", "metadata/file", "embeddings/file"])
@pytest.mark.parametrize("name", [None, "a", "../a.png", "x/../../../a.png", "/etc/passwd", "folder/", ".lightly"])
def test_file_name_cannot_leave_its_folder(live: Live, dataset: str, operation: str, name: str | None) -> None:
    if name == ".lightly":
        signed = url(live, dataset, operation, name)
        assert f"/.lightly/{operation.split('/')[0]}/.lightly?" in signed
        return
    answer = call(live, dataset, operation, **({} if name is None else {"fileName": name}))
    assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")
    assert answer.text.startswith("fileName: ")


OPERATIONS = {
    "predictions/list": {"taskName": "task"},
    "predictions/list/dnc": {"taskName": "task", "dncShards": "2"},
    "metadata/list": {},
    "metadata/list/dnc": {"dncShards": "2"},
    "predictions/file": {"fileName": "task/00.json"},
    "predictions/writeUrl": {"fileName": "task/00.json"},
    "metadata/file": {"fileName": "schema.json"},
    "embeddings/file": {"fileName": "e.csv"},
    "fileHEAD": {"fileName": ".lightly/x"},
    "list": {},
    "list/dnc": {"dncShards": "2"},
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_missing_purpose_is_named_in_the_error(live: Live, bucket: Path, operation: str) -> None:
    purpose = "LIGHTLY" if operation.startswith("list") else "INPUT"
    dataset = live.configured(local(bucket, purpose))
    answer = call(live, dataset, operation, **OPERATIONS[operation])
    assert (answer.status, answer.code) == (404, "DATASET_DATASOURCE_UNKNOWN")
    assert ("INPUT" if purpose == "LIGHTLY" else "LIGHTLY") in answer.text
    empty = live.dataset()
    assert call(live, empty, operation, **OPERATIONS[operation]).code == "DATASET_DATASOURCE_UNKNOWN"


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name.endswith(("list", "dnc"))])
def test_relevant_filenames_of_a_run_are_refused(live: Live, dataset: str, operation: str) -> None:
    run, artifact = "5" * 24, "6" * 24
    if operation.startswith("list"):  # raw samples have no such parameters
        assert call(live, dataset, operation, **OPERATIONS[operation], relevantFilenamesRunId=run).status == 200
        return
    answer = call(
        live,
        dataset,
        operation,
        **OPERATIONS[operation],
        relevantFilenamesRunId=run,
        relevantFilenamesArtifactId=artifact,
    )
    assert (answer.status, answer.code) == (404, "DOCKER_RUN_UNKNOWN")
    for alone in ({"relevantFilenamesRunId": run}, {"relevantFilenamesArtifactId": artifact}):
        answer = call(live, dataset, operation, **OPERATIONS[operation], **alone)
        assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")
        assert "required together with the other" in answer.text


def test_names_are_byte_faithful(live: Live, bucket: Path) -> None:
    names = [f".lightly/metadata/{odd}" for odd in ("a+b%20#?.json", "e\u0301.json", "a\nb.json", "~.PNG", "🙂.txt")]
    make(bucket, *names)
    dataset = live.configured(local(bucket))
    rows = live.rows(dataset, "metadata/list")
    assert [row["fileName"] for row in rows] == sorted(names, key=str.encode)
    assert [fetch(row["readUrl"]).body.decode() for row in rows] == sorted(names, key=str.encode)
    for row in rows:
        assert fetch(url(live, dataset, "metadata/file", row["fileName"])).body == row["fileName"].encode()
        assert quote(row["fileName"], safe="") not in (live.url,)
