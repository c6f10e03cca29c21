"""Every request has an id and a log line; unexpected errors are 500 responses."""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit

import httpx
from fastapi import FastAPI

from headwater.service.context import open_context
from headwater.settings import Settings
from headwater.web.app import create_app
from tests.live import Live


def test_disconnect_during_an_upload_is_no_error(live: Live) -> None:
    """Each disconnect wrote a traceback, so anyone with a token could fill the log."""
    parts = urlsplit(live.url)
    path = f"{live.datasource(live.dataset())}?token={live.token}"
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        connection.sendall(f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{{".encode())
        time.sleep(0.2)
    limit = time.monotonic() + 5
    while "client_disconnected" not in live.log.read_text():
        assert time.monotonic() < limit
        time.sleep(0.02)
    assert "Traceback" not in live.log.read_text()


def test_every_response_has_a_request_id_that_is_in_the_log(live: Live) -> None:
    answers = [live.call("GET", "/docs"), live.call("GET", "/nowhere"), live.call("GET", "/v1/datasets", token="")]
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert len(set(ids)) == 3
    limit = time.monotonic() + 5
    while not all(request_id in live.log.read_text() for request_id in ids):
        assert time.monotonic() < limit, "the line is written right after the response"
        time.sleep(0.01)


async def test_unexpected_error_is_a_500_without_details(tmp_path: object) -> None:
    """The request id leads to the traceback in the log. The response has neither text nor type of the exception."""
    async with open_context(Settings.load({"HEADWATER_DATA_DIR": str(tmp_path)})) as ctx:
        app: FastAPI = create_app(ctx)

        async def broken() -> None:
            raise RuntimeError("an internal secret")

        app.add_api_route("/broken", broken)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://headwater.test") as client:
            answer = await client.get("/broken")
    assert answer.status_code == 500
    body = answer.json()
    assert set(body) == {"code", "error", "message", "requestId"}
    assert body["code"] == "MALFORMED_RESPONSE"
    assert body["requestId"] == answer.headers["X-Request-Id"]
    assert "internal" not in answer.text
    assert "RuntimeError" not in answer.text
