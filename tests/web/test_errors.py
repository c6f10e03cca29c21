"""Every failure has the contract's body, a request id, and nothing of the inside (contract.md#errors)."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI

from headwater.domain.dataset import NewDataset
from headwater.service import admin, configure, limits
from headwater.service.admin import find_dataset
from headwater.service.context import open_context
from headwater.settings import Settings
from headwater.web import app as api_app
from tests.domain.configs import VALID
from tests.live import Live, request


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nowhere", "/v1/datasets/", "/v2/datasets", "/admin", "/%00", "/é"])
def test_unknown_routes(live: Live, path: str) -> None:
    answer = request(live.url, path=path.encode().decode("latin-1") if path.isascii() else "/%C3%A9")
    assert (answer.status, answer.code) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/datasets/0123456789abcdef01234567/tags",
        "/v1/datasets/0123456789abcdef01234567/samples/0123456789abcdef01234568/readurlRedirect",
        "/v1/docker/runs",
        "/v1/quota",
        "//v1/quota",
    ],
)
def test_published_routes_that_are_not_offered(live: Live, path: str) -> None:
    answer = request(live.url, path=path)
    assert (answer.status, answer.code) == (404, "NOT_IMPLEMENTED")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/v1/datasets/0123456789abcdef01234567/datasource", {"GET", "PUT"}),
        ("DELETE", "/v1/datasets/0123456789abcdef01234567/datasource/list", {"GET"}),
        ("PATCH", "/v1/datasets", {"GET", "POST"}),
        ("PUT", "/healthz", {"GET"}),
        ("POST", "/docs", {"GET"}),
        ("DELETE", "/openapi.json", {"GET"}),
        ("OPTIONS", "/v1/datasets/0123456789abcdef01234567", {"GET", "PUT", "DELETE"}),
    ],
)
def test_wrong_methods(live: Live, method: str, path: str, allow: set[str]) -> None:
    answer = request(live.url, method, path)
    assert (answer.status, answer.code) == (405, "BAD_REQUEST")
    assert set(answer.headers["Allow"].split(", ")) - {"HEAD"} == allow


def test_a_body_longer_than_it_says_is_never_read(live: Live) -> None:
    """A body in chunks has no length to refuse it by."""
    dataset = live.dataset()
    parts = urlsplit(live.url)
    head = (
        f"PUT {live.datasource(dataset)}?token={live.token} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        connection.sendall(head.encode())
        for _ in range(17):
            connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            received = connection.recv(65536)
            assert received, answer
            answer += received
    assert b" 413 " in answer.split(b"\r\n", 1)[0]
    assert json.loads(answer.rsplit(b"\r\n\r\n", 1)[1])["code"] == "BAD_REQUEST"


def test_a_token_that_slipped_into_the_path_is_not_repeated(live: Live) -> None:
    """A mistyped `?` makes a token part of a path that does not exist."""
    for path in (f"/v1/datasets&token={live.token}", f"/v1/token={live.token}/x"):
        answer = request(live.url, path=path)
        assert answer.status == 404
        assert live.token.encode() not in answer.body
    assert live.token not in live.log.read_text()


@pytest.mark.parametrize(
    "sent",
    [
        b"FOO /v1/datasets HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/datasets HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT /v1/datasets HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["method", "length", "url", "chunk"],
)
def test_what_is_no_http_has_the_contracts_body_too(live: Live, sent: bytes) -> None:
    parts = urlsplit(live.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        connection.sendall(sent)
        answer = b""
        while received := connection.recv(65536):
            answer += received
    head, body = answer.rsplit(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 400 ")
    found = json.loads(body)
    assert set(found) == {"code", "error", "message", "requestId"}
    assert found["code"] == "MALFORMED_REQUEST"
    assert f"x-request-id: {found['requestId']}".encode() in head


def test_headers_without_end_are_refused(live: Live) -> None:
    """The parser has no bound: three connections with 80 MB of headers each took 600 MB of the server's memory."""
    parts = urlsplit(live.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        with contextlib.suppress(ConnectionError):
            for number in range(20):
                connection.sendall(b"X-%d: %s\r\n" % (number, b"a" * 8000))
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(65536).startswith(b"HTTP/1.1 400 "), "before the headers were complete"
    body = b'{"type": "LOCAL", "fullPath": "' + b"a" * 500_000 + b'"}'
    answer = live.call("PUT", live.datasource(live.dataset()), body)
    assert answer.status == 200, "a body is no header"


def test_a_client_that_hangs_up_in_an_upload_is_no_error(live: Live) -> None:
    """Anyone with a token could fill the log with tracebacks."""
    parts = urlsplit(live.url)
    path = f"{live.datasource(live.dataset())}?token={live.token}"
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        connection.sendall(f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{{".encode())
        time.sleep(0.2)
    limit = time.monotonic() + 5
    while "hung up" not in live.log.read_text():
        assert time.monotonic() < limit
        time.sleep(0.02)
    assert "Traceback" not in live.log.read_text()


def test_every_answer_has_a_request_id_that_is_in_the_log(live: Live) -> None:
    answers = [live.call("GET", "/healthz"), live.call("GET", "/nowhere"), live.call("GET", "/v1/datasets", token="")]
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert len(set(ids)) == 3
    limit = time.monotonic() + 5
    while not all(request_id in live.log.read_text() for request_id in ids):
        assert time.monotonic() < limit, "a line is written right after its answer"
        time.sleep(0.01)


async def test_what_nobody_foresaw_is_a_500_that_tells_nothing(tmp_path: object) -> None:
    """The id leads to the traceback in the log; the answer holds neither text nor type of the exception."""
    async with open_context(Settings.load({"HEADWATER_DATA_DIR": str(tmp_path)})) as ctx:
        app: FastAPI = api_app.create_app(ctx)

        async def broken() -> None:
            raise RuntimeError("a secret of the inside")

        app.add_api_route("/broken", broken)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://headwater.test") as client:
            answer = await client.get("/broken")
    assert answer.status_code == 500
    body = answer.json()
    assert set(body) == {"code", "error", "message", "requestId"}
    assert body["code"] == "MALFORMED_RESPONSE"
    assert body["requestId"] == answer.headers["X-Request-Id"]
    assert "inside" not in answer.text
    assert "RuntimeError" not in answer.text


async def test_too_many_at_once(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_REQUESTS_PER_USER", 0)
    async with open_context(Settings.load({"HEADWATER_DATA_DIR": str(tmp_path)})) as ctx:
        token, _ = await admin.create_token(ctx, "ada", admin=False)
        dataset = await admin.create_dataset(ctx, "ada", NewDataset(name="busy"))
        await configure.put_datasource(ctx, await find_dataset(ctx, dataset.id), VALID["LOCAL"])
        transport = httpx.ASGITransport(app=api_app.create_app(ctx))
        async with httpx.AsyncClient(transport=transport, base_url="http://headwater.test") as client:
            answer = await client.get(f"/v1/datasets/{dataset.id}/datasource/list", params={"token": token})
    assert (answer.status_code, answer.json()["code"]) == (429, "BAD_REQUEST")
    assert int(answer.headers["Retry-After"]) > 0


def test_health_needs_no_token(live: Live) -> None:
    assert request(live.url, path="/healthz").json == {"status": "ok"}
    assert request(live.url, path="/readyz").json == {"status": "ready"}
    head = request(live.url, "HEAD", "/healthz")
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/v1/versions/pip/minimum", "1.2.2"),
        ("/v1/versions/pip/latest?currentVersion=1.2.47", "1.2.47"),
        ("/v1/versions/pip/latest", "1.5.26"),
        ("/v1/versions/pip/latest?currentVersion=nonsense", "1.5.26"),
    ],
)
def test_versions_need_no_token(live: Live, path: str, value: str) -> None:
    answer = request(live.url, path=path)
    assert (answer.status, answer.json) == (200, value)
