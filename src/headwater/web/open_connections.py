"""How many connections are open, in total and for each address, and which of them make room for new ones."""

from __future__ import annotations

import time
from collections import Counter
from ipaddress import ip_address, ip_network
from typing import Protocol

import structlog

from headwater.observability.work import Usage, count

MAX_CONNECTIONS = 10_000
"""Open connections. Fewer if the process may not open twice as many files: a request opens some of its own."""

IPV6_SITE_BITS = 64
"""Addresses with these first bits in common count as one: a single machine can use all of them."""

LOG_SECONDS = 60.0
"""A limit is logged at most once in this time, with the number of times it was met."""

log = structlog.get_logger(__name__)


class Connection(Protocol):
    """An open connection, as its limits see it."""

    @property
    def address(self) -> str:
        """The client, as `client_of` returns it."""

    def give_way(self) -> bool:
        """Close this connection, which waits for a request, unless it still sends. Return whether it was closed."""


class Connections:
    """Counts the open connections, and closes those that wait for a request if others need their place.

    Clients of a reverse proxy all have its address. So one address may have half of all connections, which is plenty
    for a proxy, and the other half remains for everyone else.

    Args:
        most: how many may be open.
    """

    def __init__(self, most: int = MAX_CONNECTIONS) -> None:
        self._most = most
        self._most_per_address = max(most // 2, 1)
        self._open: Counter[str] = Counter()
        # For each address its connections that wait for a request. The one that waits longest is first.
        self._waiting: dict[str, dict[Connection, None]] = {}
        self.limits = LimitLog()

    def usage(self) -> Usage:
        """Return how many connections are open."""
        return Usage("connections", self._open.total(), self._most)

    def add(self, connection: Connection) -> bool:
        """Count a new connection, which waits for a request. Return whether there is a place for it."""
        address = connection.address
        if self._open[address] >= self._most_per_address:
            self.limits.met("connections_of_one_address", address)
            has_place = self._make_room(address)
        elif self._open.total() >= self._most:
            self.limits.met("connections", address)
            busiest_first = sorted(self._waiting, key=lambda each: -len(self._waiting[each]))
            has_place = any(self._make_room(each) for each in busiest_first)
        else:
            has_place = True
        self._open[address] += 1
        self.set_waiting(connection, waiting=True)
        return has_place

    def set_waiting(self, connection: Connection, *, waiting: bool) -> None:
        """Tell whether a connection waits for a request. One that waited already keeps its place."""
        of_address = self._waiting.setdefault(connection.address, {})
        if waiting:
            of_address[connection] = None
            return
        of_address.pop(connection, None)
        if not of_address:
            del self._waiting[connection.address]

    def remove(self, connection: Connection) -> None:
        """Forget a connection that was closed."""
        self.set_waiting(connection, waiting=False)
        self._open[connection.address] -= 1
        if not self._open[connection.address]:
            del self._open[connection.address]

    def _make_room(self, address: str) -> bool:
        """Close the connection of an address that has waited longest. Return whether there was one.

        Those that are still sending no longer count as waiting, so that the next one does not ask them again.
        """
        while oldest := next(iter(self._waiting.get(address, ())), None):
            self.set_waiting(oldest, waiting=False)
            if oldest.give_way():
                return True
        return False


class LimitLog:
    """Logs that limits were met: the first time at once, then at most one line for each limit in `LOG_SECONDS`."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()
        self._clients: dict[str, str] = {}
        self._logged: dict[str, float] = {}

    def met(self, limit: str, client: str) -> None:
        """Note that a client has met a limit."""
        count("limits_met", limit)
        self._times[limit] += 1
        self._clients[limit] = client
        self.flush(limit)

    def flush_all(self) -> None:
        """Log what has been noted since the last line of each limit."""
        for limit in list(self._times):
            self.flush(limit)

    def flush(self, limit: str) -> None:
        """Log how often a limit was met since its last line, unless that was logged a moment ago."""
        now = time.monotonic()
        if now - self._logged.get(limit, -LOG_SECONDS) < LOG_SECONDS:
            return
        self._logged[limit] = now
        log.warning("limit_met", limit=limit, times=self._times.pop(limit), client=self._clients.pop(limit))


def client_of(host: str) -> str:
    """Return the address that a client counts as: for IPv6, the network of its site."""
    if ":" not in host:
        return host
    address = ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or ip_network((int(address), IPV6_SITE_BITS), strict=False))
