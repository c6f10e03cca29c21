"""Uvicorn with our own shutdown, startup message and HTTP protocol."""

from __future__ import annotations

import asyncio
import ipaddress
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.web.http_protocol import HttpProtocol
from headwater.web.open_connections import MAX_CONNECTIONS, Connections

SHUTDOWN_GRACE_SECONDS = 30
"""Time that requests in flight have to finish after SIGTERM."""

MAX_OPEN_FILES = 65_536
"""How many files the process may open, if the system lets it. The usual default, 1,024, is soon reached."""

log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """One server on one socket.

    From the moment `ended_by_signals` is entered, SIGTERM and SIGINT make `run_on` return. Uvicorn would raise the
    signal again, so that the process exits with its number.

    Args:
        trusted_proxies: the setting `HEADWATER_TRUSTED_PROXIES`.
        max_connections: how many may be open; None is `MAX_CONNECTIONS`.
    """

    def __init__(self, trusted_proxies: str = "", max_connections: int | None = None) -> None:
        proxies = _as_seen(trusted_proxies)
        most = MAX_CONNECTIONS if max_connections is None else max_connections
        self.connections = Connections(min(most, _raise_open_files() // 2))
        super().__init__(
            uvicorn.Config(
                _no_application,
                http=partial(HttpProtocol, self.connections),  # type: ignore[arg-type]  # anything that makes one
                ws="none",
                log_config=None,
                access_log=False,
                lifespan="off",
                proxy_headers=bool(proxies),
                forwarded_allow_ips=proxies,
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_GRACE_SECONDS,
            )
        )
        self._startup_message = ""

    async def run_on(self, listening: socket.socket, app: ASGIApp, startup_message: str = "") -> None:
        """Serve until a signal arrives or `should_exit` is set.

        Args:
            listening: accepts the connections.
            app: answers the requests.
            startup_message: is printed once connections are accepted, unless it is empty.
        """
        self.config.app, self._startup_message = app, startup_message
        await self.serve(sockets=[listening])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then print the startup message, if there is one."""
        await super().startup(sockets)
        if self._startup_message and not self.should_exit:
            print(self._startup_message, flush=True)  # noqa: T201  the output of `headwater serve`

    async def on_tick(self, counter: int) -> bool:
        """Do what uvicorn does ten times a second. Once a second, close connections whose clients are too slow."""
        if counter % 10 == 0:
            now = time.monotonic()
            for connection in list(self.server_state.connections):
                try:
                    connection.check(now)  # type: ignore[union-attr]  # all are of our class
                except Exception:  # it would end the server
                    log.exception("connection_check_failed")
                    connection.transport.abort()
            self.connections.limits.flush_all()
        return await super().on_tick(counter)

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


def _raise_open_files() -> int:
    """Let the process open up to `MAX_OPEN_FILES` files if the system allows it. Return how many it may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return MAX_OPEN_FILES if soft == resource.RLIM_INFINITY else soft


async def _no_application(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("the server was started without an application")


def _as_seen(proxies: str) -> list[str]:
    """Return the networks of `HEADWATER_TRUSTED_PROXIES`, also as a socket for IPv6 shows addresses of IPv4."""
    networks = [ipaddress.ip_network(entry) for part in proxies.split(",") if (entry := part.strip())]
    mapped = [f"::ffff:{each.network_address}/{96 + each.prefixlen}" for each in networks if each.version == 4]
    return [*map(str, networks), *mapped]
