"""Write URLs write exactly one file, completely or not at all."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from headwater.web.files import write
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
    limit = time.monotonic() + 5
    while files_of(server) != expected:
        assert time.monotonic() < limit, files_of(server)
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


def test_stalled_upload_is_abandoned(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stalled upload held descriptors and a file until its client disconnected."""
    monkeypatch.setattr(write, "STALLED_UPLOAD_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        head = f"PUT {write_target(server, 'set/a')} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"
        connection.sendall(head.encode())
        answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 400")
    wait_for_files(server, {})


def test_too_many_concurrent_uploads_are_429(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "MAX_CONCURRENT_UPLOADS", 1)
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        head = f"PUT {write_target(server, 'set/a')} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na"
        connection.sendall(head.encode())
        limit = time.monotonic() + 5
        while not list((server.root / "set").iterdir()):
            assert time.monotonic() < limit
            time.sleep(0.02)
        assert put(server, write_target(server, "set/b"), b"x")[0] == 429
        connection.sendall(b"bc")
        assert connection.recv(10_000).startswith(b"HTTP/1.1 200")
    assert put(server, write_target(server, "set/b"), b"x")[0] == 200
    assert files_of(server) == {"set/a": b"abc", "set/b": b"x"}
