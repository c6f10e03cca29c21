"""What lies below `transport`: connections by httpcore, to addresses that were checked, and what its errors mean.

Only `transport` imports this module, when the first request is made: httpcore takes a while to load.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence

import certifi
import httpcore

from headwater.domain.errors import LocationInvalidError, StoreError, StoreUnavailableError
from headwater.net.threads import DaemonExecutor

Resolver = Callable[[str, int], list[str]]
"""Finds the numeric addresses of a host; runs in a thread, may block, raises what `socket.getaddrinfo` raises."""

Check = Callable[[str, Sequence[str]], list[str]]
"""Keeps those of a host's addresses that may be used, or raises LocationInvalidError (`Egress.check`)."""

MAX_CONNECTIONS = 256
KEEP_IDLE_SECONDS = 15.0
"""Shorter than the stores' own limits (S3 closes idle connections after about 20 s)."""

LOOK_UPS = 64
"""Look-ups under way at most: of the hosts that users name, and as many of the operator's."""

_UNKNOWN_NAME = {getattr(socket, name, None) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")}


def resolve(host: str, port: int) -> list[str]:
    """Ask the system's resolver, which also reads odd spellings of addresses (`0x7f.1`, `2130706433`)."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def tls_context() -> ssl.SSLContext:
    """Trust the system's roots (or `SSL_CERT_FILE`) and certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def open_pool(backend: CheckedBackend, tls: ssl.SSLContext | None) -> httpcore.AsyncConnectionPool:
    """A pool of HTTP/1.1 connections without proxies; redirects are the caller's to see."""
    return httpcore.AsyncConnectionPool(
        ssl_context=tls,
        max_connections=MAX_CONNECTIONS,
        keepalive_expiry=KEEP_IDLE_SECONDS,
        network_backend=backend,
    )


class TooManyLookUpsError(StoreUnavailableError):
    """As many look-ups as may be under way are, and none of them has been answered in time."""


class LookUps:
    """Looks hosts up in threads, and once for all who ask for the same one at the same time.

    A look-up cannot be cancelled: where DNS is silent it keeps its thread for half a minute, long after those who
    asked have given up. So whoever asks again waits for the one under way, they are limited in number, and their
    threads are daemons, which the end of the process does not wait for.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._threads = DaemonExecutor(LOOK_UPS, "resolver")
        self._under_way: dict[tuple[str, int], tuple[float, asyncio.Future[list[str]]]] = {}

    async def find(self, host: str, port: int, seconds: float) -> list[str]:
        """Return the host's numeric addresses.

        Args:
            host: a name, or an address in any spelling.
            port: of the connection to be made.
            seconds: how long to wait.

        Raises:
            TimeoutError: no answer yet; the look-up goes on.
            TooManyLookUpsError: the host cannot be looked up as long as other look-ups hang; raised at once.
            OSError, UnicodeError, ValueError: what the resolver raises.
        """
        now = asyncio.get_running_loop().time
        async with asyncio.timeout(seconds):
            while (host, port) not in self._under_way and len(self._under_way) >= LOOK_UPS:
                if all(now() - began > seconds for began, _ in self._under_way.values()):
                    raise TooManyLookUpsError(
                        "Too many hosts are being looked up, and DNS answers for none of them. Try again in a moment"
                    )
                await asyncio.wait(
                    [answer for _, answer in self._under_way.values()], return_when=asyncio.FIRST_COMPLETED
                )
            if (host, port) not in self._under_way:
                self._start(host, port)
            _, answer = self._under_way[host, port]
            # One who gives up must not cancel it for the others.
            return await asyncio.shield(answer)

    def _start(self, host: str, port: int) -> None:
        answer = asyncio.wrap_future(self._threads.submit(self._resolver, host, port))
        self._under_way[host, port] = (asyncio.get_running_loop().time(), answer)

        def finish(ended: asyncio.Future[list[str]]) -> None:
            del self._under_way[host, port]
            if not ended.cancelled():
                ended.exception()  # nobody may be waiting any more, which asyncio would report as an error of ours

        answer.add_done_callback(finish)


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to the very address that was checked, so that a second look-up cannot put another in its place.

    TLS is untouched by this: the certificate is still held to the host's name.
    """

    def __init__(self, check: Check, look_ups: LookUps) -> None:
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
            StoreUnavailableError: the look-up failed for now, or could not be made (`TooManyLookUpsError`).
        """
        loop = asyncio.get_running_loop()
        seconds = timeout or 60.0
        until = loop.time() + seconds
        try:
            found = await self._look_ups.find(host, port, seconds)
        except TimeoutError:
            raise StoreUnavailableError(f"Looking up the host {host!r} took too long. Check the name and DNS") from None
        except socket.gaierror as error:
            raise _lookup_failure(host, error) from None
        except (UnicodeError, ValueError):
            raise LocationInvalidError(f"{host!r} is not a host name. Check how the endpoint is spelled") from None
        addresses = self._check(host, found)
        for left in range(len(addresses), 0, -1):
            # Each address gets its share of the time, so that a dead one does not use up that of the next.
            share = max((until - loop.time()) / left, 0.05)
            try:
                return await self._sockets.connect_tcp(addresses[-left], port, timeout=share)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if left == 1:
                    raise
        raise AssertionError("check returns at least one address")

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)


def _lookup_failure(host: str, error: socket.gaierror) -> StoreError:
    if error.errno in _UNKNOWN_NAME:
        return LocationInvalidError(
            f"The host {host!r} is not known to DNS. Check how the endpoint, bucket or region is spelled"
        )
    return StoreUnavailableError(f"The host {host!r} could not be looked up: DNS gave no answer for now")


ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
)
"""All that a request through a pool can raise beside StoreError; `explain` has a text for each."""


def explain(error: Exception, origin: str) -> StoreError:
    """Say what happened and what to check. LocationInvalidError is for what trying again does not mend."""
    for cause in _chain(error):
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
                    f"{origin} refused the connection. Check host and port, and that the store is running"
                )
            case OSError(errno=errno.EHOSTUNREACH | errno.ENETUNREACH):
                return StoreUnavailableError(f"There is no route to {origin} from this server. Check network and host")
    match error:
        case httpcore.ConnectTimeout():
            return StoreUnavailableError(
                f"{origin} did not accept a connection in time. Check host, port and firewalls"
            )
        case httpcore.PoolTimeout():
            return StoreUnavailableError("This server has too many connections to stores under way. Try again")
        case httpcore.TimeoutException():
            return StoreUnavailableError(f"{origin} stopped answering")
        case httpcore.ConnectError():
            return StoreUnavailableError(f"No connection to {origin} could be made. Check host and port")
        case httpcore.RemoteProtocolError():
            return StoreUnavailableError(f"{origin} broke its answer off, or answered something that is not HTTP")
        case httpcore.LocalProtocolError() | httpcore.UnsupportedProtocol():
            return LocationInvalidError(
                f"The request to {origin} cannot be put in HTTP. Check the datasource's members"
            )
        case _:
            return StoreUnavailableError(f"The connection to {origin} broke")


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        if isinstance(current, BaseExceptionGroup):
            current = current.exceptions[0]
        else:
            current = current.__cause__ or current.__context__
