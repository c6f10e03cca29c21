"""An HTTP proxy that injects the faults of networks and overloaded stores, and records requests.

    with FaultProxy(moto_url) as proxy:
        proxy.faults.append(Status(503))
        ...                              # the next request to proxy.url gets a 503, later ones are forwarded
        assert len(proxy.requests) == 2

Without an upstream it is a small fake server: `FaultProxy(respond=lambda request: Status(200, b"..."))`.
It runs in its own thread, so that any test can use it. Each connection serves one request.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit


class Request(NamedTuple):
    """A received request. Header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        """The decoded query."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass(frozen=True)
class Status:
    """Send this response instead of forwarding the request."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """Send these bytes instead of a response, and close."""

    data: bytes


@dataclass(frozen=True)
class Delay:
    """Wait before the response."""

    seconds: float


@dataclass(frozen=True)
class Reset:
    """Reset the TCP connection after this many bytes of the response's body."""

    after: int = 0


@dataclass(frozen=True)
class CutShort:
    """End the body after this many bytes and send no length, so that HTTP cannot detect it."""

    after: int


@dataclass(frozen=True)
class Drip:
    """Send the response byte by byte, with this pause."""

    seconds: float


Fault = Status | Raw | Delay | Reset | CutShort | Drip


class FaultProxy:
    """See the module's docstring. Each request uses up the next of `faults`; None lets a request pass."""

    def __init__(
        self,
        upstream: str | None = None,
        respond: Callable[[Request], Fault | None] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.faults: deque[Fault | None] = deque()
        self.requests: list[Request] = []
        self._upstream = urlsplit(upstream) if upstream else None
        self._respond = respond
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0

    @property
    def url(self) -> str:
        """The URL of the proxy."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls), self._loop
        ).result(10)
        self._server = server
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            try:
                request = await _read_request(reader)
                self.requests.append(request)
                fault = self.faults.popleft() if self.faults else None
                if fault is None and self._respond is not None:
                    fault = self._respond(request)
                await self._respond_to(request, fault, writer)
            finally:
                writer.close()

    async def _respond_to(self, request: Request, fault: Fault | None, writer: asyncio.StreamWriter) -> None:
        match fault:
            case Raw(data):
                writer.write(data)
                await writer.drain()
                return
            case Status():
                response = _encode_response(fault)
            case Delay(seconds):
                await asyncio.sleep(seconds)
                response = await self._forward(request)
            case _:
                response = await self._forward(request)
        head, _, body = response.partition(b"\r\n\r\n")
        match fault:
            case Reset(after):
                writer.write(head + b"\r\n\r\n" + body[:after])
                await writer.drain()
                await asyncio.sleep(0.02)
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return
            case CutShort(after):
                lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
                response = b"\r\n".join(lines) + b"\r\n\r\n" + body[:after]
            case Drip(seconds):
                for byte in response:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(seconds)
                return
        writer.write(response)
        await writer.drain()

    async def _forward(self, request: Request) -> bytes:
        if self._upstream is None:
            response = self._respond(request) if self._respond else None
            return _encode_response(response if isinstance(response, Status) else Status(200))
        reader, writer = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
        try:
            headers = {**request.headers, "connection": "close"}
            lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
            writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + request.body)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head[:-4].split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)


def _encode_response(response: Status) -> bytes:
    headers = {"content-length": str(len(response.body)), **response.headers, "connection": "close"}
    lines = [f"HTTP/1.1 {response.status} Status", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + response.body
