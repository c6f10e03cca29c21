"""HTTP on one connection: upgrades are ignored, malformed HTTP is refused, and slow clients are not waited for."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from headwater.web import http_protocol, server
from tests.live import Live
from tests.need import need
from tests.web.serving import serving_app


class Echo:
    """An application that returns what it has received. To some paths it responds before it has received a body."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.abandoned = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.url.path in UNREAD:
            await UNREAD[request.url.path]()(scope, receive, send)
            return
        try:
            body = await request.body()
        except ClientDisconnect:
            self.abandoned += 1
            return
        self.bodies.append(body)
        found = {"path": request.url.path, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        await Response(json.dumps(found | {"upgrade": request.headers.get("upgrade")}))(scope, receive, send)


async def _endless() -> Any:
    while True:
        yield bytes(64 << 10)
        await asyncio.sleep(0)  # so that it can be cancelled


LARGE_BYTES = 8_000_000
UNREAD: dict[str, Callable[[], Response]] = {
    "/endless": lambda: StreamingResponse(_endless()),
    "/large": lambda: Response(b"x" * LARGE_BYTES),
    "/refused": lambda: Response("{}", 401),
}


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def port(echo: Echo) -> Iterator[int]:
    with serving_app(echo) as port:
        yield port


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 20, (source, 0))


def responses(connection: socket.socket) -> list[tuple[int, Any]]:
    """Return status and JSON of all responses until the server closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while block := connection.recv(65536):
            received += block
    found = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        found.append((int(head.split()[1]), json.loads(received[:length])))
        received = received[length:]
    return found


def exchange(port: int, *parts: bytes) -> list[tuple[int, Any]]:
    """Send these parts one after the other, and return all responses."""
    with connect(port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
            if len(parts) > 1:
                time.sleep(0.002)
        return responses(connection)


def echoed(path: str, body: bytes = b"") -> tuple[int, Any]:
    sha256 = hashlib.sha256(body).hexdigest()
    return 200, {"path": path, "size": len(body), "sha256": sha256, "upgrade": None}


def head(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


UNFINISHED = head("PUT", "/a", "Content-Length: 3")
LAST = head("GET", "/last", "Connection: close")
UPGRADES = (
    ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
    ("Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13"),
    ("upgrade: TLS/1.0", "connection: upgrade"),
    ("Connection: Upgrade", "Upgrade: h2c", "Upgrade: other"),
)
BODY = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n" * 3  # a part of the body that is taken for a request is an attack


@pytest.mark.parametrize("upgrade", UPGRADES, ids=["h2c", "websocket", "tls", "two"])
def test_upgrade_is_ignored_and_the_body_is_read(port: int, upgrade: tuple[str, ...]) -> None:
    """The body of a request that offers an upgrade was dropped: a PUT of a file replaced it with nothing."""
    chunked = b"%x\r\n%s\r\n1\r\nx\r\n0\r\nX-Trailer: a\r\n\r\n" % (len(BODY), BODY)
    sent = (
        head("PUT", "/length", *upgrade, f"Content-Length: {len(BODY)}") + BODY,
        head("PUT", "/chunked", *upgrade, "Transfer-Encoding: chunked") + chunked,
        head("GET", "/none", *upgrade),
        head("PUT", "/plain", "Content-Length: 3") + b"abc",
        LAST,
    )
    expected = [
        echoed("/length", BODY),
        echoed("/chunked", BODY + b"x"),
        echoed("/none"),
        echoed("/plain", b"abc"),
        echoed("/last"),
    ]
    assert exchange(port, b"".join(sent)) == expected, "in one piece"
    assert exchange(port, *sent) == expected, "request by request"
    whole = b"".join(sent)
    assert exchange(port, *(whole[start : start + 7] for start in range(0, len(whole), 7))) == expected, "in pieces"


def test_upgrade_and_its_body_may_be_cut_anywhere(port: int) -> None:
    """The head of a request with an upgrade is parsed twice; no byte may be lost or read twice in between."""
    whole = head("PUT", "/a", *UPGRADES[0], "Content-Length: 5") + b"hello" + LAST
    expected = [echoed("/a", b"hello"), echoed("/last")]
    assert exchange(port, *(whole[at : at + 1] for at in range(len(whole)))) == expected
    for at in range(whole.index(b"hello") - 4, whole.index(b"hello") + 8):
        assert exchange(port, whole[:at], whole[at:]) == expected


def test_upgrade_of_a_large_body_is_read_completely(port: int) -> None:
    """More than the server buffers: reading is paused and resumed."""
    body = bytes(range(256)) * 20_000
    sent = head("PUT", "/a", *UPGRADES[0], f"Content-Length: {len(body)}", "Expect: 100-continue", "Connection: close")
    with connect(port) as connection:
        connection.sendall(sent)
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert responses(connection) == [echoed("/a", body)]


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Transfer-Encoding: chunked, identity",),
        ("Content-Length: +5",),
        ("X: a\r\n b", "Content-Length: 5"),
    ],
    ids=["both", "two-lengths", "not-chunked-last", "sign", "folded"],
)
def test_upgrade_does_not_soften_the_parser(port: int, echo: Echo, lines: tuple[str, ...]) -> None:
    """What is refused without an upgrade is refused with one: no second request hides in the body."""
    for upgrade in ((), UPGRADES[0]):
        assert [status for status, _ in exchange(port, head("PUT", "/a", *upgrade, *lines) + b"hello" + LAST)] == [400]
    assert echo.bodies == []


def test_connect_is_refused(port: int, echo: Echo) -> None:
    """What follows CONNECT belongs to another protocol and is not read as a request."""
    for target in ("/a", "example.com:443"):
        found = exchange(port, head("CONNECT", target) + LAST)
        assert [(status, body["code"]) for status, body in found] == [(400, "MALFORMED_REQUEST")]
    assert echo.bodies == []


def test_malformed_http_is_refused_after_the_responses_before_it(port: int) -> None:
    """The 400 was sent at once, in the middle of the response to the request before it."""
    found = exchange(port, head("PUT", "/a", "Content-Length: 3") + b"abcdef\r\n\r\n" + LAST)
    assert (found[0], [status for status, _ in found]) == (echoed("/a", b"abc"), [200, 400])
    found = exchange(
        port, LAST.replace(b"Connection: close\r\n", b"") + head("PUT", "/a", "Transfer-Encoding: chunked") + b"zz\r\n"
    )
    assert (found[0], [status for status, _ in found]) == (echoed("/last"), [200, 400])


def test_malformed_body_abandons_its_request(port: int, echo: Echo) -> None:
    """An application that had already begun to read a body could take a part of it for the whole."""
    found = exchange(port, head("PUT", "/a", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n", b"zz\r\n")
    assert [status for status, _ in found] == [400]
    wait_for(lambda: echo.abandoned == 1)
    assert echo.bodies == []


@pytest.mark.parametrize(
    "endless", [b"X: " + b"a" * 1000 + b"\r\n", b"X" * 1000], ids=["many-trailers", "endless-trailer"]
)
def test_trailers_are_limited(port: int, endless: bytes) -> None:
    """Trailers had no limit, unlike headers, and the server kept all of them in memory."""
    with connect(port) as connection:
        connection.sendall(head("PUT", "/a", "Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(3000):
                connection.sendall(endless)
            pytest.fail("3 MB of trailers were read")


def test_pipelined_requests_are_limited(port: int) -> None:
    """A megabyte of tiny requests became a hundred megabytes of waiting requests."""
    found = exchange(port, head("GET", "/a") * 2000)
    assert [status for status, _ in found] == [200] * (http_protocol.MAX_PIPELINED + 1) + [400]


def keep_idle(monkeypatch: pytest.MonkeyPatch, seconds: Any) -> None:
    """Let servers wait this long for the next request of a connection."""
    monkeypatch.setattr(uvicorn, "Config", partial(uvicorn.Config, timeout_keep_alive=seconds))


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_slow_head_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,100 connections that sent nothing, or half a head, shut everyone out for as long as they liked."""
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.5)
    with capture_logs() as logs, connect(port) as silent, connect(port) as half, connect(port) as later:
        half.sendall(b"GET / HTTP/1.1\r\nX: ")
        later.sendall(head("GET", "/a"))
        assert later.recv(4096).startswith(b"HTTP/1.1 200")
        later.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert responses(silent) == []
        for connection in (half, later):
            ((status, body),) = responses(connection)
            assert (status, "did not arrive within" in body["message"]) == (400, True)
    found = [line for line in logs if line["event"] == "limit_met"]
    assert [(line["limit"], line["client"]) for line in found] == [("head_too_slow", "127.0.0.1")], "one line for all"


def test_slow_body_is_not_waited_for(port: int, echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body of which one byte came now and then held its request, and what that holds, for ever."""
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 1.0)
    monkeypatch.setattr(http_protocol, "MIN_BODY_BYTES", 100)
    with connect(port) as slow, connect(port) as steady:
        slow.sendall(head("PUT", "/slow", "Content-Length: 1000"))
        steady.sendall(head("PUT", "/steady", "Content-Length: 1000", "Connection: close"))
        for _ in range(25):  # for 2.5 seconds
            with contextlib.suppress(ConnectionError):
                slow.sendall(b"x" * 2)
            steady.sendall(b"x" * 40)
            time.sleep(0.1)
        ((status, body),) = responses(slow)
        assert (status, "fewer than" in body["message"]) == (400, True)
        assert responses(steady) == [echoed("/steady", b"x" * 1000)], "a slow client that keeps sending is served"
    assert echo.abandoned == 1


def test_unread_response_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that requested files and never read them held the files, and memory, for as long as they liked."""
    monkeypatch.setattr(http_protocol, "SEND_SECONDS", 1.5)
    with capture_logs() as logs, connect(port) as unread, connect(port) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for connection in (unread, slow):
            connection.sendall(head("GET", "/endless"))
        received = 0
        began = time.monotonic()
        while time.monotonic() < began + 4:
            received += len(slow.recv(16 << 10))
            time.sleep(0.2)
        assert received > 100_000, "a slow client that reads is served"
        wait_for(lambda: any(line.get("limit") == "response_not_read" for line in logs))
        with contextlib.suppress(ConnectionResetError):
            while unread.recv(1 << 20):  # what the system had taken already
                pass


def test_idle_connections_make_room(monkeypatch: pytest.MonkeyPatch, echo: Echo) -> None:
    """Connections that were only opened took all places, and nobody else was served."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 10)
    with capture_logs() as logs, serving_app(echo) as port, contextlib.ExitStack() as opened:
        for address in ("127.0.0.2", "127.0.0.3", "127.0.0.4"):
            for _ in range(20):
                opened.enter_context(connect(port, address))
        assert exchange(port, LAST) == [echoed("/last")]
        busy = []
        for number in range(7):
            busy.append(opened.enter_context(connect(port, "127.0.0.5")))
            with contextlib.suppress(ConnectionError):
                busy[-1].sendall(UNFINISHED)
            time.sleep(0.2 if number == 4 else 0)  # until the server has the five requests
        assert exchange(port, LAST) == [echoed("/last")], "one address has at most half of the places"
        for connection in busy:
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"abc")
        statuses = [_status(connection) for connection in busy]
        assert statuses == [200] * 5 + [0] * 2, "those that have a request are not closed to make room"
    found = [line["limit"] for line in logs if line["event"] == "limit_met"]
    assert sorted(found) == ["connections", "connections_of_one_address"], "one line for each limit"


def _status(connection: socket.socket) -> int:
    try:
        return int((connection.recv(4096) or b"x 0").split()[1])
    except ConnectionError:
        return 0


@pytest.mark.parametrize(
    ("reading", "idle", "busy", "new"),
    [(["1"], "1", [], "1"), (["1", "1"], "2", ["3"], "4")],
    ids=["limit-of-one-address", "limit-of-all"],
)
def test_response_that_is_being_sent_is_not_cut_to_make_room(
    monkeypatch: pytest.MonkeyPatch, echo: Echo, reading: list[str], idle: str, busy: list[str], new: str
) -> None:
    """A response whose end was still in the server's buffer lost it to make room: 3 of 8 MB arrived."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 4)
    keep_idle(monkeypatch, 60)
    with serving_app(echo) as port, contextlib.ExitStack() as opened:

        def begin(number: str, sent: bytes) -> socket.socket:
            connection = opened.enter_context(connect(port, f"127.0.0.{number}"))
            connection.sendall(sent)
            return connection

        readers = [begin(number, head("GET", "/large")) for number in reading]
        uploads = [begin(number, UNFINISHED) for number in busy]
        waiting = begin(idle, b"")
        time.sleep(0.2)
        assert _is_served(port, new), "the one that waits makes room"
        assert waiting.recv(1) == b""
        uploads.append(begin(idle, UNFINISHED))
        time.sleep(0.1)
        assert not _is_served(port, new), "there is no room"
        for connection in readers:
            assert len(read_response(connection)) == LARGE_BYTES
        wait_for(lambda: _is_served(port, new))  # those that have sent everything make room
        for connection in uploads:
            connection.sendall(b"abc")
            assert _status(connection) == 200


def read_response(connection: socket.socket) -> bytes:
    """Return the body of a response, as far as it arrives."""
    with contextlib.suppress(ConnectionResetError), connection.makefile("rb") as received:
        length = 0
        while (line := received.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name == b"content-length" else length
        return received.read(length)
    return b""


def _is_served(port: int, number: str) -> bool:
    with contextlib.suppress(ConnectionError), connect(port, f"127.0.0.{number}") as connection:
        connection.sendall(LAST)
        return responses(connection) == [echoed("/last")]
    return False


def test_body_of_a_request_that_has_its_response_is_received(monkeypatch: pytest.MonkeyPatch, echo: Echo) -> None:
    """A client that was still sending when it got a 401 was cut off after 30 seconds, as if it had sent no head."""
    for name, value in {"HEAD_SECONDS": 0.5, "BODY_SECONDS": 1.0, "MIN_BODY_BYTES": 100}.items():
        monkeypatch.setattr(http_protocol, name, value)
    keep_idle(monkeypatch, 0.3)
    with capture_logs() as logs, serving_app(echo) as port, connect(port) as steady, connect(port) as slow:
        for connection in (steady, slow):
            connection.sendall(head("PUT", "/refused", "Content-Length: 1000"))
        time.sleep(0.5)  # longer than an idle connection is kept
        for _ in range(20):  # for 2 seconds
            steady.sendall(b"x" * 50)
            time.sleep(0.1)
        steady.sendall(head("GET", "/next"))
        steady.settimeout(1)
        assert responses(steady) == [(401, {}), echoed("/next")], "the connection is in order, and closed when idle"
        assert responses(slow) == [(401, {})], "there is no second response"
    assert [line["limit"] for line in logs if line["event"] == "limit_met"] == ["body_too_slow"]


def test_malformed_body_of_a_request_that_has_its_response_gets_no_second_one(port: int) -> None:
    """Two responses to one request: a client takes the second for that to its next request."""
    begin = head("PUT", "/refused", "Transfer-Encoding: chunked")
    assert exchange(port, begin, b"3\r\nabc\r\n", b"zz\r\n") == [(401, {})]


def test_failed_check_closes_one_connection_only(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception about one connection ended the loop of the server, and with it the server."""

    def failed(transport: object) -> int:
        raise OSError("the socket is gone")

    monkeypatch.setattr(http_protocol, "_acknowledged_bytes", failed)
    with capture_logs() as logs, connect(port) as unread, connect(port) as idle:
        unread.sendall(head("GET", "/endless"))
        wait_for(lambda: any(line["event"] == "connection_check_failed" for line in logs))
        with contextlib.suppress(ConnectionResetError):
            while unread.recv(1 << 20):  # what the system had taken already
                pass
        time.sleep(1.2)  # until the next check
        idle.sendall(LAST)
        assert responses(idle) == [echoed("/last")]


USED = {
    "self": {
        *("cycle", "flow", "headers", "loop", "parser", "pipeline", "transport", "url"),
        *(
            "timeout_keep_alive",
            "timeout_keep_alive_handler",
            "timeout_keep_alive_task",
            "_unset_keepalive_if_required",
        ),
        *("connection_made", "connection_lost", "data_received", "client"),
        *("on_message_begin", "on_headers_complete", "on_body", "on_message_complete", "on_response_complete"),
    },
    "self.cycle": {"disconnected", "message_event", "response_started", "waiting_for_100_continue"},
    "self.flow": {"read_paused"},
}
"""What `HttpProtocol` reads and overrides of uvicorn's protocol, of its latest request, and of its flow control."""


async def test_uvicorn_has_what_the_protocol_uses() -> None:
    """A new uvicorn that names a method or an attribute otherwise would switch limits off without an error."""
    protocol = HttpToolsProtocol(uvicorn.Config(Echo(), lifespan="off", log_config=None), ServerState(), {})
    server_side, client_side = socket.socketpair()
    with client_side:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, server_side)
        protocol.data_received(head("PUT", "/a", "Content-Length: 3"))
        found = {"self": protocol, "self.cycle": protocol.cycle, "self.flow": protocol.flow}
        for part, names in USED.items():
            assert {name for name in names if not hasattr(found[part], name)} == set(), part
        protocol.data_received(b"abc")
        await asyncio.gather(*protocol.tasks)
        await asyncio.to_thread(client_side.recv, 1000)
        protocol.transport.abort()
        await asyncio.sleep(0)


def test_uvicorn_is_bounded() -> None:
    """The protocol depends on internals of uvicorn: a version with which the tests have not run is not installed."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    (bounds,) = (line for line in project["dependencies"] if line.startswith("uvicorn"))
    major, minor = (int(number) for number in uvicorn.__version__.split(".")[:2])
    assert bounds.endswith(f",<{major}.{minor + 1}"), "run the tests with the latest version, then raise the bound"


JAVA = """
import java.net.URI;
import java.net.http.*;
import java.nio.file.Path;

class Put {
    public static void main(String[] arguments) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(arguments[0]));
        var put = request.PUT(HttpRequest.BodyPublishers.ofFile(Path.of(arguments[1]))).build();
        System.out.print(HttpClient.newHttpClient().send(put, HttpResponse.BodyHandlers.ofString()).statusCode());
    }
}
"""


@pytest.mark.slow
def test_files_and_json_of_clients_that_offer_http_2_arrive(live: Live, bucket: Path, tmp_path: Path) -> None:
    """`curl --http2` replaced a file with nothing and got a 200; Java's client got a 400 on every PUT of JSON."""
    dataset = live.configured({"type": "LOCAL", "fullPath": bucket.name})
    content = bytes(range(256)) * 1000
    (tmp_path / "content").write_bytes(content)
    (tmp_path / "Put.java").write_text(JAVA)
    (tmp_path / "body.json").write_text('{"processedUntilTimestamp": 7}')
    watermark = f"{live.url}{live.datasource(dataset, 'processedUntilTimestamp')}?token={live.token}"
    curl = (need("curl"), "-s", "-w", "%{http_code}", "--http2", "-X", "PUT", "-o", "-")
    java = (need("java"), "-XX:TieredStopAtLevel=1", str(tmp_path / "Put.java"))
    for name, command in {
        "curl": lambda url, file: (*curl, "--data-binary", f"@{file}", url),
        "chunked": lambda url, file: (*curl, "-H", "Transfer-Encoding: chunked", "--data-binary", f"@{file}", url),
        "java": lambda url, file: (*java, url, str(file)),
    }.items():
        query = {"fileName": f"task/{name}.bin"}
        url = live.call("GET", live.datasource(dataset, "predictions/writeUrl"), query=query).json
        for target, file in ((url, tmp_path / "content"), (watermark, tmp_path / "body.json")):
            done = subprocess.run(command(target, file), capture_output=True, text=True, timeout=60, check=True)
            assert done.stdout == "200", (name, done.stdout)
        assert (bucket / ".lightly/predictions/task" / f"{name}.bin").read_bytes() == content
    assert live.call("GET", live.datasource(dataset, "processedUntilTimestamp")).json["processedUntilTimestamp"] == 7
