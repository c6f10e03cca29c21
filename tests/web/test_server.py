"""Malformed HTTP is refused before it reaches the application."""

from __future__ import annotations

import contextlib
import json
import socket
from urllib.parse import urlsplit

import pytest

from tests.live import Live


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
def test_malformed_http_is_answered_with_the_error_body(live: Live, sent: bytes) -> None:
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


def test_endless_headers_are_refused(live: Live) -> None:
    """The parser has no limit: three connections with 80 MB of headers took 600 MB of the server's memory."""
    parts = urlsplit(live.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        with contextlib.suppress(ConnectionError):
            for number in range(20):
                connection.sendall(b"X-%d: %s\r\n" % (number, b"a" * 8000))
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(65536).startswith(b"HTTP/1.1 400 "), "answered before the headers were complete"
    body = b'{"type": "LOCAL", "fullPath": "' + b"a" * 500_000 + b'"}'
    answer = live.call("PUT", live.datasource(live.dataset()), body)
    assert answer.status == 200, "the limit does not apply to bodies"
