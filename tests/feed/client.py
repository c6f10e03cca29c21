"""An HTTP client with kept connections, which repeats a request until a server answers it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode, urlsplit

from tests.feed.clocks import HEADER

MAX_WAIT_SECONDS = 60.0
"""How long a request is repeated, in real seconds: a server that was killed is restarted meanwhile."""

PAUSE_SECONDS = 0.05


class Address(Protocol):
    """A server, whose URL changes when it is restarted."""

    @property
    def url(self) -> str:
        """The URL at present."""


class Answer(NamedTuple):
    """The status and the decoded body of a response."""

    status: int
    json: Any


class _Open(NamedTuple):
    url: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Client:
    """Sends requests to one of several servers.

    Args:
        servers: the servers, which have one catalog.
        token: the token of a user.

    Attributes:
        unavailable: the number of 503 that were received.
    """

    def __init__(self, servers: Sequence[Address], token: str) -> None:
        self._servers = servers
        self._token = token
        self._idle: dict[int, list[_Open]] = {number: [] for number in range(len(servers))}
        self.unavailable = 0

    @property
    def servers(self) -> int:
        """The number of servers."""
        return len(self._servers)

    async def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Any = None,
        *,
        clock: int | None = None,
        server: int = 0,
    ) -> Answer:
        """Send a request until it is answered with another status than 503. The arguments are those of `send`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + MAX_WAIT_SECONDS
        while True:
            try:
                answer = await self.send(method, path, query, body, clock=clock, server=server)
                if answer.status != 503:
                    return answer
                self.unavailable += 1
            except (OSError, EOFError):
                pass  # the server was killed, or has closed an idle connection
            if loop.time() > deadline:
                raise TimeoutError(f"no answer to {method} {path}")
            await asyncio.sleep(PAUSE_SECONDS)

    async def send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Any = None,
        *,
        clock: int | None = None,
        server: int = 0,
    ) -> Answer:
        """Send a request once.

        Args:
            method: such as GET.
            path: without the query.
            query: its parameters.
            body: is sent as JSON.
            clock: the number of the clock that the server uses; None is the real time.
            server: the number of the server.

        Raises:
            OSError, EOFError: there is no answer.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        content = b"" if body is None else json.dumps(body).encode()
        time = "" if clock is None else f"{HEADER}: {clock}\r\n"
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: server\r\nAuthorization: Bearer {self._token}\r\n"
            f"{time}Content-Length: {len(content)}\r\nContent-Type: application/json\r\n\r\n"
        )
        return await self._exchange(head.encode() + content, server)

    def close(self) -> None:
        """Close all connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.writer.close()

    async def _exchange(self, request: bytes, server: int) -> Answer:
        connection = await self._connection(server)
        try:
            connection.writer.write(request)
            head = (await connection.reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length:", 1)[1].split("\r\n", 1)[0])
            body = await connection.reader.readexactly(length)
        except BaseException:
            connection.writer.close()
            raise
        self._idle[server].append(connection)
        return Answer(int(head.split(" ", 2)[1]), json.loads(body) if body else None)

    async def _connection(self, server: int) -> _Open:
        url = self._servers[server].url
        while self._idle[server]:
            connection = self._idle[server].pop()
            if connection.url == url and not connection.reader.at_eof():
                return connection
            connection.writer.close()
        address = urlsplit(url)
        return _Open(url, *await asyncio.open_connection(address.hostname, address.port))
