"""The one way in which stores speak HTTP: bounded in time, size and number, and retried where that is safe."""

from __future__ import annotations

import asyncio
import random
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

from headwater.domain.errors import LocationInvalidError, StoreError, StoreUnavailableError
from headwater.domain.pasted import pasted_address
from headwater.net.egress import Egress

if TYPE_CHECKING:
    import httpcore

    from headwater.net.connections import LookUps, Resolver

ATTEMPTS = 4
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
PER_HOST = 32
"""Requests under way to one host at most; further ones wait."""

PAUSE_SECONDS = 0.2
"""The longest pause before the second attempt; each further one may be twice as long."""

RETRY_TOKENS = 50.0
"""Retries that one host may cost in a row. Each success gives half a one back, so that a host that is down
is asked once per request rather than `ATTEMPTS` times."""

_PORTS = {"http": 80, "https": 443}
_HOSTS_REMEMBERED = 1000
_host_name = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?").fullmatch
_ipv6 = re.compile(r"[0-9a-f:.]*:[0-9a-f:.]*").fullmatch


class Origin(NamedTuple):
    """Where a connection goes. `host` is lower-case ASCII, an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The `Host` header: without the port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if _PORTS[self.scheme] == self.port else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse_endpoint(url: str, member: str) -> tuple[Origin, str]:
    """Split an endpoint URL into its origin and its path, percent-encoded, without a slash at the end.

    Args:
        url: such as `https://storage.example.com:9000/base`.
        member: the config member or setting that holds it, for the error text.

    Raises:
        LocationInvalidError: it is not such a URL; the text names the member.
    """
    host = ""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if ":" not in host:
            host = host.encode("idna").decode("ascii").lower()
        port = _PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
    except (ValueError, UnicodeError):
        port = 0
    # urlsplit drops line breaks and tabs without a word.
    if not port or re.search(r"[\x00-\x20\x7f]", url) or not (_host_name(host) or _ipv6(host)):
        raise LocationInvalidError(
            f"{member}: expected a URL such as https://storage.example.com, with a host name or address"
        )
    if (page := pasted_address(host)) is not None:
        raise LocationInvalidError(
            f"{member}: this is {page.what}; expected the URL at which the storage itself answers"
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise LocationInvalidError(f"{member}: expected a URL without a user, query or fragment")
    return Origin(parts.scheme, host, port), quote(parts.path.rstrip("/"), safe="/%~")


class Response(NamedTuple):
    """An answer, read to its end. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def byte_range(start: int, limit: int) -> str:
    """The value of a range header that asks for `limit` bytes, one at least, from the byte `start` on."""
    return f"bytes={start}-{start + max(limit, 1) - 1}"


def read_range(response: Response, start: int, limit: int) -> bytes:
    """The bytes that were asked for, of an answer with status 200, 206 or 416.

    200 is the whole object where a server ignores ranges; some (rclone) answer a part with it, but with the header that
    tells which part. 416 says that there is no such byte, as in an empty object no byte 0 (RFC 9110, section 15.5.17).
    """
    if response.status == 416:
        return b""
    is_part = response.status == 206 or "content-range" in response.headers
    return response.body[:limit] if is_part else response.body[start : start + limit]


def is_transient_status(status: int) -> bool:
    """Whether a status says that trying again may help: 429 and the 5xx, but for 501 and 505."""
    return status == 429 or (status >= 500 and status not in (501, 505))


def is_transient(response: Response) -> bool:
    """Whether an answer's status says that trying again may help."""
    return is_transient_status(response.status)


class _NotRetryableError(StoreUnavailableError):
    """Another attempt is of no use: the call's own time is over, or no look-up can be made."""


@dataclass
class _Host:
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PER_HOST))
    tokens: float = field(default_factory=lambda: RETRY_TOKENS)
    waiting: int = 0
    facts: set[str] = field(default_factory=set)


class Transport:
    """Shared by all stores of a process, and used from one event loop.

    Args:
        egress: the rules for endpoints that users name.
        call_seconds: how long one call of `request` may take in all.
        connect_seconds: for look-up and connection, and again for the TLS handshake.
        read_seconds: how long a store may be silent. Shorter than `call_seconds`, so that one dead connection
            leaves time for another.
        resolver: finds the addresses of a host; the system's where None.
    """

    def __init__(
        self,
        egress: Egress,
        *,
        call_seconds: float = 20.0,
        connect_seconds: float = 5.0,
        read_seconds: float = 10.0,
        resolver: Resolver | None = None,
    ) -> None:
        self._egress = egress
        self._call_seconds = call_seconds
        self._timeouts = {
            "connect": connect_seconds,
            "read": read_seconds,
            "write": read_seconds,
            "pool": connect_seconds,
        }
        self._resolver = resolver
        self._look_ups: dict[bool, LookUps] = {}
        self._tls: ssl.SSLContext | None = None
        self._pools: dict[tuple[bool, str], httpcore.AsyncConnectionPool] = {}
        self._hosts: dict[tuple[bool, Origin], _Host] = {}

    async def request(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        operator: bool,
        max_body: int,
        should_retry: Callable[[Response], bool] = is_transient,
        idempotent: bool | None = None,
    ) -> Response:
        """Send a request and read the whole answer.

        Connection errors, answers cut short and those that `again` picks are tried again for idempotent methods,
        with pauses, while time and the host's budget last; then the last answer is returned, or its error raised.
        Redirects are not followed.

        Args:
            method: in upper case.
            origin: where to; whose addresses are checked unless `operator`.
            target: path and query, percent-encoded; sent as it is.
            headers: by lower-case name, sent as they are; `host`, `content-length` and, where it is missing,
                `accept-encoding` are added.
            body: what to send.
            operator: the operator of this server named the origin, not a user.
            max_body: bytes; a longer answer is an error.
            again: whether an answer calls for another attempt.
            idempotent: whether the request may be sent again; None goes by the method.

        Raises:
            LocationInvalidError: the origin may not be contacted, is unknown, or does not answer as a store would.
            StoreUnavailableError: it could not be reached or did not answer in time.
        """
        until = time.monotonic() + self._call_seconds
        repeatable = method in IDEMPOTENT if idempotent is None else idempotent
        host = self._host(operator, origin)
        host.waiting += 1
        answer: Response | StoreError | None = None
        try:
            for attempt in range(ATTEMPTS):
                try:
                    answer = await self._attempt(
                        method, origin, target, headers, body, operator, max_body, until, host.gate
                    )
                except _NotRetryableError as error:
                    # What an earlier attempt met says more.
                    answer = answer or error
                    break
                except StoreUnavailableError as error:
                    answer = error
                if isinstance(answer, Response) and not should_retry(answer):
                    host.tokens = min(host.tokens + 0.5, RETRY_TOKENS)
                    break
                pause = _pause(attempt, answer)
                if not repeatable or attempt == ATTEMPTS - 1 or host.tokens < 1 or time.monotonic() + pause >= until:
                    break
                host.tokens -= 1
                await asyncio.sleep(pause)
        finally:
            host.waiting -= 1
        assert answer is not None
        if isinstance(answer, StoreError):
            raise answer
        return answer

    def knows(self, operator: bool, origin: Origin, fact: str) -> bool:
        """Whether `fact` was learned of an origin, such as what its server does not offer."""
        host = self._hosts.get((operator, origin))
        return host is not None and fact in host.facts

    def learn(self, operator: bool, origin: Origin, fact: str) -> None:
        """Remember something of an origin, so that it need not be found out with each request."""
        self._host(operator, origin).facts.add(fact)

    async def aclose(self) -> None:
        """Close all connections."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.aclose()

    async def _attempt(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        operator: bool,
        max_body: int,
        until: float,
        gate: asyncio.Semaphore,
    ) -> Response:
        import httpcore

        from headwater.net import connections as network

        sent = {"host": origin.authority, "accept-encoding": "identity", **headers}
        if body or method in ("PUT", "POST"):
            sent["content-length"] = str(len(body))
        request = httpcore.Request(
            method,
            httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=target),
            headers=list(sent.items()),
            content=body,
            extensions={"timeout": self._timeouts},
        )
        pool = self._pool(operator, origin.scheme)
        try:
            async with asyncio.timeout(until - time.monotonic()), gate:
                response = await pool.handle_async_request(request)
                try:
                    content = await _read(response, max_body, origin)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise _NotRetryableError(f"{origin} did not answer in the time that one request may take") from None
        except network.TooManyLookUpsError as error:
            raise _NotRetryableError(error.message) from None
        except network.ERRORS as error:
            raise network.explain(error, str(origin)) from None
        return Response(
            response.status,
            {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers},
            content,
        )

    def _pool(self, operator: bool, scheme: str) -> httpcore.AsyncConnectionPool:
        # A connection that was opened for the operator was not checked, so it must never serve a user.
        pool = self._pools.get((operator, scheme))
        if pool is None:
            from headwater.net import connections as network

            if operator not in self._look_ups:
                # Whatever hosts users name, the operator's are still found.
                self._look_ups[operator] = network.LookUps(self._resolver or network.resolve)
            backend = network.CheckedBackend(
                (lambda host, found: list(found)) if operator else self._egress.check, self._look_ups[operator]
            )
            if scheme == "https" and self._tls is None:
                self._tls = network.tls_context()
            pool = self._pools[operator, scheme] = network.open_pool(backend, self._tls)
        return pool

    def _host(self, operator: bool, origin: Origin) -> _Host:
        host = self._hosts.get((operator, origin))
        if host is None:
            host = self._hosts[operator, origin] = _Host()
        if len(self._hosts) > _HOSTS_REMEMBERED:
            for key, other in list(self._hosts.items()):
                if other is not host and not other.waiting:
                    del self._hosts[key]
        return host


async def _read(response: httpcore.Response, max_body: int, origin: Origin) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_stream():
        size += len(chunk)
        if size > max_body:
            raise LocationInvalidError(f"{origin} answered with more than {max_body} bytes, which no store does here")
        chunks.append(chunk)
    return b"".join(chunks)


def _pause(attempt: int, answer: Response | StoreError) -> float:
    """Seconds before the next attempt: "full jitter", or what the store asks for where that is longer."""
    pause = random.uniform(0.0, PAUSE_SECONDS * 2**attempt)  # noqa: S311  not for secrets
    asked = answer.headers.get("retry-after", "") if isinstance(answer, Response) else ""
    return max(pause, float(asked)) if asked.isdecimal() and len(asked) < 6 else pause
