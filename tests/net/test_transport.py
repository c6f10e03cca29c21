"""Bounded, retried, guarded HTTP: against a server on loopback that misbehaves."""

from __future__ import annotations

import asyncio
import datetime
import gc
import ipaddress
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpcore
import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from headwater.domain.errors import LocationInvalidError, StoreError, StoreUnavailableError
from headwater.net import connections
from headwater.net import transport as transport_module
from headwater.net.egress import Egress
from headwater.net.transport import Request, Response, Transport
from headwater.net.urls import Origin, parse_endpoint
from headwater.testing.fault_proxy import CutShort, Delay, Drip, FaultProxy, Raw, Reset, Status
from tests.servers import free_port


@pytest.fixture
def server() -> Iterator[FaultProxy]:
    with FaultProxy(respond=lambda _: Status(200, b"whole body")) as proxy:
        yield proxy


@asynccontextmanager
async def a_transport(allowed: str = "127.0.0.1", **more: object) -> AsyncIterator[Transport]:
    transport = Transport(Egress.parse(allowed), **more)  # type: ignore[arg-type]  # each test's own
    try:
        yield transport
    finally:
        await transport.aclose()


async def ask(
    transport: Transport,
    url: str,
    method: str = "GET",
    *,
    operator: bool = False,
    max_body: int = 1000,
    body: bytes = b"",
) -> Response:
    origin, path = parse_endpoint(url, "obsEndpoint")
    request = Request(
        method=method,
        origin=origin,
        target=path or "/",
        body=body,
        is_operator_endpoint=operator,
        max_body_bytes=max_body,
    )
    return await transport.request(request)


async def test_a_request_arrives_as_it_was_given(server: FaultProxy, transport: Transport) -> None:
    origin = Origin("http", "127.0.0.1", server.port)
    target = "/a//b/../%2F%C3%BC?x=%20&y"
    sent = Request(
        method="PUT",
        origin=origin,
        target=target,
        headers={"x-a": "1"},
        body=b"content",
        is_operator_endpoint=False,
        max_body_bytes=100,
    )
    answer = await transport.request(sent)
    assert answer.status == 200
    assert answer.body == b"whole body"
    [request] = server.requests
    assert (request.method, request.target, request.body) == ("PUT", target, b"content")
    assert request.headers == {
        "host": f"127.0.0.1:{server.port}",
        "x-a": "1",
        "accept-encoding": "identity",
        "content-length": "7",
    }


async def test_redirects_are_not_followed(server: FaultProxy, transport: Transport) -> None:
    server.faults.append(Status(302, headers={"location": server.url + "/elsewhere"}))
    assert (await ask(transport, server.url)).status == 302
    assert len(server.requests) == 1


async def test_proxies_of_the_environment_are_not_used(
    server: FaultProxy, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert (await ask(transport, server.url)).status == 200


# --- retries ---


@pytest.mark.parametrize(
    "fault",
    [
        Status(503),
        Status(500),
        Status(429),
        Reset(0),
        Reset(4),
        Raw(b""),
        Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
    ],
    ids=repr,
)
async def test_passing_faults_are_tried_again(server: FaultProxy, transport: Transport, fault: object) -> None:
    server.faults += [fault, fault]  # type: ignore[list-item]  # each is one
    assert (await ask(transport, server.url)).body == b"whole body"
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [200, 301, 400, 403, 404, 501])
async def test_other_answers_are_final(server: FaultProxy, transport: Transport, status: int) -> None:
    server.faults.append(Status(status))
    assert (await ask(transport, server.url)).status == status
    assert len(server.requests) == 1


async def test_the_last_answer_is_returned_when_attempts_are_used_up(server: FaultProxy, transport: Transport) -> None:
    server.faults += [Status(503, b"busy %d" % i) for i in range(9)]
    answer = await ask(transport, server.url)
    assert (answer.status, answer.body) == (503, b"busy 3")
    assert len(server.requests) == transport_module.MAX_ATTEMPTS


async def test_the_last_error_is_raised_when_attempts_are_used_up(server: FaultProxy, transport: Transport) -> None:
    server.faults += [Reset(3)] * 9
    with pytest.raises(StoreUnavailableError, match="broke"):
        await ask(transport, server.url)
    assert len(server.requests) == transport_module.MAX_ATTEMPTS


async def test_what_is_not_idempotent_is_sent_once(server: FaultProxy, transport: Transport) -> None:
    server.faults += [Status(503), Reset(0)]
    assert (await ask(transport, server.url, "POST", body=b"x")).status == 503
    with pytest.raises(StoreUnavailableError):
        await ask(transport, server.url, "POST", body=b"x")
    assert len(server.requests) == 2


async def test_a_store_that_is_down_is_not_asked_ever_more_often(
    server: FaultProxy, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a budget, an outage multiplies the load on a store by the number of attempts."""
    monkeypatch.setattr(transport_module, "MAX_RETRY_TOKENS", 5.0)
    server.faults += [Status(503)] * 1000
    for _ in range(10):
        assert (await ask(transport, server.url)).status == 503
    assert len(server.requests) == 10 + 5
    server.faults.clear()
    for _ in range(4):
        await ask(transport, server.url)
    server.faults += [Status(503)]
    assert (await ask(transport, server.url)).status == 200


async def test_the_store_may_ask_for_a_longer_pause(server: FaultProxy, transport: Transport) -> None:
    server.faults.append(Status(503, headers={"retry-after": "1"}))
    began = time.monotonic()
    assert (await ask(transport, server.url)).status == 200
    assert time.monotonic() - began >= 1.0
    server.faults.append(Status(503, headers={"retry-after": "3600"}))
    began = time.monotonic()
    assert (await ask(transport, server.url)).status == 503
    assert time.monotonic() - began < 1.0


def test_the_servers_event_loop_makes_no_difference(server: FaultProxy) -> None:
    server.faults += [Reset(3), Status(503), None, Delay(2)]

    async def both() -> None:
        async with a_transport(read_seconds=0.2) as transport:
            assert (await ask(transport, server.url)).body == b"whole body"
            assert (await ask(transport, server.url)).body == b"whole body"
            with pytest.raises(StoreUnavailableError, match="refused the connection"):
                await ask(transport, f"http://127.0.0.1:{free_port()}")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(both())
    assert len(server.requests) == 5


async def test_a_cancelled_request_leaves_no_connection_behind(server: FaultProxy, transport: Transport) -> None:
    server.faults += [Delay(5)] * 40
    tasks = [asyncio.create_task(ask(transport, server.url)) for _ in range(40)]
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    server.faults.clear()
    assert (await ask(transport, server.url)).status == 200
    [pool] = transport._pools.values()
    assert pool.connections == []


# --- bounds ---


async def test_a_silent_store_is_given_up_and_asked_once_more(server: FaultProxy) -> None:
    server.faults.append(Delay(5))
    async with a_transport(read_seconds=0.3) as transport:
        assert (await ask(transport, server.url)).body == b"whole body"
    assert len(server.requests) == 2


async def test_one_call_is_bounded_in_time(server: FaultProxy) -> None:
    server.faults += [Delay(5)] * 9
    began = time.monotonic()
    async with a_transport(call_seconds=0.7, read_seconds=0.3) as transport:
        with pytest.raises(StoreUnavailableError):
            await ask(transport, server.url)
    assert time.monotonic() - began < 1.5


async def test_an_answer_that_drips_is_bounded_in_time(server: FaultProxy) -> None:
    server.faults += [Drip(0.05)] * 9
    began = time.monotonic()
    async with a_transport(call_seconds=0.7, read_seconds=0.3) as transport:
        with pytest.raises(StoreUnavailableError, match="in the time"):
            await ask(transport, server.url)
    assert time.monotonic() - began < 1.5


async def test_an_answer_is_bounded_in_size(server: FaultProxy, transport: Transport) -> None:
    server.faults.append(Status(200, b"x" * 1000))
    assert len((await ask(transport, server.url)).body) == 1000
    server.faults.append(Status(200, b"x" * 1001))
    with pytest.raises(LocationInvalidError, match="more than 1000 bytes"):
        await ask(transport, server.url)
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3_000_000
    server.faults.append(Raw(endless))
    with pytest.raises(LocationInvalidError, match="more than 1000 bytes"):
        await ask(transport, server.url)


async def test_endless_headers_are_refused(server: FaultProxy, transport: Transport) -> None:
    server.faults += [Raw(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000)] * 9
    with pytest.raises(StoreUnavailableError, match="not HTTP"):
        await ask(transport, server.url)


async def test_requests_to_one_host_wait_for_each_other(
    server: FaultProxy, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "MAX_REQUESTS_PER_HOST", 2)
    server.faults += [Delay(0.2)] * 6
    began = time.monotonic()
    await asyncio.gather(*(ask(transport, server.url) for _ in range(6)))
    assert time.monotonic() - began >= 0.6


# --- what failed is said ---


async def test_a_refused_connection_is_named(transport: Transport) -> None:
    port = free_port()
    with pytest.raises(StoreUnavailableError, match=rf"http://127.0.0.1:{port} refused the connection"):
        await ask(transport, f"http://127.0.0.1:{port}")


async def test_an_unknown_host_is_named(transport: Transport) -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with a_transport(resolver=unknown) as transport:
        with pytest.raises(LocationInvalidError, match=r"'no-such\.test' is not known to DNS"):
            await ask(transport, "http://no-such.test")


async def test_a_passing_dns_failure_is_tried_again(server: FaultProxy) -> None:
    answers: list[Callable[[], list[str]]] = [_raise_again, lambda: ["127.0.0.1"]]

    async with a_transport(resolver=lambda host, port: answers.pop(0)()) as transport:
        assert (await ask(transport, f"http://store.test:{server.port}")).status == 200

    async with a_transport(resolver=lambda host, port: _raise_again(), call_seconds=0.5) as transport:
        with pytest.raises(StoreUnavailableError, match="could not be looked up"):
            await ask(transport, "http://store.test")


def _raise_again() -> list[str]:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


async def test_a_slow_look_up_is_bounded() -> None:
    def slow(host: str, port: int) -> list[str]:
        time.sleep(1.0)
        return ["127.0.0.1"]

    async with a_transport(resolver=slow, connect_seconds=0.2, call_seconds=0.5) as transport:
        with pytest.raises(StoreUnavailableError, match=r"Looking up the host 'store.test' took too long"):
            await ask(transport, "http://store.test")


# --- look-ups that hang ---


class Hanging:
    """A resolver to which DNS never answers for `hung….test`, until it is told to `end`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.end = threading.Event()

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host.startswith("hung"):
            self.end.wait(30)
        return ["127.0.0.1"]


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    hanging = Hanging()
    yield hanging
    hanging.end.set()


async def test_a_host_is_looked_up_once_for_all_who_ask(server: FaultProxy, hanging: Hanging) -> None:
    """Each attempt of each request took another thread, for as long as DNS was silent."""
    async with a_transport(resolver=hanging, connect_seconds=0.1, call_seconds=2) as transport:
        url = f"http://hung.test:{server.port}"
        failed = await asyncio.gather(*(ask(transport, url) for _ in range(10)), return_exceptions=True)
        assert all(isinstance(each, StoreUnavailableError) and "took too long" in each.message for each in failed)
        assert hanging.asked == ["hung.test"]
        waiting = [asyncio.create_task(ask(transport, url)) for _ in range(3)]
        await asyncio.sleep(0.02)
        waiting.pop().cancel()
        hanging.end.set()
        assert [answer.status for answer in await asyncio.gather(*waiting)] == [200, 200]
        assert hanging.asked == ["hung.test"]
        assert (await ask(transport, url)).status == 200
        assert len(hanging.asked) == 2


async def test_hosts_that_hang_do_not_stop_the_operators(
    server: FaultProxy, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All look-ups shared 16 threads: a user with as many hosts that DNS is silent about stopped every store."""
    monkeypatch.setattr(connections, "LOOK_UPS", 4)
    async with a_transport(resolver=hanging, connect_seconds=1.0, call_seconds=1.5) as transport:
        hung = [ask(transport, f"http://hung{i}.test:{server.port}") for i in range(4)]
        await asyncio.gather(*hung, return_exceptions=True)
        for scheme in ("http", "https"):
            began = time.monotonic()
            with pytest.raises(StoreUnavailableError, match="Too many hosts are being looked up"):
                await ask(transport, f"{scheme}://store.test:{server.port}")
            assert time.monotonic() - began < 0.8
        assert (await ask(transport, f"http://store.test:{server.port}", operator=True)).status == 200
        assert hanging.asked.count("store.test") == 1
        hanging.end.set()
        await asyncio.sleep(0.1)
        assert (await ask(transport, f"http://store.test:{server.port}")).status == 200


async def test_many_hosts_at_once_wait_for_each_other(server: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only look-ups that hang are a reason to refuse others."""
    monkeypatch.setattr(connections, "LOOK_UPS", 2)
    under_way: list[str] = []
    most = 0

    def slow(host: str, port: int) -> list[str]:
        nonlocal most
        under_way.append(host)
        most = max(most, len(under_way))
        time.sleep(0.02)
        under_way.remove(host)
        return ["127.0.0.1"]

    async with a_transport(resolver=slow) as transport:
        answers = await asyncio.gather(*(ask(transport, f"http://s{i % 9}.test:{server.port}") for i in range(18)))
    assert {answer.status for answer in answers} == {200}
    assert most == 2


@pytest.mark.parametrize("closing", ["await transport.aclose()", "pass"])
def test_the_end_of_the_process_waits_for_no_look_up(closing: str) -> None:
    """The interpreter joined the threads of an executor at its end, and with them a DNS that is silent."""
    program = f"""
import asyncio, time
from headwater.domain.errors import StoreUnavailableError
from headwater.net.egress import Egress
from headwater.net.transport import Request, Transport
from headwater.net.urls import Origin

async def main():
    transport = Transport(Egress(), connect_seconds=0.1, call_seconds=0.2, resolver=lambda host, port: time.sleep(60))
    origin = Origin("http", "hung.test", 80)
    request = Request(method="GET", origin=origin, target="/", is_operator_endpoint=False, max_body_bytes=9)
    try:
        await transport.request(request)
    except StoreUnavailableError:
        print("given up")
    {closing}

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "given up\n", "")


async def test_a_look_up_that_fails_unheard_is_no_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    end = threading.Event()

    def failing(host: str, port: int) -> list[str]:
        end.wait(30)
        return _raise_again()

    async with a_transport(resolver=failing, connect_seconds=0.1, call_seconds=0.2) as transport:
        with pytest.raises(StoreUnavailableError):
            await ask(transport, "http://store.test")
        end.set()
        await asyncio.sleep(0.1)
        gc.collect()
    assert caplog.records == []


# --- what is answered ---


async def test_what_is_not_http_is_named(server: FaultProxy, transport: Transport) -> None:
    server.faults += [Raw(b"220 mail.example.com ESMTP\r\n")] * 9
    with pytest.raises(StoreUnavailableError, match="not HTTP"):
        await ask(transport, server.url)


async def test_the_next_address_is_tried_where_one_is_dead(server: FaultProxy) -> None:
    async with a_transport("127.0.0.0/8", resolver=lambda host, port: ["127.0.0.2", "127.0.0.1"]) as transport:
        assert (await ask(transport, f"http://store.test:{server.port}")).status == 200


def test_every_error_of_the_library_below_is_explained() -> None:
    never = {"ConnectionNotAvailable", "ProxyError"}  # stay inside httpcore's pool; there are no proxies
    raised = [getattr(httpcore, name) for name in httpcore.__all__ if name not in never]
    raised = [each for each in raised if isinstance(each, type) and issubclass(each, Exception)]
    assert len(raised) > 10
    for each in raised:
        assert issubclass(each, connections.ERRORS)
        assert isinstance(
            connections.explain(each("hidden"), "https://store.test"), StoreUnavailableError | LocationInvalidError
        )
        assert "hidden" not in connections.explain(each("hidden"), "https://store.test").message


# --- TLS ---


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for store.test, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "store.test")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("store.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "store.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[FaultProxy]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with FaultProxy(respond=lambda _: Status(200, b"over TLS"), tls=context) as proxy:
        yield proxy


def to_loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


async def test_an_unknown_certificate_is_refused_at_once(tls_server: FaultProxy, transport: Transport) -> None:
    with pytest.raises(LocationInvalidError, match=r"certificate of https://127.0.0.1.*self-signed.*SSL_CERT_FILE"):
        await ask(transport, tls_server.url)
    assert tls_server.requests == []


async def test_the_certificate_is_held_to_the_name_though_the_address_is_pinned(
    tls_server: FaultProxy, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with a_transport(resolver=to_loopback) as transport:
        assert (await ask(transport, f"https://store.test:{tls_server.port}")).body == b"over TLS"
        with pytest.raises(LocationInvalidError, match=r"certificate of https://other.test.*[Hh]ostname mismatch"):
            await ask(transport, f"https://other.test:{tls_server.port}")


async def test_tls_to_a_plain_server_is_named(server: FaultProxy, transport: Transport) -> None:
    server.faults += [Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")] * 9
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = asyncio.create_task(_answer_plain(listener))
        with pytest.raises(LocationInvalidError, match="does not speak TLS"):
            await ask(transport, f"https://127.0.0.1:{listener.getsockname()[1]}")
        answering.cancel()


async def _answer_plain(listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    connection, _ = await loop.sock_accept(listener)
    with connection:
        await loop.sock_sendall(connection, b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await asyncio.sleep(5)


# --- egress, at the moment of connecting ---


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "LOCALHOST", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]"]
)
async def test_loopback_is_refused_however_it_is_spelled(server: FaultProxy, host: str) -> None:
    async with a_transport("") as transport:
        with pytest.raises(LocationInvalidError, match=r"a loopback address.*HEADWATER_ALLOWED_ENDPOINTS"):
            await ask(transport, f"http://{host}:{server.port}")
    assert server.requests == []
    async with a_transport("127.0.0.1, ::1") as transport:
        assert (await ask(transport, f"http://{host}:{server.port}")).status == 200


async def test_a_name_that_leads_inside_is_refused(server: FaultProxy) -> None:
    async with a_transport("", resolver=to_loopback) as transport:
        with pytest.raises(LocationInvalidError, match=r"'store\.test' has a loopback address"):
            await ask(transport, f"http://store.test:{server.port}")
    assert server.requests == []
    async with a_transport("store.test", resolver=to_loopback) as transport:
        assert (await ask(transport, f"http://store.test:{server.port}")).status == 200


async def test_the_checked_address_is_the_one_connected_to(server: FaultProxy) -> None:
    """A name that answers an allowed address when it is checked and another when it is used (DNS rebinding)."""
    asked: list[str] = []

    def changing(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    async with a_transport(resolver=changing) as transport:
        assert (await ask(transport, f"http://store.test:{server.port}")).status == 200
    assert asked == ["store.test"]

    asked.clear()

    def turning_inside(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["192.0.2.1"] if len(asked) == 1 else ["127.0.0.1"]

    async with a_transport("192.0.2.0/24", resolver=turning_inside, connect_seconds=0.2) as transport:
        with pytest.raises(StoreError):
            await ask(transport, f"http://store.test:{server.port}")
    assert len(server.requests) == 1


async def test_the_operators_endpoints_are_exempt_and_share_no_connection(server: FaultProxy) -> None:
    """A kept connection that was opened for the operator must not serve a user's endpoint of the same host."""
    async with a_transport("") as transport:
        with _keeping_alive() as url:
            assert (await ask(transport, url, operator=True)).status == 200
            with pytest.raises(LocationInvalidError):
                await ask(transport, url)
            assert (await ask(transport, url, operator=True)).status == 200


class _keeping_alive:  # noqa: N801  used as a function
    """A server that keeps connections open, as FaultProxy does not."""

    def __enter__(self) -> str:
        import http.server
        import threading

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


async def test_connections_are_kept_and_used_again(transport: Transport) -> None:
    with _keeping_alive() as url:
        for _ in range(3):
            await ask(transport, url)
        [pool] = transport._pools.values()
        assert len(pool.connections) == 1
        assert "Request Count: 3" in repr(pool.connections[0])


# --- endpoints ---


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://store.test", Origin("https", "store.test", 443), ""),
        ("HTTP://Store.TEST:9000/", Origin("http", "store.test", 9000), ""),
        ("https://store.test:443/a+b/ü%20/", Origin("https", "store.test", 443), "/a%2Bb/%C3%BC%20"),
        ("http://[2001:DB8::1]:80", Origin("http", "2001:db8::1", 80), ""),
        ("https://bücher.example", Origin("https", "xn--bcher-kva.example", 443), ""),
        ("http://minio_1:9000", Origin("http", "minio_1", 9000), ""),
    ],
)
def test_endpoints_are_taken_apart(url: str, origin: Origin, path: str) -> None:
    assert parse_endpoint(url, "obsEndpoint") == (origin, path)


def test_the_host_header_has_the_port_where_it_is_not_the_schemes_own() -> None:
    assert Origin("https", "store.test", 443).authority == "store.test"
    assert Origin("http", "store.test", 443).authority == "store.test:443"
    assert str(Origin("http", "::1", 9000)) == "http://[::1]:9000"


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "store.test",
            "ftp://store.test",
            "https://",
            "https://:9000",
            "https://a:x",
            "https://a:0",
            "https://a:65536",
        ),
        *(
            "https://user:secret@store.test",
            "https://store.test?x=1",
            "https://store.test#x",
            "https://a b",
            "https://a\n.b",
        ),
        *(
            "https://a/\r\nx: y",
            "http://[::1",
            "http://[fe80::1%25eth0]",
            "https://a..b",
            "https://" + "a" * 64 + ".test",
        ),
    ],
)
def test_what_is_no_endpoint_is_refused(url: str) -> None:
    with pytest.raises(LocationInvalidError, match="obsEndpoint") as error:
        parse_endpoint(url, "obsEndpoint")
    assert "secret" not in error.value.message


async def test_a_body_cut_without_a_trace_is_the_stores_to_see(server: FaultProxy, transport: Transport) -> None:
    server.faults.append(CutShort(5))
    assert (await ask(transport, server.url)).body == b"whole"
