"""Uvicorn with our own shutdown, startup message and response to malformed HTTP."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from headwater.domain.errors import MalformedRequestError
from headwater.web.errors import error_body

SHUTDOWN_GRACE_SECONDS = 30
"""Time that requests in flight have to finish after SIGTERM."""

MAX_HEAD_BYTES = 64 << 10
"""The largest request line with headers that is read. A cursor over the longest names has about 6,000 bytes."""

_UNBOUNDED = 1 << 62
_HEAD_TOO_LARGE = f"the request's line and headers are longer than {MAX_HEAD_BYTES} bytes"

log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """One server on one socket.

    From the moment `ended_by_signals` is entered, SIGTERM and SIGINT make `run_on` return. Uvicorn would raise the
    signal again, so that the process exits with its number.
    """

    def __init__(self) -> None:
        super().__init__(
            uvicorn.Config(
                _no_application,
                http=_HttpProtocol,
                log_config=None,
                access_log=False,
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_GRACE_SECONDS,
            )
        )
        self._startup_message = ""

    async def run_on(self, listening: socket.socket, app: ASGIApp, startup_message: str) -> None:
        """Serve until a signal arrives. `startup_message` is printed once connections are accepted."""
        self.config.app, self._startup_message = app, startup_message
        await self.serve(sockets=[listening])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then print the startup message."""
        await super().startup(sockets)
        if not self.should_exit:
            print(self._startup_message, flush=True)  # noqa: T201  the output of `headwater serve`

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: `ended_by_signals` handles signals, for longer than uvicorn would."""
        yield

    @contextmanager
    def ended_by_signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT stop the server within this block. A second SIGINT does not wait for requests."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


class _HttpProtocol(HttpToolsProtocol):
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Refuse a request whose line and headers exceed `MAX_HEAD_BYTES`; the parser has no limit."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(_HEAD_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Stop counting: what follows is the body, which the application reads and limits."""
        super().on_headers_complete()
        self._head_bytes = -_UNBOUNDED

    def on_message_complete(self) -> None:
        """Start counting again for the next request of the connection."""
        super().on_message_complete()
        self._head_bytes = 0

    def send_400_response(self, msg: str) -> None:
        """Answer malformed HTTP with the error body of the contract."""
        request_id = secrets.token_hex(12)
        log.warning("malformed_http", request_id=request_id, reason=msg)
        reason = _HEAD_TOO_LARGE if msg == _HEAD_TOO_LARGE else "the request is not well-formed HTTP"
        body = error_body(MalformedRequestError(reason), request_id)
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncache-control: no-store\r\n"
            f"x-request-id: {request_id}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


async def _no_application(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("the server was started without an application")
