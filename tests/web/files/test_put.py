"""Files that are put by a signed URL: whole or not at all, and nowhere else."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from headwater.web.files import routes as files
from tests.web.files.test_read import Server, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    root = tmp_path / "root"
    (root / "set").mkdir(parents=True)
    with serving(root) as running:
        yield running


def target(server: Server, path: str, *, write: bool = True, seconds: float = 60) -> str:
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


def below(server: Server) -> dict[str, bytes]:
    return {str(path.relative_to(server.root)): path.read_bytes() for path in server.root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("path", ["set/a b+c%41.json", "set/.lightly/predictions/ü/🦊.json", "new/folder/a"])
def test_a_file_is_created_and_replaced(server: Server, path: str) -> None:
    for body in (b"first" * 100_000, b"second", b""):
        assert put(server, target(server, path), body) == (200, b"")
        assert below(server) == {path: body}
    assert server.get(path)[2] == b""


@pytest.mark.parametrize("path", ["../outside", "set/../../outside", "/etc/outside", "set//a", "set/", ""])
def test_nothing_is_written_outside(server: Server, path: str) -> None:
    status, _ = put(server, target(server, path), b"x")
    assert status in (400, 404)
    assert below(server) == {}
    assert [found.name for found in server.root.parent.iterdir()] == ["root"]


def test_a_link_that_leads_out_is_not_followed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (server.root / "set" / "out").symlink_to(tmp_path / "elsewhere")
    assert put(server, target(server, "set/out/a"), b"x")[0] == 400
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_url_to_read_does_not_write_and_the_other_way_round(server: Server) -> None:
    (server.root / "set" / "a.png").write_bytes(b"pixels")
    status, body = put(server, target(server, "set/a.png", write=False), b"x")
    assert (status, b"write URL does not match" in body) == (403, True)
    status, _, body = server.ask(target(server, "set/a.png"))
    assert (status, b"read URL does not match" in body) == (403, True)
    assert below(server) == {"set/a.png": b"pixels"}


def test_an_expired_and_an_altered_url_write_nothing(server: Server) -> None:
    status, body = put(server, target(server, "set/a", seconds=-1), b"x")
    assert (status, b"write URL expired" in body) == (403, True)
    assert put(server, target(server, "set/a").replace("set/a", "set/b"), b"x")[0] == 403
    assert below(server) == {}


def test_an_upload_that_breaks_off_changes_nothing(server: Server) -> None:
    (server.root / "set" / "a").write_bytes(b"before")
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        head = f"PUT {target(server, 'set/a')} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 500_000)
        time.sleep(0.3)
    limit = time.monotonic() + 5
    while set(below(server)) != {"set/a"}:
        assert time.monotonic() < limit, "what was begun is taken away"
        time.sleep(0.02)
    assert below(server) == {"set/a": b"before"}


def test_a_file_that_is_too_large(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST", 1000)
    assert put(server, target(server, "set/a"), b"x" * 1001)[0] == 413

    def parts() -> Iterator[bytes]:
        yield b"x" * 600
        yield b"x" * 600

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(
        "PUT", target(server, "set/a"), parts(), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
    )
    assert connection.getresponse().status == 413
    connection.close()
    assert below(server) == {}
    assert put(server, target(server, "set/a"), b"x" * 1000)[0] == 200


def test_an_upload_that_stalls_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each held descriptors and a file, for as long as its sender liked."""
    monkeypatch.setattr(files, "STALLED", 0.3)
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        head = f"PUT {target(server, 'set/a')} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"
        connection.sendall(head.encode())
        answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 400")
    limit = time.monotonic() + 5
    while below(server):
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_so_many_uploads_at_once_and_no_more(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_AT_ONCE", 1)
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        head = f"PUT {target(server, 'set/a')} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na"
        connection.sendall(head.encode())
        limit = time.monotonic() + 5
        while not list((server.root / "set").iterdir()):
            assert time.monotonic() < limit
            time.sleep(0.02)
        assert put(server, target(server, "set/b"), b"x")[0] == 429
        connection.sendall(b"bc")
        assert connection.recv(10_000).startswith(b"HTTP/1.1 200")
    assert put(server, target(server, "set/b"), b"x")[0] == 200
    assert below(server) == {"set/a": b"abc", "set/b": b"x"}
