"""A real HTTP server on the loopback interface that returns scripted responses and records requests.

The tests in this folder check requests and responses byte by byte. Other tests run against the real server.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

DATASET = "50000000abcdef1234566789"
PATH = f"/v1/datasets/{DATASET}/datasource"


@dataclass
class Request:
    """A received request."""

    method: str
    target: str
    headers: Message
    body: bytes

    @property
    def path(self) -> str:
        return self.target.split("?")[0]

    @property
    def raw_query(self) -> str:
        return urlsplit(self.target).query

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.raw_query, keep_blank_values=True, strict_parsing=bool(self.raw_query))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """A response to send."""

    status: int = 200
    json: Any = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0
    """Seconds before the first byte."""
    hang_up: bool = False
    """Close the connection instead of responding."""
    cut: int = 0
    """Send this many bytes less than announced, then close."""

    def bytes(self) -> bytes:
        if self.body is not None:
            return self.body
        return b"" if self.json is None else json.dumps(self.json).encode()


def failure(status: int, code: str, message: str, **headers: str) -> Answer:
    """Return an error response of the API."""
    body = {"code": code, "error": message, "message": message, "requestId": "request-1"}
    return Answer(status, body, headers={name.replace("_", "-"): value for name, value in headers.items()})


class Scripted:
    """The next responses, in order, and the received requests.

    The last response is repeated. `answer` can be replaced by a function of the request.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self._answers: deque[Answer] = deque()
        self._lock = threading.Lock()
        self.answer: Callable[[Request], Answer] = self._next

    def script(self, *answers: Answer) -> None:
        self._answers = deque(answers)

    @property
    def request(self) -> Request:
        """Return the only request."""
        assert len(self.requests) == 1, self.requests
        return self.requests[0]

    def take(self, request: Request) -> Answer:
        self.requests.append(request)
        return self.answer(request)

    def _next(self, _: Request) -> Answer:
        assert self._answers, "the test scripted no answer"
        with self._lock:
            return self._answers.popleft() if len(self._answers) > 1 else self._answers[0]


@contextlib.contextmanager
def running(tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """Run a server during the block."""
    scripted = Scripted()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_one_request(self) -> None:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                super().handle_one_request()

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = scripted.take(Request(self.command, self.path, self.headers, body))
            time.sleep(answer.delay)
            if answer.hang_up:
                self.close_connection = True
                return
            content = answer.bytes()
            self.send_response_only(answer.status)
            own = {"Server": self.version_string(), "Date": self.date_time_string(), "Content-Type": "application/json"}
            for name, value in {**own, **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) - answer.cut])
            self.close_connection |= answer.cut > 0

        do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815  http.server's names

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64  # with 5, one of eight concurrent connections waits for a second

        def get_request(self) -> tuple[socket.socket, Any]:
            connection, address = super().get_request()
            connection.settimeout(30)
            if tls is None:
                return connection, address
            try:
                return tls.wrap_socket(connection, server_side=True), address
            except OSError:
                connection.close()
                raise

    server = Server(("127.0.0.1", 0), Handler)
    scripted.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield scripted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
