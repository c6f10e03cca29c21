"""Uvicorn, with what is our own: how it ends, when it says that it listens, and what it answers to broken HTTP."""

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

GRACE = 30
"""Seconds that requests under way have to finish after SIGTERM."""

MOST_HEAD = 64 << 10
"""Bytes of a request's line and headers that are read; a cursor over the longest of names has some 6,000."""

_UNBOUNDED = 1 << 62
_TOO_LONG = f"the request's line and headers are longer than {MOST_HEAD} bytes"

log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """One server on one socket.

    SIGTERM and SIGINT, from the moment `ended_by_signals` is entered, end it by letting `run_on` return; uvicorn's own
    way is to raise the signal again, and to end with its number.
    """

    def __init__(self) -> None:
        super().__init__(
            uvicorn.Config(
                _not_open,
                http=_Protocol,
                log_config=None,
                access_log=False,
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE,
            )
        )
        self._greeting = ""

    async def run_on(self, listening: socket.socket, app: ASGIApp, greeting: str) -> None:
        """Serve until a signal comes. `greeting` is printed once connections are accepted."""
        self.config.app, self._greeting = app, greeting
        await self.serve(sockets=[listening])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then greet."""
        await super().startup(sockets)
        if not self.should_exit:
            print(self._greeting, flush=True)  # noqa: T201  what the command says

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: `ended_by_signals` does, for longer."""
        yield

    @contextmanager
    def ended_by_signals(self) -> Iterator[None]:
        """For the length of the block, SIGTERM and SIGINT ask the server to end; a second SIGINT does not wait."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        for number in numbers:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


class _Protocol(HttpToolsProtocol):
    _head = 0

    def data_received(self, data: bytes) -> None:
        """Refuse a request whose line and headers grow beyond `MOST_HEAD`; the parser has no bound of its own."""
        self._head += len(data)
        super().data_received(data)
        if self._head > MOST_HEAD and not self.transport.is_closing():
            self.send_400_response(_TOO_LONG)

    def on_headers_complete(self) -> None:
        """From here on a body comes, which is read as the application asks for it."""
        super().on_headers_complete()
        self._head = -_UNBOUNDED

    def on_message_complete(self) -> None:
        """The next request of the connection begins."""
        super().on_message_complete()
        self._head = 0

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with the contract's body too."""
        request_id = secrets.token_hex(12)
        log.warning("a request that cannot be read", request_id=request_id, reason=msg)
        reason = _TOO_LONG if msg == _TOO_LONG else "the request is not well-formed HTTP"
        body = error_body(MalformedRequestError(reason), request_id)
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncache-control: no-store\r\n"
            f"x-request-id: {request_id}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


async def _not_open(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("the server was started without an application")
