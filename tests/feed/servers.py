"""Server processes for histories: one on SQLite, or two replicas on one PostgreSQL. They can be killed."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.feed.bucket import Bucket, BucketServer
from tests.feed.client import Client
from tests.feed.clocks import AHEAD, FILE, Clock, Clocks
from tests.live import START_SECONDS, command, environ_for
from tests.servers import postgres_database, postgres_server

PAGE_SIZE = 3
"""Small, so that a listing has several pages of which each is several pages of the store."""

KILL_DELAY_SECONDS = 0.2
"""How long a kill waits for others: one kill serves many histories, and hits some in the middle of a request."""


class Server:
    """A server process.

    Args:
        environ: its environment.
        log: the file that its standard error is appended to.
    """

    def __init__(self, environ: dict[str, str], log: Path) -> None:
        self._environ = environ
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    async def start(self) -> None:
        """Start the process and wait until it listens."""
        self.spawn()
        assert self._process is not None
        assert self._process.stdout is not None
        line = await asyncio.to_thread(self._process.stdout.readline)
        found = re.search(r"listens on (http://\S+)", line)
        assert found is not None, f"the server did not start: {line!r} {self._log.read_text()[-2000:]}"
        self.url = found[1]

    def spawn(self) -> None:
        """Start the process and do not wait."""
        with self._log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.feed.timed_server", "serve"],
                cwd=Path(__file__).parents[2],
                env=self._environ,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    async def kill(self) -> None:
        """Kill the process without any warning."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Stop the process, if it runs."""
        await self._end(signal.SIGTERM)

    async def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            await asyncio.to_thread(process.wait, START_SECONDS)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


class Installation:
    """Servers with one catalog, and what histories need to use them.

    `database_url` is that of PostgreSQL, and empty for SQLite.
    """

    def __init__(
        self, servers: list[Server], clocks: Clocks, buckets: BucketServer, token: str, database_url: str
    ) -> None:
        self.database_url = database_url
        self._servers = servers
        self._clocks = clocks
        self._kill: asyncio.Task[None] | None = None
        self.buckets = buckets
        self.client = Client(servers, token)

    def new_clock(self) -> Clock:
        """Return a clock for a history."""
        return self._clocks.new()

    def new_bucket(self) -> Bucket:
        """Return an empty bucket."""
        return self.buckets.new()

    async def kill(self) -> None:
        """Kill all servers and start them again. A kill within moments of another one is the same kill."""
        if self._kill is None or self._kill.done():
            self._kill = asyncio.create_task(self._kill_soon())
        await asyncio.shield(self._kill)

    async def _kill_soon(self) -> None:
        await asyncio.sleep(KILL_DELAY_SECONDS)
        await self.kill_now()

    async def kill_now(self, early: float | None = None) -> None:
        """Kill all servers at once and start them again.

        Args:
            early: if given, kill them a second time, this many seconds after they were started again.
        """
        await asyncio.gather(*(server.kill() for server in self._servers))
        if early is not None:
            for server in self._servers:
                server.spawn()
            await asyncio.sleep(early)
            await asyncio.gather(*(server.kill() for server in self._servers))
        await asyncio.gather(*(server.start() for server in self._servers))


@asynccontextmanager
async def installation(folder: Path, feed: str, *, replicas: bool = False) -> AsyncIterator[Installation]:
    """Run servers during the block.

    Args:
        folder: an empty folder for their data and logs.
        feed: the value of `HEADWATER_FEED`.
        replicas: whether there are two servers on one PostgreSQL, whose clocks differ by a second.
    """
    settings = {"page_size": str(PAGE_SIZE), "allowed_endpoints": "127.0.0.1", "feed": feed}
    async with AsyncExitStack() as stack:
        if replicas:
            settings["database_url"] = stack.enter_context(postgres_database(stack.enter_context(postgres_server())))
            settings["secret_key"] = f"test:{base64.b64encode(os.urandom(32)).decode()}"
        clocks = Clocks(folder / "clocks")
        stack.callback(clocks.close)
        servers: list[Server] = []
        environ: dict[str, str] = {}
        for ahead in range(1 + replicas):
            environ = environ_for(folder / "data", **settings) | {FILE: str(clocks.file), AHEAD: str(ahead)}
            servers.append(Server(environ, folder / f"server-{ahead}.log"))
            stack.push_async_callback(servers[-1].stop)
            await servers[-1].start()
        made = await asyncio.to_thread(command, environ, "token", "create", "--user", "ada")
        assert made.returncode == 0, made.stderr
        buckets = await stack.enter_async_context(BucketServer())
        running = Installation(servers, clocks, buckets, made.stdout.strip(), settings.get("database_url", ""))
        stack.callback(running.client.close)
        yield running
