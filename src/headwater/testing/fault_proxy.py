"""An HTTP proxy that does to requests what networks and overloaded stores do, and counts them.

    with FaultProxy(moto_url) as proxy:
        proxy.faults.append(Status(503))
        ...                              # the next request to proxy.url gets a 503, later ones an answer
        assert len(proxy.requests) == 2

Without an upstream it is a small fake server: `FaultProxy(respond=lambda request: Status(200, b"..."))`.
It runs in a thread of its own, so that tests of every kind can use it. One request per connection.
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
    """What arrived. Header names are in lower case."""

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
    """Answer this instead of asking upstream."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """Send these bytes instead of an answer, and close."""

    data: bytes


@dataclass(frozen=True)
class Delay:
    """Wait before answering."""

    seconds: float


@dataclass(frozen=True)
class Reset:
    """Break the connection off (TCP reset) after so many bytes of the answer's body."""

    after: int = 0


@dataclass(frozen=True)
class CutShort:
    """End the body after so many bytes, without a length that would show it: a whole answer as far as HTTP sees."""

    after: int


@dataclass(frozen=True)
class Drip:
    """Send the answer one byte in so many seconds."""

    seconds: float


Fault = Status | Raw | Delay | Reset | CutShort | Drip


class FaultProxy:
    """See the module's docstring. `faults` are used up in order, one for each request; None passes one through."""

    def __init__(
        self,
        upstream: str | None = None,
        respond: Callable[[Request], Fault] | None = None,
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
        """Where it listens."""
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
                await self._answer(request, fault, writer)
            finally:
                writer.close()

    async def _answer(self, request: Request, fault: Fault | None, writer: asyncio.StreamWriter) -> None:
        match fault:
            case Raw(data):
                writer.write(data)
                await writer.drain()
                return
            case Status():
                answer = _write_answer(fault)
            case Delay(seconds):
                await asyncio.sleep(seconds)
                answer = await self._usual(request)
            case _:
                answer = await self._usual(request)
        head, _, body = answer.partition(b"\r\n\r\n")
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
                answer = b"\r\n".join(lines) + b"\r\n\r\n" + body[:after]
            case Drip(seconds):
                for byte in answer:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(seconds)
                return
        writer.write(answer)
        await writer.drain()

    async def _usual(self, request: Request) -> bytes:
        if self._upstream is None:
            answer = self._respond(request) if self._respond else None
            return _write_answer(answer if isinstance(answer, Status) else Status(200))
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


def _write_answer(answer: Status) -> bytes:
    headers = {"content-length": str(len(answer.body)), **answer.headers, "connection": "close"}
    lines = [f"HTTP/1.1 {answer.status} Status", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + answer.body
