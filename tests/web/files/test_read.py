from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from headwater.domain.errors import HeadwaterError, MethodNotAllowedError
from headwater.domain.read_url import ReadUrlSigner
from headwater.domain.samples import MEDIA_SUFFIXES
from headwater.stores.local import disk_threads as local_threads
from headwater.stores.local.files import CHUNK, LocalFiles
from headwater.stores.local.root import LocalRoot, OpenFile
from headwater.stores.local.store import LocalStore
from headwater.web.files import routes as files
from headwater.web.files.conditional import Answer

KEY = b"k" * 32
CONTENT = bytes(range(256)) * 4
MODIFIED = 1_700_000_000
CORS = ("access-control-allow-origin", "*")

ODD_NAMES = [
    *("a b.png", "a+b.png", "a%41.png", "a%2Fb.png", "%2e%2e.png", "a#b.png", "a?b&c=d;e.png", "a'b\".png", "<>&.png"),
    *("a\\b.png", "é.png", "e\u0301.png", "🦊.png", "אבג.png", "\x01\x7f.png", "line\nbreak.png", "\n", " ", "..."),
    *("\ufffd.png", "\U0010ffff.png", "n" * 251 + ".png", "~!$()*,:@[]^`{|}", "sub/ü/ .png", "expires=1&signature=x"),
]


@dataclass
class Server:
    root: Path
    port: int
    signer: ReadUrlSigner

    def target(self, path: str, expires: float | None = None) -> str:
        """The path and query of a read URL."""
        (url,) = self.signer.sign([path], int(time.time() + 60 if expires is None else expires))
        split = urlsplit(url)
        return f"{split.path}?{split.query}"

    def ask(
        self, target: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, target, headers=headers or {})
            response = connection.getresponse()
            names = [name.lower() for name, _ in response.getheaders()]
            assert len(names) == len(set(names)), "a header came twice"
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        return self.ask(self.target(path), headers={name.replace("_", "-"): value for name, value in headers.items()})


def error_response(request: Request, error: HeadwaterError) -> Response:
    headers = {"Allow": ", ".join(error.allow)} if isinstance(error, MethodNotAllowedError) else {}
    return JSONResponse({"code": error.code, "message": error.message}, error.status, headers)


@contextmanager
def serving(root: Path, root_path: str = "") -> Iterator[Server]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        signer = ReadUrlSigner([KEY], f"http://127.0.0.1:{port}", str(root))
        app = FastAPI(openapi_url=None, redirect_slashes=False)
        app.router.routes.append(files.route(root, signer, error_response))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", root_path=root_path))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Server(root, port, signer)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("files") / "root"
    (root / "set").mkdir(parents=True)
    (root / "set" / "a.png").write_bytes(CONTENT)
    os.utime(root / "set" / "a.png", (MODIFIED, MODIFIED))
    (root / "set" / "empty.png").touch()
    with serving(root) as running:
        yield running


def descriptors_on(path: Path) -> int:
    """How many descriptors of this process, in which the server runs, are open on a file."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            count += link.readlink() == path
        except FileNotFoundError:
            continue
    return count


def wait_until_closed(path: Path) -> None:
    until = time.monotonic() + 10
    while descriptors_on(path):
        assert time.monotonic() < until, "the file is still open"
        time.sleep(0.01)


# ---- what is served


def test_get(server: Server) -> None:
    status, headers, body = server.get("set/a.png")
    assert (status, body) == (200, CONTENT)
    state = (server.root / "set" / "a.png").stat()
    expected = {
        "content-type": "image/png",
        "content-length": "1024",
        "accept-ranges": "bytes",
        "etag": f'"{state.st_mtime_ns:x}-400"',
        "last-modified": "Tue, 14 Nov 2023 22:13:20 GMT",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "cross-origin",
        "access-control-allow-origin": "*",
        "referrer-policy": "no-referrer",
    }
    assert expected.items() <= headers.items()
    for exposed in ("Content-Range", "Content-Length", "ETag", "Accept-Ranges"):
        assert exposed in headers["access-control-expose-headers"]
    assert "content-encoding" not in headers
    assert "set-cookie" not in headers


def test_the_policy_leaves_nothing_to_run(server: Server) -> None:
    """A stranger's page must find itself in a sandbox; a video opened by itself must find its own address allowed."""
    (server.root / "page.html").write_text("<script>fetch('/v1/datasets')</script>")
    _, headers, _ = server.get("page.html")
    policy = [directive.strip() for directive in headers["content-security-policy"].split(";")]
    assert {"sandbox", "default-src 'none'", "media-src 'self'"} <= set(policy)
    assert not any("script" in directive or "allow-" in directive for directive in policy)
    assert headers["content-type"] == "text/html"


def test_head_is_get_without_the_body(server: Server) -> None:
    _, of_get, _ = server.get("set/a.png")
    status, of_head, body = server.ask(server.target("set/a.png"), "HEAD", {"Range": "bytes=0-9"})
    assert (status, body) == (200, b"")
    for headers in (of_get, of_head):
        headers.pop("date")
        headers.pop("cache-control")  # counts down
    assert of_head == of_get
    wait_until_closed(server.root / "set" / "a.png")


def test_an_empty_file(server: Server) -> None:
    for headers in ({}, {"range": "bytes=-5"}):
        status, answered, body = server.get("set/empty.png", **headers)
        assert (status, answered["content-length"], body) == (200, "0", b"")


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_odd_names_from_listing_to_bytes(server: Server, name: str) -> None:
    """Listed, signed, fetched by an ordinary client: the bytes are those of the file."""
    folder = server.root / f"odd {ODD_NAMES.index(name)}"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_bytes(name.encode())
    store = LocalStore(server.root, folder.name, server.signer)
    (found,) = (await store.list_page("", None, 10)).objects
    assert found.key == name
    (url,) = await store.sign([found.key], 60)
    with urllib.request.urlopen(url, timeout=20) as response:
        assert response.read() == name.encode()
        assert response.headers["ETag"] == found.etag
    split = urlsplit(url)
    assert server.ask(f"{split.path}?{split.query}")[::2] == (200, name.encode())


def test_each_sample_has_its_media_type(server: Server) -> None:
    types = {}
    for suffix in [*MEDIA_SUFFIXES, "PNG", "json", "txt", "csv.gz", "svg", "unheard-of", "", "lightly/png"]:
        path = server.root / "types" / f"a.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        types[suffix] = server.get(f"types/a.{suffix}")[1]["content-type"]
    assert all(types[suffix].startswith(("image/", "video/")) for suffix in MEDIA_SUFFIXES)
    some = {
        "jpg": "image/jpeg",
        "webp": "image/webp",
        "mkv": "video/x-matroska",
        "PNG": "image/png",
        "json": "application/json",
        "svg": "image/svg+xml",
        "unheard-of": "application/octet-stream",
        "": "application/octet-stream",
        "lightly/png": "application/octet-stream",
    }
    assert some.items() <= types.items()


def test_nothing_is_encoded_on_the_way(server: Server) -> None:
    (server.root / "text.txt").write_bytes(b"a" * 100_000)
    _, headers, body = server.get("text.txt", Accept_Encoding="gzip, br, deflate")
    assert (len(body), headers["content-length"]) == (100_000, "100000")
    assert "content-encoding" not in headers
    assert "no-transform" in headers["cache-control"]


@pytest.mark.parametrize(("life", "at_least", "at_most"), [(30, 25, 30), (10**6, files.MAX_AGE, files.MAX_AGE)])
def test_browsers_keep_it_no_longer_than_the_url_lives(server: Server, life: int, at_least: int, at_most: int) -> None:
    _, headers, _ = server.ask(server.target("set/a.png", time.time() + life))
    kind, _, age = headers["cache-control"].replace(" ", "").rpartition("max-age=")
    assert kind.startswith("private,")
    assert at_least <= int(age) <= at_most


# ---- ranges and preconditions (RFC 9110)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-1023", 0, 1023),
        ("bytes=0-", 0, 1023),
        ("bytes=1000-2000", 1000, 1023),
        ("bytes=1023-", 1023, 1023),
        ("bytes=100-299", 100, 299),
        ("bytes=-1", 1023, 1023),
        ("bytes=-1024", 0, 1023),
        ("bytes=-5000", 0, 1023),
        ("Bytes = 5 - 9", 5, 9),
    ],
)
def test_range(server: Server, asked: str, first: int, last: int) -> None:
    status, headers, body = server.get("set/a.png", Range=asked)
    assert (status, body) == (206, CONTENT[first : last + 1])
    assert headers["content-range"] == f"bytes {first}-{last}/1024"
    assert headers["content-length"] == str(last - first + 1)
    assert headers["content-type"] == "image/png"
    assert "etag" in headers


@pytest.mark.parametrize(
    "asked",
    [
        *(
            "bytes=0-1,5-6",
            "bytes=5-4",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=1-2x",
            "items=0-1",
            "bytes 0-1",
            "0-1",
        ),
        *("bytes=0-1,", "bytes=--1", "bytes=+1-2", "bytes=\xb2-5", f"bytes=0-{'9' * 5000}"),
    ],
)
def test_a_range_that_is_not_served_is_ignored(server: Server, asked: str) -> None:
    status, headers, body = server.get("set/a.png", Range=asked)
    assert (status, body) == (200, CONTENT)
    assert "content-range" not in headers


@pytest.mark.parametrize(
    ("name", "asked"), [("a", "bytes=1024-"), ("a", "bytes=5000-6000"), ("a", "bytes=-0"), ("empty", "bytes=0-")]
)
def test_a_range_beyond_the_end(server: Server, name: str, asked: str) -> None:
    status, headers, body = server.get(f"set/{name}.png", Range=asked)
    assert (status, json.loads(body)["code"]) == (416, "BAD_REQUEST")
    assert headers["content-range"] == f"bytes */{1024 if name == 'a' else 0}"
    assert CORS in headers.items()
    assert headers["cache-control"] == "no-store"


def test_a_range_beyond_four_gigabytes(server: Server) -> None:
    size = 5_000_000_010
    with (server.root / "large.mp4").open("wb") as file:
        file.truncate(size)
        file.seek(size - 10)
        file.write(b"0123456789")
    status, headers, body = server.get("large.mp4", Range=f"bytes={size - 5}-")
    assert (status, body) == (206, b"56789")
    assert headers["content-range"] == f"bytes {size - 5}-{size - 1}/{size}"
    _, headers, _ = server.ask(server.target("large.mp4"), "HEAD")
    assert headers["content-length"] == str(size)


def test_if_range(server: Server) -> None:
    etag = server.get("set/a.png")[1]["etag"]
    for validator in (etag, formatdate(MODIFIED, usegmt=True)):
        assert server.get("set/a.png", Range="bytes=0-3", If_Range=validator)[0] == 206
    for validator in (f"W/{etag}", '"other"', formatdate(MODIFIED - 1, usegmt=True), formatdate(MODIFIED + 1), "junk"):
        status, _, body = server.get("set/a.png", Range="bytes=0-3", If_Range=validator)
        assert (status, body) == (200, CONTENT)


def test_not_modified(server: Server) -> None:
    etag = server.get("set/a.png")[1]["etag"]
    later, same, earlier = (formatdate(MODIFIED + by, usegmt=True) for by in (60, 0, -1))
    for headers, expected in (
        ({"If_None_Match": etag}, 304),
        ({"If_None_Match": f'"x", W/{etag}'}, 304),
        ({"If_None_Match": "*"}, 304),
        ({"If_None_Match": '"x"'}, 200),
        ({"If_None_Match": '"x"', "If_Modified_Since": later}, 200),
        ({"If_Modified_Since": same}, 304),
        ({"If_Modified_Since": later}, 304),
        ({"If_Modified_Since": earlier}, 200),
        ({"If_Modified_Since": "yesterday"}, 200),
        ({"If_None_Match": etag, "Range": "bytes=0-3"}, 304),
        ({"If_Match": etag}, 200),
        ({"If_Match": "*"}, 200),
        ({"If_Match": f"W/{etag}"}, 412),
        ({"If_Match": '"x"'}, 412),
        ({"If_Unmodified_Since": same}, 200),
        ({"If_Unmodified_Since": earlier}, 412),
    ):
        status, answered, body = server.get("set/a.png", **headers)
        assert status == expected, headers
        if expected == 412:
            assert json.loads(body)["code"] == "BAD_REQUEST"
        else:
            assert body == (CONTENT if expected == 200 else b"")
        assert CORS in answered.items()
        if expected == 304:
            assert answered["etag"] == etag
            assert "max-age" in answered["cache-control"]


def test_a_file_from_the_future(server: Server) -> None:
    """Dates beyond what HTTP can write, or beyond now, must not break an answer."""
    path = server.root / "future.png"
    path.write_bytes(b"x")
    os.utime(path, (10**10, 10**10))
    status, headers, _ = server.get("future.png")
    assert status == 200
    assert parsedate_to_datetime(headers["last-modified"]).timestamp() <= time.time()
    os.utime(path, (-(10**10), -(10**10)))
    assert server.get("future.png")[1]["last-modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"


# ---- who may read, and what


def test_expired(server: Server) -> None:
    status, headers, body = server.ask(server.target("set/a.png", MODIFIED))
    assert status == 403
    assert b"expired at 2023-11-14T22:13:20Z: list again" in body
    assert CORS in headers.items()
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a.png", "empty.png"),
        ("signature=", "signature=x"),
        ("expires=", "expires=9"),
        ("expires=", "later="),
        ("&signature=", "&sign="),
        ("?expires=", "?"),
        ("?expires=", "?token=abc&Expires="),
    ],
)
def test_a_url_that_was_changed(server: Server, old: str, new: str) -> None:
    target = server.target("set/a.png")
    assert server.ask(target)[0] == 200
    status, headers, body = server.ask(target.replace(old, new))
    assert status == 403
    assert b"does not match" in body
    assert CORS in headers.items()


def test_without_a_signature_nobody_learns_what_is_there(server: Server) -> None:
    answers = {server.ask(f"/files/{path}")[::2] for path in ("set/a.png", "set", "absent", "../x", "%00", "")}
    assert len(answers) == 1
    assert answers.pop()[0] == 403


def test_other_members_of_the_query_do_not_matter(server: Server) -> None:
    target = server.target("set/a.png").replace("?", "?token=abc&") + "&cache=1"
    assert server.ask(target)[0] == 200


@pytest.mark.parametrize(
    "path", ["absent.png", "set", "set/a.png/b", "set/a.png/", "", "../secret.png", "set/../set/a.png"]
)
def test_signed_and_not_there(server: Server, path: str) -> None:
    (server.root.parent / "secret.png").write_bytes(b"secret")
    for method in ("GET", "HEAD"):
        status, headers, body = server.ask(server.target(path), method)
        assert status == 404
        assert CORS in headers.items()
        assert str(server.root).encode() not in body


def test_what_is_not_a_regular_file_is_not_there(server: Server) -> None:
    (server.root / "out.png").symlink_to("../secret.png")
    (server.root / "device.png").symlink_to("/dev/zero")
    os.mkfifo(server.root / "fifo.png")
    for path in ("out.png", "device.png", "fifo.png"):
        assert server.get(path)[0] == 404
    (server.root / "in.png").symlink_to(server.root / "set" / "a.png")
    assert server.get("in.png")[::2] == (200, CONTENT)


def test_a_path_that_is_not_utf8(server: Server) -> None:
    assert server.ask("/files/a%FF.png?expires=1&signature=x")[0] == 404


def test_preflight(server: Server) -> None:
    """Browsers ask before they send a Range, with neither token nor anything else."""
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    status, headers, body = server.ask(
        server.target("set/a.png"), "OPTIONS", {**asked, "Access-Control-Request-Headers": "range, authorization"}
    )
    assert (status, body) == (204, b"")
    assert CORS in headers.items()
    assert {"GET", "HEAD"} <= set(headers["access-control-allow-methods"].split(", "))
    assert {"*", "Authorization"} <= set(headers["access-control-allow-headers"].split(", "))


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
def test_other_methods(server: Server, method: str) -> None:
    status, headers, _ = server.ask(server.target("set/a.png"), method)
    assert (status, headers["allow"]) == (405, "GET, HEAD, OPTIONS, PUT")
    assert CORS in headers.items()


def test_only_what_begins_with_files_is_ours(server: Server) -> None:
    for target in ("/files", "/filesystem/a", "/v1/files/a"):
        status, headers, _ = server.ask(target)
        assert status == 404
        assert CORS not in headers.items()


def test_below_the_path_of_a_proxy(server: Server) -> None:
    with serving(server.root, root_path="/pre fix") as behind:
        assert behind.get("set/a.png")[::2] == (200, CONTENT)


# ---- long files


@pytest.fixture
def film(server: Server) -> Iterator[Path]:
    """40 MB: more than the buffers between server and client hold."""
    path = server.root / "film.mp4"
    path.write_bytes(os.urandom(1_000_003) * 40)
    yield path
    path.unlink()


@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 1])
def test_every_length_around_the_chunks(server: Server, size: int) -> None:
    data = os.urandom(size)
    (server.root / "chunks.bin").write_bytes(data)
    assert server.get("chunks.bin")[::2] == (200, data)
    assert server.get("chunks.bin", Range="bytes=7-")[::2] == (206, data[7:])
    wait_until_closed(server.root / "chunks.bin")


def test_a_long_file_is_whole(server: Server, film: Path) -> None:
    assert server.get("film.mp4")[2] == film.read_bytes()


def ask_and_read_a_little(server: Server) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", server.target("film.mp4"))
    response = connection.getresponse()
    assert len(response.read(1000)) == 1000
    return connection, response


def test_a_client_that_goes_away_lets_the_file_go(server: Server, film: Path) -> None:
    """The HTTP server drops what is sent to nobody: unasked, the file would be read to its end, here a terabyte."""
    os.truncate(film, 10**12)
    connection, response = ask_and_read_a_little(server)
    assert descriptors_on(film) == 1
    response.close()
    connection.close()
    wait_until_closed(film)


def test_a_file_that_is_replaced_meanwhile_is_served_as_it_was(server: Server, film: Path) -> None:
    before = film.read_bytes()
    connection, response = ask_and_read_a_little(server)
    film.rename(film.with_name("old.mp4"))
    film.write_bytes(b"new")
    assert response.read() == before[1000:]
    connection.close()
    assert server.get("film.mp4")[2] == b"new"


def test_a_file_that_becomes_shorter_is_broken_off(server: Server, film: Path) -> None:
    """Ending the answer as if it were whole would hand a client half a film for a whole one."""
    connection, response = ask_and_read_a_little(server)
    with film.open("r+b") as file:
        file.truncate(30_000_000)
    with pytest.raises(http.client.IncompleteRead):
        response.read()
    connection.close()
    wait_until_closed(film)


# ---- disks that hang


def test_a_hung_folder_holds_up_no_other(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen requests for files of a dead mount once took all threads: no file of any datasource came after that."""
    monkeypatch.setattr(local_threads, "LIMIT", 4.0)
    monkeypatch.setattr(local_threads, "PATIENCE", 2.0)
    (server.root / "hung").mkdir()
    recovered = threading.Event()
    open_file = LocalRoot.open_file

    def open_or_hang(root: LocalRoot, parts: tuple[str, ...]) -> OpenFile:
        if parts[0] == "hung":
            recovered.wait(30)
        return open_file(root, parts)

    monkeypatch.setattr(LocalRoot, "open_file", open_or_hang)
    began = time.monotonic()
    try:
        with ThreadPoolExecutor(40) as clients:
            hung = [clients.submit(server.get, f"hung/{number}.png") for number in range(40)]
            wait(hung, timeout=0.2)
            assert server.get("set/a.png")[::2] == (200, CONTENT)
            assert not any(asked.done() for asked in hung)
            assert {asked.result()[0] for asked in hung} == {503}
        assert time.monotonic() - began < 10
    finally:
        recovered.set()


def test_a_disk_that_hangs_in_the_middle_of_a_film(server: Server, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download once waited for a dead mount for as long as its client did, with a thread and a descriptor."""
    monkeypatch.setattr(local_threads, "LIMIT", 0.8)
    monkeypatch.setattr(local_threads, "PATIENCE", 0.4)
    recovered = threading.Event()
    read_at = OpenFile.read_at

    def read_or_hang(file: OpenFile, offset: int, size: int) -> bytes:
        if offset > 10_000_000:
            recovered.wait(30)
        return read_at(file, offset, size)

    monkeypatch.setattr(OpenFile, "read_at", read_or_hang)
    connection, response = ask_and_read_a_little(server)
    try:
        with pytest.raises(http.client.IncompleteRead):
            response.read()
        wait_until_closed(film)
    finally:
        connection.close()
        recovered.set()


async def test_a_file_that_is_opened_for_nobody_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that ended while a thread opened its file left the closing to the garbage collector."""
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(CHUNK + 1))
    opening, go_on = threading.Event(), threading.Event()
    held: list[OpenFile] = []
    open_file = LocalRoot.open_file

    def open_and_wait(root: LocalRoot, parts: tuple[str, ...]) -> OpenFile:
        held.append(open_file(root, parts))
        opening.set()
        go_on.wait(30)
        return held[0]

    monkeypatch.setattr(LocalRoot, "open_file", open_and_wait)
    task = asyncio.create_task(LocalFiles(tmp_path).open("a.mp4", lambda file: Answer(200, to_send=file.size)))
    await asyncio.to_thread(opening.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert descriptors_on(path) == 1
    go_on.set()
    await asyncio.to_thread(wait_until_closed, path)
