"""Write URLs write exactly one file, completely or not at all."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.types import Message

from headwater.domain.errors import MalformedRequestError
from headwater.stores.local.files import LocalFiles
from headwater.web import http_protocol
from headwater.web.files import write
from headwater.web.files.write import Uploads
from tests.stores.local.opening import file_root
from tests.web.files.server import Server, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    root = tmp_path / "root"
    (root / "set").mkdir(parents=True)
    with serving(root) as running:
        yield running


def write_target(server: Server, path: str, *, write: bool = True, seconds: float = 60) -> str:
    (url,) = server.signer.sign([path], int(time.time() + seconds), write=write)
    split = urlsplit(url)
    return f"{split.path}?{split.query}"


def put_head(server: Server, path: str, *headers: str) -> bytes:
    """Return the head of a PUT request with these headers."""
    lines = [f"PUT {write_target(server, path)} HTTP/1.1", "Host: x", *headers, "", ""]
    return "\r\n".join(lines).encode()


def put(server: Server, target: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request("PUT", target, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        return answer.status, answer.read()
    finally:
        connection.close()


def files_of(server: Server) -> dict[str, bytes]:
    return {str(path.relative_to(server.root)): path.read_bytes() for path in server.root.rglob("*") if path.is_file()}


def wait_for_files(server: Server, expected: dict[str, bytes]) -> None:
    """Wait until the root holds exactly these files: partial files are deleted in a thread."""
    wait_until(lambda: files_of(server) == expected)


def wait_until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


@pytest.mark.parametrize("path", ["set/a b+c%41.json", "set/.lightly/predictions/ü/🦊.json", "new/folder/a"])
def test_put_creates_and_replaces_a_file(server: Server, path: str) -> None:
    for body in (b"first" * 100_000, b"second", b""):
        assert put(server, write_target(server, path), body) == (200, b"")
        assert files_of(server) == {path: body}
    assert server.get(path)[2] == b""


@pytest.mark.parametrize("path", ["../outside", "set/../../outside", "/etc/outside", "set//a", "set/", ""])
def test_put_outside_the_root_is_refused(server: Server, path: str) -> None:
    status, _ = put(server, write_target(server, path), b"x")
    assert status in (400, 404)
    assert files_of(server) == {}
    assert [found.name for found in server.root.parent.iterdir()] == ["root"]


def test_put_does_not_follow_a_link_that_leads_out(server: Server, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (server.root / "set" / "out").symlink_to(tmp_path / "elsewhere")
    assert put(server, write_target(server, "set/out/a"), b"x")[0] == 400
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_read_url_cannot_write_and_write_url_cannot_read(server: Server) -> None:
    (server.root / "set" / "a.png").write_bytes(b"pixels")
    status, body = put(server, write_target(server, "set/a.png", write=False), b"x")
    assert (status, b"write URL does not match" in body) == (403, True)
    status, _, body = server.request(write_target(server, "set/a.png"))
    assert (status, b"read URL does not match" in body) == (403, True)
    assert files_of(server) == {"set/a.png": b"pixels"}


def test_expired_or_altered_write_url_writes_nothing(server: Server) -> None:
    status, body = put(server, write_target(server, "set/a", seconds=-1), b"x")
    assert (status, b"write URL expired" in body) == (403, True)
    assert put(server, write_target(server, "set/a").replace("set/a", "set/b"), b"x")[0] == 403
    assert files_of(server) == {}


def test_interrupted_upload_changes_nothing(server: Server) -> None:
    (server.root / "set" / "a").write_bytes(b"before")
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        head = f"PUT {write_target(server, 'set/a')} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 500_000)
        time.sleep(0.3)
    wait_for_files(server, {"set/a": b"before"})


def test_too_large_upload_is_413(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "MAX_UPLOAD_BYTES", 1000)
    assert put(server, write_target(server, "set/a"), b"x" * 1001)[0] == 413

    def parts() -> Iterator[bytes]:
        yield b"x" * 600
        yield b"x" * 600

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(
        "PUT", write_target(server, "set/a"), parts(), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
    )
    assert connection.getresponse().status == 413
    connection.close()
    wait_for_files(server, {})
    assert put(server, write_target(server, "set/a"), b"x" * 1000)[0] == 200


def test_stalled_upload_is_abandoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stalled upload held descriptors and a file until its client disconnected."""
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", 0.3)
    with serving(tmp_path) as server, socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(put_head(server, "set/a", "Content-Length: 1000") + b"abc")
        assert connection.recv(10_000).startswith(b"HTTP/1.1 400")
        wait_for_files(server, {})


@pytest.fixture
def few_uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that receives three files at the same time, two of them of one datasource."""
    monkeypatch.setattr(write, "MAX_UPLOADS", 3)
    monkeypatch.setattr(write, "MAX_UPLOADS_OF_ONE_DATASOURCE", 2)
    with serving(tmp_path) as running:
        yield running


def test_slow_uploads_to_one_datasource_leave_room_for_others(few_uploads: Server) -> None:
    """Sixty-four uploads that one user trickled made every upload of everyone else a 429."""
    server, theirs = few_uploads, "a/b/c/.lightly/predictions/t"
    with ExitStack() as opened:
        slow = [opened.enter_context(socket.create_connection(("127.0.0.1", server.port), 10)) for _ in range(2)]
        for number, connection in enumerate(slow):
            connection.sendall(put_head(server, f"{theirs}/{number}", "Content-Length: 3") + b"a")
        wait_until(lambda: len(list(server.root.glob(f"{theirs}/.*"))) == 2)
        status, body = put(server, write_target(server, f"{theirs}/other"), b"x")
        assert (status, b"with the URLs of this datasource" in body) == (429, True)
        assert put(server, write_target(server, "a/b/d/.lightly/predictions/t/0"), b"x")[0] == 200
        for connection in slow:
            connection.sendall(b"bc")
            assert connection.recv(10_000).startswith(b"HTTP/1.1 200")
    assert put(server, write_target(server, f"{theirs}/other"), b"x")[0] == 200
    assert files_of(server)[f"{theirs}/1"] == b"abc"


def test_too_many_concurrent_uploads_are_429(few_uploads: Server) -> None:
    server = few_uploads
    with ExitStack() as opened:
        for folder in "abc":
            connection = opened.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
            connection.sendall(put_head(server, f"{folder}/a", "Content-Length: 3") + b"a")
        wait_until(lambda: len(list(server.root.glob("?/.*"))) == 3)
        assert put(server, write_target(server, "d/a"), b"x")[0] == 429
    wait_for_files(server, {})
    assert put(server, write_target(server, "d/a"), b"x")[0] == 200


@pytest.mark.parametrize(
    ("headers", "body", "is_published"),
    [
        (("Content-Length: 6",), b"abcdef", True),
        (("Content-Length: 6",), b"abc", False),
        (("Transfer-Encoding: chunked",), b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", True),
        (("Transfer-Encoding: chunked",), b"3\r\nabc\r\n3\r\ndef\r\n", False),
        (("Transfer-Encoding: chunked",), b"3\r\nabc\r\n3\r\ndef\r\n0\r\n", False),
        (("Transfer-Encoding: chunked",), b"3\r\nabc\r\n9\r\ndef", False),
        (("Transfer-Encoding: gzip, chunked",), b"3\r\nabc\r\n0\r\n\r\n", False),
        ((), b"", False),
    ],
    ids=["exact", "short", "chunked", "no-last-chunk", "no-end", "short-chunk", "encoded", "no-length"],
)
@pytest.mark.parametrize(
    ("upgrade", "pause"),
    [((), 0.05), (("Connection: Upgrade", "Upgrade: h2c"), 0)],
    ids=["in-pieces", "upgrade"],
)
def test_file_is_published_only_if_all_of_it_arrived(
    server: Server, headers: tuple[str, ...], body: bytes, is_published: bool, upgrade: tuple[str, ...], pause: float
) -> None:
    """A connection that breaks must not leave a part of a file under its name, and no header may empty the file."""
    (server.root / "set" / "a").write_bytes(b"before")
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(put_head(server, "set/a", *upgrade, *headers) + body[:4])
        time.sleep(pause)
        connection.sendall(body[4:])
        if not is_published:
            connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 200") == is_published
    wait_for_files(server, {"set/a": b"abcdef" if is_published else b"before"})


def test_bytes_after_the_announced_end_do_not_belong_to_the_file(server: Server) -> None:
    """They are a malformed request of their own; the file has arrived completely."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(put_head(server, "set/a", "Content-Length: 3") + b"abcdef\r\n\r\n")
        answer = b""
        while received := connection.recv(10_000):
            answer += received
    assert [line[:12] for line in answer.splitlines() if line.startswith(b"HTTP/1.1")] == [
        b"HTTP/1.1 200",
        b"HTTP/1.1 400",
    ]
    wait_for_files(server, {"set/a": b"abc"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Range", "bytes 0-2/10"),
        ("If-None-Match", "*"),
        ("If-Match", '"x"'),
        ("If-Unmodified-Since", "Tue, 14 Nov 2023 22:13:20 GMT"),
    ],
)
def test_header_that_changes_what_a_put_means_is_refused(server: Server, name: str, value: str) -> None:
    """A PUT of a part replaced the whole file by that part, and a PUT of a file only if there is none replaced one."""
    (server.root / "set" / "a").write_bytes(b"before")
    status, body = put(server, write_target(server, "set/a"), b"abc", **{name: value})
    assert (status, name in json.loads(body)["message"]) == (400, True)
    assert files_of(server) == {"set/a": b"before"}


async def test_server_that_loses_a_part_of_a_body_publishes_nothing(tmp_path: Path) -> None:
    """The HTTP server said that the body of a request with an upgrade was complete, and empty: the file was emptied."""

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "PUT", "path": "/", "headers": [(b"content-length", b"3")]}
    (tmp_path / "a").write_bytes(b"before")
    with pytest.raises(MalformedRequestError, match="0 bytes were received, and Content-Length says 3"):
        await Uploads(LocalFiles(file_root(tmp_path))).receive(Request(scope, receive), "a")
    assert (tmp_path / "a").read_bytes() == b"before"
