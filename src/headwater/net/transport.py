"""HTTP requests of stores: limited in time, size and number, and retried if that is safe."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from headwater.domain.errors import LocationInvalidError, StoreError, StoreUnavailableError
from headwater.net.egress import Egress
from headwater.net.refreshing import RefreshingCache
from headwater.net.tasks import TaskStarter, start_task
from headwater.net.urls import Origin
from headwater.net.users import UserPlaces
from headwater.observability.work import OTHER, StoreWork, status_label

if TYPE_CHECKING:
    import httpcore

    from headwater.net.connections import LookUps, Resolver

MAX_ATTEMPTS = 4
IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE"})
MAX_REQUESTS_PER_HOST = 32
"""Concurrent requests of one user to one host. Further requests wait."""

MAX_REQUESTS_PER_USER = 64
"""Concurrent requests of one user to all hosts. Further requests wait. The connections of the process
(`connections.MAX_CONNECTIONS`) are enough for several users whose hosts do not answer."""

PAUSE_SECONDS = 0.2
"""The maximum back-off before the second attempt. It doubles with each further attempt."""

MAX_RETRY_TOKENS = 50.0
"""The retry budget of a host. A retry costs one token, a success gives half a token back. So a host that is down gets
one attempt per request, not `MAX_ATTEMPTS`."""

MAX_HOSTS = 1000
"""Hosts whose state is kept."""

MAX_FACTS = 1000
"""Facts about one host that are kept. A user may name any number of buckets at an endpoint."""


class Response(NamedTuple):
    """A complete response. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def byte_range(start: int, limit: int) -> str:
    """Return the value of a range header for `limit` bytes, at least one, from the byte `start` on."""
    return f"bytes={start}-{start + max(limit, 1) - 1}"


def read_range(response: Response, start: int, limit: int) -> bytes:
    """Return the requested bytes from a response with status 200, 206 or 416.

    A server that ignores ranges sends the whole object with status 200. Some (rclone) send the range with status 200
    and the header `content-range`. Status 416 means that the object has no such byte: an empty object has no byte 0
    (RFC 9110, section 15.5.17).
    """
    if response.status == 416:
        return b""
    is_part = response.status == 206 or "content-range" in response.headers
    return response.body[:limit] if is_part else response.body[start : start + limit]


def is_transient_status(status: int) -> bool:
    """Return whether a retry may help: for 429 and all 5xx except 501 and 505."""
    return status == 429 or (status >= 500 and status not in (501, 505))


def is_transient(response: Response) -> bool:
    """Return whether a retry may help, by the status of a response."""
    return is_transient_status(response.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request and its limits.

    Attributes:
        method: in upper case.
        origin: where the request goes. Its addresses are checked unless `is_operator_endpoint` is true.
        target: path and query, percent-encoded; sent unchanged.
        headers: by lower-case name, sent unchanged. `host`, `content-length` and, if it is missing,
            `accept-encoding` are added.
        body: the content to send.
        is_operator_endpoint: the operator of this server configured the origin, not a user.
        max_body_bytes: a longer response is an error.
        should_retry: whether a response calls for another attempt.
        is_idempotent: whether the request may be sent again; None decides by the method.
        provider: a short name of what is asked, for metrics and traces.
    """

    method: str
    origin: Origin
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_operator_endpoint: bool
    max_body_bytes: int
    should_retry: Callable[[Response], bool] = is_transient
    is_idempotent: bool | None = None
    provider: str = OTHER

    @property
    def may_be_repeated(self) -> bool:
        """Whether the request may be sent again after a failed attempt."""
        return self.method in IDEMPOTENT_METHODS if self.is_idempotent is None else self.is_idempotent


class _NotRetryableError(StoreUnavailableError):
    """A retry is useless: the time limit of the call has passed, or no look-up is possible."""


@dataclass
class _Host:
    retry_tokens: float = field(default_factory=lambda: MAX_RETRY_TOKENS)
    requests: int = 0
    facts: dict[str, str] = field(default_factory=dict)
    date: tuple[str, float] | None = None


class Transport:
    """Sends requests. One transport serves a whole process, in one event loop.

    Args:
        egress: the rules for endpoints that users configure.
        call_seconds: the time limit of one call of `request`, retries included.
        connect_seconds: the time limit for look-up and connection, and again for the TLS handshake.
        read_seconds: how long a server may send nothing. Shorter than `call_seconds`, so that after a dead connection
            there is time for another attempt.
        resolver: finds the addresses of a host; None is the system's.
        tls_context: makes the TLS context; None is the one for stores, which trusts the system's roots and certifi's.
        start: starts requests that several callers wait for.

    Attributes:
        asked: questions about servers that stores asked a moment ago, so that all requests which need an answer ask
            once. The answers are facts (`learn`).
    """

    def __init__(
        self,
        egress: Egress,
        *,
        call_seconds: float = 20.0,
        connect_seconds: float = 5.0,
        read_seconds: float = 10.0,
        resolver: Resolver | None = None,
        tls_context: Callable[[], ssl.SSLContext] | None = None,
        start: TaskStarter = start_task,
    ) -> None:
        self.egress = egress
        self.asked: RefreshingCache[None] = RefreshingCache(start, clock=time.monotonic)
        self._call_seconds = call_seconds
        self._timeouts = {
            "connect": connect_seconds,
            "read": read_seconds,
            "write": read_seconds,
            "pool": connect_seconds,
        }
        self._resolver = resolver
        self._tls_context = tls_context
        self._look_ups: dict[bool, LookUps] = {}
        self._tls: ssl.SSLContext | None = None
        self._pools: dict[tuple[bool, str], httpcore.AsyncConnectionPool] = {}
        self._hosts: dict[tuple[bool, Origin], _Host] = {}
        self._of_host = UserPlaces(MAX_REQUESTS_PER_HOST)
        self._of_user = UserPlaces(MAX_REQUESTS_PER_USER)

    async def request(self, request: Request) -> Response:
        """Send a request and return its complete response.

        If the request may be repeated, connection errors, truncated responses and the responses that
        `request.should_retry` selects are retried, with pauses, until the time or the host's retry budget is used up.
        Then the last response is returned, or its error raised. Redirects are not followed.

        Raises:
            LocationInvalidError: the origin may not be contacted, is unknown, or does not respond as a store would.
            StoreUnavailableError: the origin could not be reached or did not respond in time.
        """
        deadline = time.monotonic() + self._call_seconds
        host = self._host(request.is_operator_endpoint, request.origin)
        with StoreWork(request.provider, request.method) as work:
            host.requests += 1
            try:
                result = await self._request_with_retries(request, host, deadline, work)
            finally:
                host.requests -= 1
            if isinstance(result, StoreError):
                raise result
            work.status = status_label(result.status)
            return result

    async def _request_with_retries(
        self, request: Request, host: _Host, deadline: float, work: StoreWork
    ) -> Response | StoreError:
        result: Response | StoreError | None = None
        for attempt in range(MAX_ATTEMPTS):
            try:
                result = await self._attempt(request, deadline)
            except _NotRetryableError as error:
                # The error of an earlier attempt is more informative.
                return result or error
            except StoreUnavailableError as error:
                result = error
            if isinstance(result, Response) and (date := result.headers.get("date")):
                host.date = date, time.time()
            if isinstance(result, Response) and not request.should_retry(result):
                host.retry_tokens = min(host.retry_tokens + 0.5, MAX_RETRY_TOKENS)
                return result
            pause = _pause_seconds(attempt, result)
            is_last = attempt == MAX_ATTEMPTS - 1 or host.retry_tokens < 1 or time.monotonic() + pause >= deadline
            if is_last or not request.may_be_repeated:
                return result
            host.retry_tokens -= 1
            work.retries += 1
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns")

    def knows(self, origin: Origin, fact: str, *, is_operator_endpoint: bool) -> bool:
        """Return whether `learn` recorded a fact about an origin, such as what its server does not offer."""
        return self.recall(origin, fact, is_operator_endpoint=is_operator_endpoint) is not None

    def recall(self, origin: Origin, fact: str, *, is_operator_endpoint: bool) -> str | None:
        """Return the value of a fact that `learn` recorded; None if it is not known."""
        host = self._hosts.get((is_operator_endpoint, origin))
        return None if host is None else host.facts.get(fact)

    def learn(self, origin: Origin, fact: str, value: str = "", *, is_operator_endpoint: bool) -> None:
        """Record a fact about an origin, so that it need not be found out again with each request."""
        facts = self._host(is_operator_endpoint, origin).facts
        facts[fact] = value
        if len(facts) > MAX_FACTS:
            del facts[next(iter(facts))]

    def clock_differences(self) -> dict[Origin, float]:
        """Return by how many seconds the clocks of hosts are ahead of this one, by their last responses.

        The header `Date` has whole seconds, so differences of a second mean nothing.
        """
        found = {}
        for (_, origin), host in self._hosts.items():
            if host.date is not None:
                date, received = host.date
                with suppress(ValueError):
                    found[origin] = parsedate_to_datetime(date).timestamp() - received
        return found

    async def aclose(self) -> None:
        """Close all connections."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.aclose()

    async def _attempt(self, request: Request, deadline: float) -> Response:
        import httpcore

        from headwater.net import connections

        origin = request.origin
        headers = {"host": origin.authority, "accept-encoding": "identity", **request.headers}
        if request.body or request.method in ("PUT", "POST"):
            headers["content-length"] = str(len(request.body))
        sent = httpcore.Request(
            request.method,
            httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=request.target),
            headers=list(headers.items()),
            content=request.body,
            extensions={"timeout": self._timeouts},
        )
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                async with self._host_slots(request), self._user_slots(request):
                    pool = await self._pool(request.is_operator_endpoint, origin.scheme)
                    response = await pool.handle_async_request(sent)
                    try:
                        body = await _read_body(response, request.max_body_bytes, origin)
                    finally:
                        await response.aclose()
        except TimeoutError:
            raise _NotRetryableError(f"{origin} did not answer in the time that one request may take") from None
        except connections.NoLookUpError as error:
            raise _NotRetryableError(error.message) from None
        except connections.ERRORS as error:
            raise connections.to_store_error(error, origin) from None
        return Response(
            response.status,
            {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers},
            body,
        )

    async def _pool(self, is_operator_endpoint: bool, scheme: str) -> httpcore.AsyncConnectionPool:
        # A connection that was opened for the operator was not checked, so it must never serve a user.
        key = (is_operator_endpoint, scheme)
        if key in self._pools:
            return self._pools[key]
        from headwater.net import connections

        if scheme == "https" and self._tls is None:
            # In a thread: reading the certificates of all authorities takes tens of milliseconds.
            self._tls = await asyncio.to_thread(self._tls_context or connections.tls_context)
        if key not in self._pools:
            if is_operator_endpoint not in self._look_ups:
                # Separate, so that the operator's hosts are found even if all look-ups of users' hosts hang.
                self._look_ups[is_operator_endpoint] = connections.LookUps(self._resolver or connections.resolve)
            backend = connections.CheckedBackend(
                (lambda host, addresses: list(addresses)) if is_operator_endpoint else self.egress.check,
                self._look_ups[is_operator_endpoint],
            )
            self._pools[key] = connections.open_pool(backend, self._tls)
        return self._pools[key]

    def _host_slots(self, request: Request) -> asyncio.Semaphore:
        return self._of_host.of_current_user(request.is_operator_endpoint, request.origin)

    def _user_slots(self, request: Request) -> asyncio.Semaphore:
        return self._of_user.of_current_user(request.is_operator_endpoint)

    def _host(self, is_operator_endpoint: bool, origin: Origin) -> _Host:
        host = self._hosts.get((is_operator_endpoint, origin))
        if host is None:
            host = self._hosts[is_operator_endpoint, origin] = _Host()
        if len(self._hosts) > MAX_HOSTS:
            for key, other in list(self._hosts.items()):
                if other is not host and not other.requests:
                    del self._hosts[key]
        return host


async def _read_body(response: httpcore.Response, max_bytes: int, origin: Origin) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_stream():
        size += len(chunk)
        if size > max_bytes:
            raise LocationInvalidError(f"{origin} answered with more than {max_bytes} bytes, the limit of this request")
        chunks.append(chunk)
    return b"".join(chunks)


def _pause_seconds(attempt: int, result: Response | StoreError) -> float:
    """Return the pause before the next attempt: "full jitter", or what `Retry-After` asks for if that is longer."""
    pause = random.uniform(0.0, PAUSE_SECONDS * 2**attempt)  # noqa: S311  not for secrets
    retry_after = result.headers.get("retry-after", "") if isinstance(result, Response) else ""
    return max(pause, float(retry_after)) if retry_after.isdecimal() and len(retry_after) < 6 else pause
