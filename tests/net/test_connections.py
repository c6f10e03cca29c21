"""Connections: look-ups, TLS, egress rules while connecting, and error texts."""

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
from collections.abc import Callable, Iterator
from pathlib import Path

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from headwater.domain.errors import LocationInvalidError, StoreError, StoreUnavailableError
from headwater.net import connections
from headwater.net.transport import Transport
from headwater.net.urls import Origin
from headwater.net.users import working_for
from headwater.testing.fault_proxy import FaultProxy, Raw, Status
from tests.net.client import open_transport, send
from tests.servers import free_port


async def test_refused_connection_names_the_origin(transport: Transport) -> None:
    port = free_port()
    with pytest.raises(StoreUnavailableError, match=rf"http://127.0.0.1:{port} refused the connection"):
        await send(transport, f"http://127.0.0.1:{port}")


async def test_unknown_host_is_named(transport: Transport) -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with open_transport(resolver=unknown) as transport:
        with pytest.raises(LocationInvalidError, match=r"'no-such\.test' is not known to DNS, or its address may not"):
            await send(transport, "http://no-such.test")
        with pytest.raises(LocationInvalidError, match=r"'no-such\.test' is not known to DNS\. Check"):
            await send(transport, "http://no-such.test", operator=True)


async def test_transient_dns_failure_is_retried(server: FaultProxy) -> None:
    answers: list[Callable[[], list[str]]] = [fail_temporarily, lambda: ["127.0.0.1"]]

    async with open_transport(resolver=lambda host, port: answers.pop(0)()) as transport:
        assert (await send(transport, f"http://store.test:{server.port}")).status == 200

    async with open_transport(resolver=lambda host, port: fail_temporarily(), call_seconds=0.5) as transport:
        with pytest.raises(StoreUnavailableError, match="could not be looked up"):
            await send(transport, "http://store.test")


def fail_temporarily() -> list[str]:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


async def test_slow_look_up_times_out() -> None:
    def slow(host: str, port: int) -> list[str]:
        time.sleep(1.0)
        return ["127.0.0.1"]

    async with open_transport(resolver=slow, connect_seconds=0.2, call_seconds=0.5) as transport:
        with pytest.raises(StoreUnavailableError, match=r"Looking up the host 'store.test' took too long"):
            await send(transport, "http://store.test")


# --- look-ups that hang ---


class Hanging:
    """A resolver that does not return for `hung….test` until `end` is set."""

    def __init__(self) -> None:
        self.looked_up: list[str] = []
        self.end = threading.Event()

    def __call__(self, host: str, port: int) -> list[str]:
        self.looked_up.append(host)
        if host.startswith("hung"):
            self.end.wait(30)
        return ["127.0.0.1"]


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    hanging = Hanging()
    yield hanging
    hanging.end.set()


async def test_concurrent_requests_share_one_look_up(server: FaultProxy, hanging: Hanging) -> None:
    """Each attempt of each request took another thread for as long as DNS did not answer."""
    async with open_transport(resolver=hanging, connect_seconds=0.1, call_seconds=2) as transport:
        url = f"http://hung.test:{server.port}"
        failed = await asyncio.gather(*(send(transport, url) for _ in range(10)), return_exceptions=True)
        assert all(isinstance(each, StoreUnavailableError) and "took too long" in each.message for each in failed)
        assert hanging.looked_up == ["hung.test"]
        waiting = [asyncio.create_task(send(transport, url)) for _ in range(3)]
        await asyncio.sleep(0.02)
        waiting.pop().cancel()
        hanging.end.set()
        assert [answer.status for answer in await asyncio.gather(*waiting)] == [200, 200]
        assert hanging.looked_up == ["hung.test"]
        assert (await send(transport, url)).status == 200
        assert len(hanging.looked_up) == 2


async def test_hanging_look_ups_do_not_block_hosts_of_the_operator(
    server: FaultProxy, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All look-ups shared 16 threads: a user with 16 hosts for which DNS did not answer blocked every store."""
    monkeypatch.setattr(connections, "MAX_LOOK_UPS", 4)
    async with open_transport(resolver=hanging, connect_seconds=1.0, call_seconds=1.5) as transport:
        hung = [send(transport, f"http://hung{i}.test:{server.port}") for i in range(4)]
        await asyncio.gather(*hung, return_exceptions=True)
        for scheme in ("http", "https"):
            began = time.monotonic()
            with pytest.raises(StoreUnavailableError, match="Too many hosts are being looked up"):
                await send(transport, f"{scheme}://store.test:{server.port}")
            assert time.monotonic() - began < 0.8
        assert (await send(transport, f"http://store.test:{server.port}", operator=True)).status == 200
        assert hanging.looked_up.count("store.test") == 1
        hanging.end.set()
        await asyncio.sleep(0.1)
        assert (await send(transport, f"http://store.test:{server.port}")).status == 200


async def test_hosts_of_one_user_that_hang_deny_look_ups_to_no_other(
    server: FaultProxy, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 names for which DNS did not answer took all look-ups: the requests of all other users were a 503."""
    monkeypatch.setattr(connections, "MAX_LOOK_UPS_PER_USER", 3)
    async with open_transport(resolver=hanging, connect_seconds=0.2, call_seconds=0.5) as transport:
        with working_for("eve"):
            hung = [send(transport, f"http://hung{i}.test:{server.port}") for i in range(70)]
            failed = await asyncio.gather(*hung, return_exceptions=True)
            assert all(isinstance(each, StoreUnavailableError) for each in failed)
            with pytest.raises(StoreUnavailableError, match="Too many hosts are being looked up"):
                await send(transport, f"http://store.test:{server.port}")
        assert len(hanging.looked_up) == 3
        with working_for("ada"):
            assert (await send(transport, f"http://store.test:{server.port}")).status == 200


async def test_a_look_up_that_hung_is_not_repeated_at_once(server: FaultProxy, hanging: Hanging) -> None:
    """Each request for a host without an answer of DNS began another look-up, which took a thread for half a minute."""

    def failing(host: str, port: int) -> list[str]:
        found = hanging(host, port)
        return fail_temporarily() if host == "hung.test" else found

    async with open_transport(resolver=failing, connect_seconds=0.05, call_seconds=0.1) as transport:
        with pytest.raises(StoreUnavailableError, match="took too long"):
            await send(transport, "http://hung.test")
        hanging.end.set()
        await asyncio.sleep(0.05)
        for _ in range(3):
            with pytest.raises(StoreUnavailableError, match="gave no answer for the host 'hung"):
                await send(transport, "http://hung.test")
        assert hanging.looked_up == ["hung.test"]
        assert (await send(transport, f"http://store.test:{server.port}")).status == 200


async def test_look_ups_of_many_hosts_queue_up(server: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look-ups are refused only if others hang, not if there are many."""
    monkeypatch.setattr(connections, "MAX_LOOK_UPS", 2)
    in_flight: list[str] = []
    max_in_flight = 0

    def slow(host: str, port: int) -> list[str]:
        nonlocal max_in_flight
        in_flight.append(host)
        max_in_flight = max(max_in_flight, len(in_flight))
        time.sleep(0.02)
        in_flight.remove(host)
        return ["127.0.0.1"]

    async with open_transport(resolver=slow) as transport:
        answers = await asyncio.gather(*(send(transport, f"http://s{i % 9}.test:{server.port}") for i in range(18)))
    assert {answer.status for answer in answers} == {200}
    assert max_in_flight == 2


@pytest.mark.parametrize("closing", ["await transport.aclose()", "pass"])
def test_process_exits_during_a_look_up(closing: str) -> None:
    """At exit, the interpreter joined the threads of the executor and waited for a DNS that did not answer."""
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
        print("timed out")
    {closing}

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "timed out\n", "")


async def test_abandoned_look_up_that_fails_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    end = threading.Event()

    def failing(host: str, port: int) -> list[str]:
        end.wait(30)
        return fail_temporarily()

    async with open_transport(resolver=failing, connect_seconds=0.1, call_seconds=0.2) as transport:
        with pytest.raises(StoreUnavailableError):
            await send(transport, "http://store.test")
        end.set()
        await asyncio.sleep(0.1)
        gc.collect()
    assert caplog.records == []


# --- what is answered ---


async def test_response_that_is_not_http_is_named(server: FaultProxy, transport: Transport) -> None:
    server.faults += [Raw(b"220 mail.example.com ESMTP\r\n")] * 9
    with pytest.raises(StoreUnavailableError, match="not HTTP"):
        await send(transport, server.url)


async def test_next_address_is_tried_if_one_is_dead(server: FaultProxy) -> None:
    async with open_transport("127.0.0.0/8", resolver=lambda host, port: ["127.0.0.2", "127.0.0.1"]) as transport:
        assert (await send(transport, f"http://store.test:{server.port}")).status == 200


def test_every_httpcore_error_has_a_text() -> None:
    not_raised = {"ConnectionNotAvailable", "ProxyError"}  # internal to httpcore's pool; there are no proxies
    raised = [getattr(httpcore, name) for name in httpcore.__all__ if name not in not_raised]
    raised = [each for each in raised if isinstance(each, type) and issubclass(each, Exception)]
    assert len(raised) > 10
    for each in raised:
        assert issubclass(each, connections.ERRORS)
        error = connections.to_store_error(each("hidden"), Origin("https", "store.test", 443))
        assert isinstance(error, StoreUnavailableError | LocationInvalidError)
        assert "hidden" not in error.message


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


async def test_unknown_certificate_is_refused_without_retry(tls_server: FaultProxy, transport: Transport) -> None:
    with pytest.raises(LocationInvalidError, match=r"certificate of https://127.0.0.1.*self-signed.*SSL_CERT_FILE"):
        await send(transport, tls_server.url)
    assert tls_server.requests == []


async def test_certificate_must_match_the_host_name(
    tls_server: FaultProxy, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with open_transport(resolver=to_loopback) as transport:
        assert (await send(transport, f"https://store.test:{tls_server.port}")).body == b"over TLS"
        with pytest.raises(LocationInvalidError, match=r"certificate of https://other.test.*[Hh]ostname mismatch"):
            await send(transport, f"https://other.test:{tls_server.port}")


async def test_tls_to_a_plain_http_server_is_named(server: FaultProxy, transport: Transport) -> None:
    server.faults += [Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")] * 9
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = asyncio.create_task(_answer_plain(listener))
        with pytest.raises(LocationInvalidError, match="does not speak TLS"):
            await send(transport, f"https://127.0.0.1:{listener.getsockname()[1]}")
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
async def test_loopback_is_refused_in_every_spelling(server: FaultProxy, host: str) -> None:
    async with open_transport("") as transport:
        with pytest.raises(LocationInvalidError, match=r"HEADWATER_ALLOWED_ENDPOINTS"):
            await send(transport, f"http://{host}:{server.port}")
    assert server.requests == []
    async with open_transport("127.0.0.1, ::1") as transport:
        assert (await send(transport, f"http://{host}:{server.port}")).status == 200


async def test_name_that_resolves_to_loopback_is_refused(server: FaultProxy) -> None:
    async with open_transport("", resolver=to_loopback) as transport:
        with pytest.raises(LocationInvalidError, match=r"'store\.test' is not known to DNS, or its address may not be"):
            await send(transport, f"http://store.test:{server.port}")
    assert server.requests == []
    async with open_transport("store.test", resolver=to_loopback) as transport:
        assert (await send(transport, f"http://store.test:{server.port}")).status == 200


async def test_connection_goes_to_the_checked_address(server: FaultProxy) -> None:
    """DNS rebinding: a name resolves to an allowed address when it is checked, and to another one when it is used."""
    looked_up: list[str] = []

    def changing(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"] if len(looked_up) == 1 else ["169.254.169.254"]

    async with open_transport(resolver=changing) as transport:
        assert (await send(transport, f"http://store.test:{server.port}")).status == 200
    assert looked_up == ["store.test"]

    looked_up.clear()

    def turning_inside(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["192.0.2.1"] if len(looked_up) == 1 else ["127.0.0.1"]

    async with open_transport("192.0.2.0/24", resolver=turning_inside, connect_seconds=0.2) as transport:
        with pytest.raises(StoreError):
            await send(transport, f"http://store.test:{server.port}")
    assert len(server.requests) == 1


async def test_operator_endpoints_are_exempt_and_share_no_connection(server: FaultProxy) -> None:
    """A connection that was opened for the operator must not serve a user's endpoint of the same host."""
    async with open_transport("") as transport:
        with keep_alive_server() as url:
            assert (await send(transport, url, operator=True)).status == 200
            with pytest.raises(LocationInvalidError):
                await send(transport, url)
            assert (await send(transport, url, operator=True)).status == 200


class keep_alive_server:  # noqa: N801  used as a function
    """A server that keeps connections open, unlike FaultProxy."""

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


async def test_connections_are_reused(transport: Transport) -> None:
    with keep_alive_server() as url:
        for _ in range(3):
            await send(transport, url)
        [pool] = transport._pools.values()
        assert len(pool.connections) == 1
        assert "Request Count: 3" in repr(pool.connections[0])
