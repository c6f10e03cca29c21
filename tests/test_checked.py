"""The check of success responses finds faults, and a fault fails the test run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from tests import checked
from tests import live as live_module

ROOT = Path(__file__).parent.parent
ID = "50000000abcdef1234566789"
DATASET: dict[str, Any] = {
    "id": ID,
    "name": "some",
    "userId": "ada",
    "type": "Images",
    "nSamples": 0,
    "sizeInBytes": 0,
    "createdAt": 1,
    "lastModifiedAt": 1,
    "datasources": [ID],
}
CONFIG: dict[str, Any] = {"id": ID, "type": "LOCAL", "fullPath": "", "purpose": "INPUT_OUTPUT"}
PAGE: dict[str, Any] = {"hasMore": False, "cursor": "c", "data": [{"fileName": "a.png", "readUrl": "http://h/a"}]}


def _faults(path: str, value: Any, method: str = "GET") -> str:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return "; ".join(checked.faults(method, path, body))


@pytest.mark.parametrize(
    ("method", "path", "value"),
    [
        ("GET", f"/v1/datasets/{ID}", DATASET),
        ("GET", "//v1/datasets", [DATASET, DATASET]),
        ("GET", f"/v1/datasets/{ID}/datasource", CONFIG),
        ("GET", f"/v1/datasets/{ID}/datasource/all", [CONFIG]),
        ("GET", f"/v1/datasets/{ID}/datasource/list", PAGE),
        ("GET", "/v1/datasets/enriched", [DATASET | {"samples": [], "nTags": 0, "nEmbeddings": 0}]),
        ("PUT", f"/v1/datasets/{ID}/datasource", b""),
        ("GET", "/v1/versions/pip/latest", "1.2.3"),
    ],
)
def test_valid_response_has_no_faults(method: str, path: str, value: Any) -> None:
    assert _faults(path, value, method) == ""


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("", DATASET | {"imgType": None}, "the response.imgType is null"),
        ("", DATASET | {"color": "red"}, "the response.color is no member of DatasetData"),
        ("", {**DATASET, "datasources": [ID, None]}, "the response.datasources[1] is null"),
        ("", {name: value for name, value in DATASET.items() if name != "name"}, "the response.name is missing"),
        ("", DATASET | {"nSamples": True}, "the response.nSamples is bool, expected integer"),
        ("", DATASET | {"nSamples": 1.5}, "the response.nSamples is float, expected integer"),
        ("", [DATASET], "the response is list, expected DatasetData"),
        (
            "/datasource",
            CONFIG | {"s3Region": "eu-central-1"},
            "the response.s3Region is no member of DatasourceConfigLOCAL",
        ),
        ("/datasource", {"type": "FTP"}, "the response.type is 'FTP', expected one of"),
        ("/datasource/all", [CONFIG | {"thumbSuffix": None}], "the response[0].thumbSuffix is null"),
        ("/datasource/list", PAGE | {"data": [{"fileName": "a.png"}]}, "the response.data[0].readUrl is missing"),
        ("/datasource/list/dnc", {"cursors": "abc"}, "the response.cursors is str, expected a list"),
        ("/datasource/verify", {"canRead": 1}, "the response.canRead is int, expected boolean"),
        ("/datasource/list", b"", "no body"),
        ("/datasource/list", b"{", "not JSON"),
        ("/elsewhere", {}, "the newest client knows no such route"),
    ],
)
def test_fault_is_found(path: str, value: Any, fault: str) -> None:
    assert fault in _faults(f"/v1/datasets/{ID}{path}", value)


def test_unexpected_body_is_a_fault() -> None:
    assert "expects no body" in _faults(f"/v1/datasets/{ID}", {}, "DELETE")


async def _send_through_check(response: Response, path: str, method: str = "GET") -> tuple[int, bytes, list[str]]:
    """Send a response through the check; return the status and body that were sent, and the reported faults."""
    sent: list[Message] = []
    reported: list[str] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing must be received")

    scope: Scope = {"type": "http", "method": method, "path": path, "headers": [], "asgi": {"spec_version": "2.4"}}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await response(scope, receive, send)

    await checked.CheckedResponses(app, reported.append)(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]), reported


async def test_invalid_response_becomes_a_500() -> None:
    status, body, reported = await _send_through_check(JSONResponse([DATASET | {"imgType": None}]), "/v1/datasets")
    assert status == 500
    assert reported == ["GET /v1/datasets: the response[0].imgType is null"] == [body.decode()]


async def test_valid_response_is_sent_unchanged() -> None:
    response = JSONResponse({"id": ID}, 201)
    assert await _send_through_check(response, "/v1/datasets", "POST") == (201, response.body, [])


@pytest.mark.parametrize(
    ("response", "path"),
    [
        (JSONResponse({"code": None}, 404), "/v1/datasets"),
        (PlainTextResponse("bytes"), "/files/a/b"),
        (JSONResponse({"status": None}), "/healthz"),
        (Response(status_code=307, headers={"Location": "/x"}), f"/v1/datasets/{ID}/datasource/readurlRedirect"),
    ],
)
async def test_errors_and_other_paths_are_not_checked(response: Response, path: str) -> None:
    assert await _send_through_check(response, path) == (response.status_code, response.body, [])


async def test_response_in_pieces_is_checked_at_its_end() -> None:
    async def pieces() -> Any:
        for piece in (b'[{"id"', b": null}]"):
            yield piece

    status, body, reported = await _send_through_check(
        StreamingResponse(pieces(), media_type="application/json"), "/v1/datasets"
    )
    assert (status, body) == (200, b'[{"id": null}]')
    assert "the response[0].id is null" in reported[0]


def test_servers_of_tests_check_their_responses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a member is removed from the table, responses of the same server become invalid."""
    table = json.loads(checked.MEMBERS.read_text())
    del table["models"]["DatasetData"]["members"]["userId"]
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "members.json").write_text(json.dumps(table))
    monkeypatch.setattr(live_module, "CHECKED", Path(shutil.copy(checked.__file__, tmp_path)))
    monkeypatch.setenv(checked.REPORT, str(tmp_path / "report"))
    with live_module.running(tmp_path) as live:
        live.dataset("seen")
        answer = live.call("GET", "/v1/datasets")
    assert answer.status == 500
    assert "the response[0].userId is no member of DatasetData" in answer.body.decode()
    assert (tmp_path / "report").read_text() == answer.body.decode() + "\n"


def test_invalid_response_fails_a_run_in_which_all_tests_pass(tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text("from tests import checked\n\ndef test_it():\n    checked.report('GET /v1/x: bad')\n")
    options = ("-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(test)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != checked.REPORT},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert "GET /v1/x: bad" in done.stdout
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
