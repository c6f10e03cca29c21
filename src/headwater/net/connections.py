"""Connections of `transport`: httpcore, connected to checked addresses only, and error texts for its exceptions.

Only `transport` imports this module, with the first request: httpcore is slow to import.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import certifi
import httpcore

from headwater.domain.errors import LocationInvalidError, StoreError, StoreUnavailableError
from headwater.net.egress import unknown_host_advice
from headwater.net.proxies import proxy_advice
from headwater.net.threads import DaemonExecutor
from headwater.net.urls import Origin
from headwater.net.users import current_user

Resolver = Callable[[str, int], list[str]]
"""Returns the numeric addresses of a host. Runs in a thread, may block, raises what `socket.getaddrinfo` raises."""

AddressCheck = Callable[[str, Sequence[str]], list[str]]
"""Returns those of a host's addresses that may be used, or raises LocationInvalidError (`Egress.check`)."""

MAX_CONNECTIONS = 256
KEEP_ALIVE_SECONDS = 15.0
"""Shorter than the limits of the stores (S3 closes idle connections after about 20 s)."""

MAX_LOOK_UPS = 128
"""Concurrent DNS look-ups of hosts that users name, and as many of the operator's hosts."""

MAX_LOOK_UPS_PER_USER = 8

FAILURE_SECONDS = 30.0
"""How long a look-up is not repeated that failed after its callers had given up: another one would hang, too."""

_UNKNOWN_NAME = {getattr(socket, name, None) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")}


def resolve(host: str, port: int) -> list[str]:
    """Return what the system's resolver finds. It also accepts odd spellings of addresses (`0x7f.1`, `2130706433`)."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def tls_context() -> ssl.SSLContext:
    """Return a context that trusts the system's root certificates (or `SSL_CERT_FILE`) and those of certifi."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def open_pool(backend: CheckedBackend, tls: ssl.SSLContext | None) -> httpcore.AsyncConnectionPool:
    """Return a pool of HTTP/1.1 connections. It uses no proxies and follows no redirects."""
    return httpcore.AsyncConnectionPool(
        ssl_context=tls,
        max_connections=MAX_CONNECTIONS,
        keepalive_expiry=KEEP_ALIVE_SECONDS,
        network_backend=backend,
    )


class NoLookUpError(StoreUnavailableError):
    """A look-up is not begun: others hang, or the same one did a moment ago."""


class _LookUp(NamedTuple):
    user: str
    started: float
    answer: asyncio.Future[list[str]]


class LookUps:
    """DNS look-ups in threads. Concurrent requests for the same host share one look-up.

    A look-up cannot be cancelled: if DNS does not answer, it keeps its thread for half a minute, long after its callers
    have timed out. So a new request for the host joins the look-up in flight, their number is limited, for each user,
    too, and they run in daemon threads, which the end of the process does not wait for. A look-up that has hung is not
    repeated for a while.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._threads = DaemonExecutor(MAX_LOOK_UPS, "resolver")
        self._in_flight: dict[tuple[str, int], _LookUp] = {}
        self._failed: dict[tuple[str, int], float] = {}

    async def find(self, host: str, port: int, seconds: float) -> list[str]:
        """Return the host's numeric addresses.

        Args:
            host: a name, or an address in any spelling.
            port: the port of the connection.
            seconds: how long to wait.

        Raises:
            TimeoutError: there is no answer yet; the look-up continues.
            NoLookUpError: the maximum number of look-ups hang, or this one did a moment ago; raised without waiting.
            OSError, UnicodeError, ValueError: the resolver raised it.
        """
        loop = asyncio.get_running_loop()
        if loop.time() < self._failed.get((host, port), 0.0):
            raise NoLookUpError(f"DNS gave no answer for the host {host!r} a moment ago. Check the name and DNS")
        async with asyncio.timeout(seconds):
            while (host, port) not in self._in_flight and (others := self._in_the_way()):
                if all(loop.time() - each.started > seconds for each in others):
                    raise NoLookUpError(
                        "Too many hosts are being looked up, and DNS answers for none of them. Try again in a moment"
                    )
                await asyncio.wait([each.answer for each in others], return_when=asyncio.FIRST_COMPLETED)
            if (host, port) not in self._in_flight:
                self._start(host, port, seconds)
            # A caller that is cancelled must not cancel the look-up for the others.
            return await asyncio.shield(self._in_flight[host, port].answer)

    def _in_the_way(self) -> list[_LookUp]:
        """Return the look-ups of which one must end before the current user can have another one."""
        user = current_user()
        own = [each for each in self._in_flight.values() if each.user == user]
        if len(own) >= MAX_LOOK_UPS_PER_USER:
            return own
        return list(self._in_flight.values()) if len(self._in_flight) >= MAX_LOOK_UPS else []

    def _start(self, host: str, port: int, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        answer = asyncio.wrap_future(self._threads.submit(self._resolver, host, port))
        began = loop.time()
        self._in_flight[host, port] = _LookUp(current_user(), began, answer)

        def finish(ended: asyncio.Future[list[str]]) -> None:
            del self._in_flight[host, port]
            # Reading the exception also keeps asyncio from logging it as never retrieved, if nobody waits.
            if ended.cancelled() or ended.exception() is None or loop.time() - began <= seconds:
                return
            now = loop.time()
            self._failed = {each: until for each, until in self._failed.items() if until > now}
            self._failed[host, port] = now + FAILURE_SECONDS

        answer.add_done_callback(finish)


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to exactly the address that was checked, so that a second look-up cannot return another one.

    TLS does not change: the certificate must still match the host's name.
    """

    def __init__(self, check: AddressCheck, look_ups: LookUps) -> None:
        self._check = check
        self._look_ups = look_ups
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check and connect within `timeout` seconds.

        Raises:
            LocationInvalidError: the host is unknown, or none of its addresses may be contacted.
            StoreUnavailableError: the look-up failed, or was not possible (`NoLookUpError`).
        """
        loop = asyncio.get_running_loop()
        seconds = timeout or 60.0
        deadline = loop.time() + seconds
        try:
            found = await self._look_ups.find(host, port, seconds)
        except TimeoutError:
            raise StoreUnavailableError(
                f"Looking up the host {host!r} took too long. Check the name and DNS{proxy_advice(host)}"
            ) from None
        except socket.gaierror as error:
            if error.errno in _UNKNOWN_NAME:
                self._check(host, ())  # refuses it like a name with a forbidden address, unless it is the operator's
            raise _look_up_error(host, error) from None
        except (UnicodeError, ValueError):
            raise LocationInvalidError(f"{host!r} is not a host name. Check how the endpoint is spelled") from None
        addresses = self._check(host, found)
        for remaining in range(len(addresses), 0, -1):
            # Each address gets a part of the time, so that a dead one does not use up all of it.
            share = max((deadline - loop.time()) / remaining, 0.05)
            try:
                return await self._sockets.connect_tcp(addresses[-remaining], port, timeout=share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if remaining == 1:
                    raise
        raise AssertionError("check returns at least one address")

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)


def _look_up_error(host: str, error: socket.gaierror) -> StoreError:
    if error.errno in _UNKNOWN_NAME:
        advice = unknown_host_advice(host)
        return LocationInvalidError(f"The host {host!r} is not known to DNS{advice}")
    return StoreUnavailableError(f"The host {host!r} could not be looked up: DNS gave no answer{proxy_advice(host)}")


ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
)
"""What a request through a pool can raise besides StoreError; `to_store_error` has a text for each."""


def to_store_error(error: Exception, origin: Origin) -> StoreError:
    """Return an error that says what happened and what to check; a LocationInvalidError if a retry cannot help."""
    proxy = proxy_advice(origin.host)
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return LocationInvalidError(
                    f"The TLS certificate of {origin} is not accepted: {cause.verify_message}. Check the "
                    f"endpoint; for a private certificate authority the operator sets SSL_CERT_FILE"
                )
            case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "HTTP_REQUEST" | "RECORD_LAYER_FAILURE"):
                return LocationInvalidError(f"{origin} does not speak TLS on this port. Check the port, or use http://")
            case ssl.SSLError():
                reason = (cause.reason or "connection closed").replace("_", " ").lower()
                return StoreUnavailableError(f"TLS with {origin} failed: {reason}")
            case ConnectionRefusedError():
                return StoreUnavailableError(
                    f"{origin} refused the connection. Check host and port, and that the server there is running{proxy}"
                )
            case OSError(errno=errno.EHOSTUNREACH | errno.ENETUNREACH):
                return StoreUnavailableError(
                    f"There is no route to {origin} from this server. Check network and host{proxy}"
                )
    match error:
        case httpcore.ConnectTimeout():
            return StoreUnavailableError(
                f"{origin} did not accept a connection in time. Check host, port and firewalls{proxy}"
            )
        case httpcore.PoolTimeout():
            return StoreUnavailableError("This server has too many connections to stores. Try again")
        case httpcore.TimeoutException():
            return StoreUnavailableError(f"{origin} stopped answering")
        case httpcore.ConnectError():
            return StoreUnavailableError(f"No connection to {origin} could be made. Check host and port{proxy}")
        case httpcore.RemoteProtocolError():
            return StoreUnavailableError(f"{origin} broke its answer off, or answered something that is not HTTP")
        case httpcore.LocalProtocolError() | httpcore.UnsupportedProtocol():
            return LocationInvalidError(
                f"The request to {origin} cannot be put in HTTP. Check the datasource's members"
            )
        case _:
            return StoreUnavailableError(f"The connection to {origin} broke")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        if isinstance(current, BaseExceptionGroup):
            current = current.exceptions[0]
        else:
            current = current.__cause__ or current.__context__
