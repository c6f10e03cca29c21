"""HTTP/1 on one connection: uvicorn's protocol, with limits for clients and the contract's answer to malformed HTTP.

Uvicorn waits without a limit for clients that do not send or read, and its parser skips the body of a request with the
header `Upgrade`.
"""

from __future__ import annotations

import secrets
import socket
import struct
import time
from typing import Any

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from headwater.domain.errors import MalformedRequestError
from headwater.web.errors import error_body
from headwater.web.open_connections import Connections, client_of

MAX_HEAD_BYTES = 64 << 10
"""The largest request line with headers that is read. A cursor over the longest names has about 6,000 bytes."""

MAX_PIPELINED = 32
"""Requests that may wait for the response to an earlier one of the same connection."""

HEAD_SECONDS = 30.0
"""How long the line and headers of a request may take, from the moment when the connection is free for it."""

BODY_SECONDS, MIN_BODY_BYTES = 30.0, 8 << 10
"""A body must grow by this many bytes in this time. Even a modem at 9,600 bit/s sends four times as many."""

SEND_SECONDS = 120.0
"""How long a client may leave a response that waits for it without acknowledging a byte of it."""

_HEAD_TOO_LARGE = f"the request's line and headers are longer than {MAX_HEAD_BYTES} bytes"
_NOT_HTTP = "the request is not well-formed HTTP"
_HEAD_TOO_SLOW = f"the request's line and headers did not arrive within {HEAD_SECONDS:.0f} seconds; send it again"
_BODY_TOO_SLOW = (
    f"body: fewer than {MIN_BODY_BYTES} bytes were received in {BODY_SECONDS:.0f} seconds; send the request again"
)
_TCP_INFO = getattr(socket, "TCP_INFO", None)
_BYTES_ACKNOWLEDGED = struct.Struct("120xQ")
"""`tcpi_bytes_acked` in Linux's `struct tcp_info`."""

log = structlog.get_logger(__name__)


class HttpProtocol(HttpToolsProtocol):
    """One connection of a client.

    Args:
        connections: all open connections of the server.
        args: those of uvicorn's class.
    """

    def __init__(self, connections: Connections, **args: Any) -> None:
        super().__init__(**args)
        self.address = ""
        """The client, as its connections are counted."""
        self._open_connections = connections
        self._unused_bytes = 0
        """Bytes received since the parser last returned a head, a part of a body or the end of a request."""
        self._unanswered = 0
        """Requests that have begun and whose responses are not complete."""
        self._waiting_since: float | None = None
        """Since when the connection waits for a request; None while one has no response."""
        self._body_expected = False
        """Whether the body of the latest request is not complete. The response may be: applications refuse early."""
        self._received = 0
        self._receiving = _Progress(BODY_SECONDS, MIN_BODY_BYTES)
        self._sending = _Progress(SEND_SECONDS, 1)
        self._last_answer: bytes | None = None
        """What is sent after the responses, before the connection is closed. Once it is set, nothing more is read."""

    def connection_made(self, transport: Any) -> None:
        """Take a connection; close it at once if there are too many."""
        super().connection_made(transport)
        self.address = client_of(self.client[0]) if self.client else ""
        self._waiting_since = time.monotonic()
        if not self._open_connections.add(self):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._open_connections.remove(self)
        super().connection_lost(exc)

    def give_way(self) -> bool:
        """Close this connection, which waits for a request: others need its place. Return whether it was closed.

        It is not while the end of a response is in its buffer. `check` lets it wait again when that was sent.
        """
        if self.transport.get_write_buffer_size() > 0:
            return False
        self.transport.abort()
        return True

    def data_received(self, data: bytes) -> None:
        """Parse what the client sent. The parser has no limit for headers and trailers; it is here."""
        self._unset_keepalive_if_required()
        if self._last_answer is not None or self.transport.is_closing():
            return
        self._unused_bytes += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            self._refuse_malformed(_NOT_HTTP, str(error.__context__ or error))
        else:
            if self._unused_bytes > MAX_HEAD_BYTES:
                self._refuse_malformed(_HEAD_TOO_LARGE, _HEAD_TOO_LARGE)

    def _parse(self, data: bytes) -> None:
        """Parse what the client sent, as if no request had the header `Upgrade`.

        A server ignores this header if it does not want to change the protocol (RFC 9110, section 7.8). The parser
        stops after the head instead, and skips the body. Therefore a new parser gets the head again without the header,
        and then the rest.
        """
        rest = memoryview(data)
        while True:
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
                head = self._head_without_upgrade()
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as in uvicorn
                self.parser.feed_data(head)
            else:
                return

    def _head_without_upgrade(self) -> bytes:
        line = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        headers = [b"%s: %s" % (name, value) for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([line, *headers, b"", b""])

    def on_message_begin(self) -> None:
        """Take the first byte of a request."""
        self._unset_keepalive_if_required()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start a request, unless `_parse` repeats it without the header `Upgrade`."""
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("CONNECT is not offered")
            return
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError(f"more than {MAX_PIPELINED} requests wait for the response to an earlier one")
        super().on_headers_complete()
        self._unused_bytes = 0
        self._unanswered += 1
        self._body_expected = True
        self._receiving.restart()
        if self._waiting_since is not None:
            self._waiting_since = None
            self._open_connections.set_waiting(self, waiting=False)

    def on_body(self, body: bytes) -> None:
        """Pass on a part of a body."""
        self._unused_bytes = 0
        self._received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Pass on the end of a request."""
        if self.parser.should_upgrade():
            return
        self._unused_bytes = 0
        self._body_expected = False
        super().on_message_complete()
        if self._waiting_since is not None:  # the response was sent before
            self._waiting_since = time.monotonic()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """Continue with the next request, or wait for one. The rest of a body is received before it."""
        super().on_response_complete()
        self._unanswered -= 1
        if self._unanswered or self.transport.is_closing():
            return
        if self._last_answer is not None:
            self._close()
        else:
            self._waiting_since = time.monotonic()
            self._open_connections.set_waiting(self, waiting=True)
            if self._body_expected:
                self._unset_keepalive_if_required()

    def check(self, now: float) -> None:
        """Close the connection if its client is too slow. The server calls this about once a second.

        Args:
            now: the time of the monotonic clock.
        """
        unsent = self.transport.get_write_buffer_size() > 0
        if unsent and self._sending.is_stalled(now, _acknowledged_bytes(self.transport)):
            self._open_connections.limits.met("response_not_read", self.address)
            self.transport.abort()
            return
        if not unsent:
            self._sending.restart()
        if self.transport.is_closing() or self._last_answer is not None:
            return
        if self._waiting_since is not None:
            self._open_connections.set_waiting(self, waiting=not unsent)
        if self._body_expected:
            if self.cycle.waiting_for_100_continue or self.flow.read_paused:
                self._receiving.restart()
            elif self._receiving.is_stalled(now, self._received):
                self._open_connections.limits.met("body_too_slow", self.address)
                self._refuse(_answer(_BODY_TOO_SLOW))
        elif self._waiting_since is not None:
            if unsent:
                self._waiting_since = now
            elif now - self._waiting_since > HEAD_SECONDS:
                self._open_connections.limits.met("head_too_slow", self.address)
                self._refuse(_answer(_HEAD_TOO_SLOW) if self._unused_bytes else b"")

    def _refuse_malformed(self, text: str, reason: str) -> None:
        request_id = secrets.token_hex(12)
        log.warning("malformed_http", request_id=request_id, reason=reason)
        self._refuse(_answer(text, request_id))

    def _refuse(self, answer: bytes) -> None:
        """Send an answer after the responses to earlier requests, and close the connection.

        A request whose body is not complete is abandoned: the application sees that its client has disconnected. If it
        has its response already, it gets no other one.
        """
        self._last_answer = answer
        if self._body_expected and not self._unanswered:
            self._last_answer = b""
        elif self._body_expected:
            self._unanswered -= 1
            if self.pipeline:
                self.pipeline.popleft()  # the latest request, which has not been started
            else:
                if self.cycle.response_started:
                    self._last_answer = b""
                self.cycle.disconnected = True
                self.cycle.message_event.set()
        if not self._unanswered:
            self._close()

    def _close(self) -> None:
        if self._last_answer:
            self.transport.write(self._last_answer)
        self.transport.close()


class _Progress:
    """Tells whether a count grows too slowly.

    Args:
        seconds: the time in which it must grow.
        least: by how much.
    """

    __slots__ = ("_count", "_least", "_seconds", "_since")

    def __init__(self, seconds: float, least: int) -> None:
        self._seconds, self._least = seconds, least
        self._since: float | None = None
        self._count = 0

    def restart(self) -> None:
        """Begin anew with the next count."""
        self._since = None

    def is_stalled(self, now: float, count: int) -> bool:
        """Return whether the count has grown too little since it was last enough."""
        if self._since is None or count - self._count >= self._least:
            self._since, self._count = now, count
        return now - self._since > self._seconds


def _acknowledged_bytes(transport: Any) -> int:
    """Return how much the client has acknowledged; where the system does not tell, a number that grows all the time."""
    connected = transport.get_extra_info("socket")
    if _TCP_INFO is not None and connected is not None:
        found = connected.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _BYTES_ACKNOWLEDGED.size)
        if len(found) == _BYTES_ACKNOWLEDGED.size:
            return int(_BYTES_ACKNOWLEDGED.unpack(found)[0])
    return time.monotonic_ns()


def _answer(text: str, request_id: str | None = None) -> bytes:
    """Return a complete 400 response with the error body of the contract."""
    request_id = request_id or secrets.token_hex(12)
    body = error_body(MalformedRequestError(text), request_id)
    head = (
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncache-control: no-store\r\n"
        f"x-request-id: {request_id}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
