"""Read URLs serve exactly the file, and nothing is held for clients that have gone."""

from __future__ import annotations

import asyncio
import http.client
import os
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.types import Message

from headwater.domain.samples import MEDIA_SUFFIXES
from headwater.stores.local import disk_threads
from headwater.stores.local.files import BLOCK_BYTES, LocalFiles
from headwater.stores.local.root import LocalRoot, OpenFile
from headwater.web.files import routes
from headwater.web.files.conditional import ResponsePlan
from headwater.web.files.read import MAX_AGE_SECONDS, FileResponse
from tests.stores.local.opening import file_root, open_store
from tests.web.files.server import CONTENT, Server, serving

ODD_NAMES = [
    *("a b.png", "a+b.png", "a%41.png", "a%2Fb.png", "%2e%2e.png", "a#b.png", "a?b&c=d;e.png", "a'b\".png", "<>&.png"),
    *("a\\b.png", "é.png", "e\u0301.png", "🦊.png", "אבג.png", "\x01\x7f.png", "line\nbreak.png", "\n", " ", "..."),
    *("\ufffd.png", "\U0010ffff.png", "n" * 251 + ".png", "~!$()*,:@[]^`{|}", "sub/ü/ .png", "expires=1&signature=x"),
]


def descriptors_on(path: Path) -> int:
    """Return how many descriptors of this process, in which the server runs, are open on a file."""
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


def test_get_sends_the_file_with_its_headers(server: Server) -> None:
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


def test_content_security_policy_allows_no_scripts(server: Server) -> None:
    """A user's HTML page must open in a sandbox; a video that is opened directly must be allowed to load itself."""
    (server.root / "page.html").write_text("<script>fetch('/v1/datasets')</script>")
    _, headers, _ = server.get("page.html")
    policy = [directive.strip() for directive in headers["content-security-policy"].split(";")]
    assert {"sandbox", "default-src 'none'", "media-src 'self'"} <= set(policy)
    assert not any("script" in directive or "allow-" in directive for directive in policy)
    assert headers["content-type"] == "text/html"


def test_head_has_the_headers_of_get_without_the_body(server: Server) -> None:
    _, of_get, _ = server.get("set/a.png")
    status, of_head, body = server.request(server.target("set/a.png"), "HEAD", {"Range": "bytes=0-9"})
    assert (status, body) == (200, b"")
    for headers in (of_get, of_head):
        headers.pop("date")
        headers.pop("x-request-id")
        headers.pop("cache-control")  # the age decreases
    assert of_head == of_get
    wait_until_closed(server.root / "set" / "a.png")


def test_empty_file_is_sent(server: Server) -> None:
    for headers in ({}, {"range": "bytes=-5"}):
        status, answered, body = server.get("set/empty.png", **headers)
        assert (status, answered["content-length"], body) == (200, "0", b"")


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_odd_name_is_listed_signed_and_read(server: Server, name: str) -> None:
    """A plain HTTP client receives the bytes of the file that was listed and signed."""
    folder = server.root / f"odd {ODD_NAMES.index(name)}"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_bytes(name.encode())
    store = open_store(server.root, folder.name, server.signer)
    (found,) = (await store.list_page("", None, 10)).objects
    assert found.key == name
    (url,) = await store.sign([found.key], 60)
    with urllib.request.urlopen(url, timeout=20) as response:
        assert response.read() == name.encode()
        assert response.headers["ETag"] == found.etag
    split = urlsplit(url)
    assert server.request(f"{split.path}?{split.query}")[::2] == (200, name.encode())


def test_media_type_follows_the_suffix(server: Server) -> None:
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


def test_content_is_never_encoded(server: Server) -> None:
    (server.root / "text.txt").write_bytes(b"a" * 100_000)
    _, headers, body = server.get("text.txt", Accept_Encoding="gzip, br, deflate")
    assert (len(body), headers["content-length"]) == (100_000, "100000")
    assert "content-encoding" not in headers
    assert "no-transform" in headers["cache-control"]


@pytest.mark.parametrize(("life", "at_least", "at_most"), [(30, 25, 30), (10**6, MAX_AGE_SECONDS, MAX_AGE_SECONDS)])
def test_cache_age_does_not_exceed_the_life_of_the_url(server: Server, life: int, at_least: int, at_most: int) -> None:
    _, headers, _ = server.request(server.target("set/a.png", time.time() + life))
    kind, _, age = headers["cache-control"].replace(" ", "").rpartition("max-age=")
    assert kind.startswith("private,")
    assert at_least <= int(age) <= at_most


@pytest.mark.parametrize("size", [BLOCK_BYTES + n for n in (-1, 0, 1)] + [3 * BLOCK_BYTES, 3 * BLOCK_BYTES + 1])
def test_every_size_around_the_chunk_size_is_sent_whole(server: Server, size: int) -> None:
    data = os.urandom(size)
    (server.root / "chunks.bin").write_bytes(data)
    assert server.get("chunks.bin")[::2] == (200, data)
    assert server.get("chunks.bin", Range="bytes=7-")[::2] == (206, data[7:])
    wait_until_closed(server.root / "chunks.bin")


def test_long_file_is_sent_whole(server: Server, film: Path) -> None:
    assert server.get("film.mp4")[2] == film.read_bytes()


def start_download(
    server: Server, path: str = "film.mp4"
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", server.target(path))
    response = connection.getresponse()
    assert len(response.read(1000)) == 1000
    return connection, response


def test_disconnect_closes_the_file(server: Server, film: Path) -> None:
    """The HTTP server discards what is sent to a disconnected client, so a terabyte was read for no one."""
    os.truncate(film, 10**12)
    connection, response = start_download(server)
    assert descriptors_on(film) == 1
    response.close()
    connection.close()
    wait_until_closed(film)


def test_replaced_file_is_sent_in_its_old_version(server: Server, film: Path) -> None:
    before = film.read_bytes()
    connection, response = start_download(server)
    film.rename(film.with_name("old.mp4"))
    film.write_bytes(b"new")
    assert response.read() == before[1000:]
    connection.close()
    assert server.get("film.mp4")[2] == b"new"


def test_truncated_file_ends_the_response_early(server: Server, film: Path) -> None:
    """A response that ends normally would make the client take half a film for the whole film."""
    connection, response = start_download(server)
    with film.open("r+b") as file:
        file.truncate(30_000_000)
    with pytest.raises(http.client.IncompleteRead):
        response.read()
    connection.close()
    wait_until_closed(film)


@pytest.mark.slow
def test_hung_folder_does_not_block_others(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen requests for files of a dead mount once blocked all threads and so every other datasource."""
    monkeypatch.setattr(disk_threads, "USE_SECONDS", 4.0)
    monkeypatch.setattr(disk_threads, "START_SECONDS", 2.0)
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
            pending = [clients.submit(server.get, f"hung/{number}.png") for number in range(40)]
            wait(pending, timeout=0.2)
            assert server.get("set/a.png")[::2] == (200, CONTENT)
            assert not any(request.done() for request in pending)
            assert {request.result()[0] for request in pending} == {503}
        assert time.monotonic() - began < 10
    finally:
        recovered.set()


def test_disk_that_hangs_ends_a_download(server: Server, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download from a dead mount once held a thread and a descriptor for as long as its client waited."""
    monkeypatch.setattr(disk_threads, "USE_SECONDS", 0.8)
    monkeypatch.setattr(disk_threads, "START_SECONDS", 0.4)
    recovered = threading.Event()
    read_at = OpenFile.read_at

    def read_or_hang(file: OpenFile, offset: int, size: int) -> bytes:
        if offset > 10_000_000:
            recovered.wait(30)
        return read_at(file, offset, size)

    monkeypatch.setattr(OpenFile, "read_at", read_or_hang)
    connection, response = start_download(server)
    try:
        with pytest.raises(http.client.IncompleteRead):
            response.read()
        wait_until_closed(film)
    finally:
        connection.close()
        recovered.set()


async def test_file_opened_for_a_cancelled_request_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a request ended while a thread opened its file, only the garbage collector closed the file."""
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(BLOCK_BYTES + 1))
    opening, resume = threading.Event(), threading.Event()
    held: list[OpenFile] = []
    open_file = LocalRoot.open_file

    def open_and_wait(root: LocalRoot, parts: tuple[str, ...]) -> OpenFile:
        held.append(open_file(root, parts))
        opening.set()
        resume.wait(30)
        return held[0]

    monkeypatch.setattr(LocalRoot, "open_file", open_and_wait)
    opened = LocalFiles(file_root(tmp_path)).open("a.mp4", lambda file: ResponsePlan(200, to_send=file.size))
    task = asyncio.create_task(opened)
    await asyncio.to_thread(opening.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert descriptors_on(path) == 1
    resume.set()
    await asyncio.to_thread(wait_until_closed, path)


async def test_unread_download_keeps_one_block_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three hundred downloads that nobody read cost 350 MiB: the next block was read before the last had been taken."""
    (tmp_path / "a.mp4").write_bytes(bytes(BLOCK_BYTES * 4))
    reads: list[int] = []
    read_at = OpenFile.read_at

    def read_and_note(file: OpenFile, offset: int, size: int) -> bytes:
        reads.append(offset)
        return read_at(file, offset, size)

    monkeypatch.setattr(OpenFile, "read_at", read_and_note)
    files = LocalFiles(file_root(tmp_path))
    opened = await files.open("a.mp4", lambda file: ResponsePlan(200, to_send=file.size))
    sent: list[int] = []

    async def send(message: Message) -> None:
        sent.append(len(message.get("body", b"")))
        if len(sent) == 3:  # head, first block, and then the server waits until the client has taken it
            await asyncio.Event().wait()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(FileResponse(opened)({}, receive, send))
    await asyncio.sleep(0.1)
    assert (sent, len(reads)) == ([0, BLOCK_BYTES, 0], 1)
    assert opened.take_first() == b"", "the block belongs to the connection"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_unread_downloads_of_one_datasource_leave_room_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients that do not read their downloads could take all files that the server may open."""
    monkeypatch.setattr(routes, "MAX_DOWNLOADS", 3)
    monkeypatch.setattr(routes, "MAX_DOWNLOADS_OF_ONE_DATASOURCE", 2)
    for name in ("a/b/film.mp4", "a/c/film.mp4", "d/e/film.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(20_000_000))
    with serving(tmp_path) as server:
        unread = [start_download(server, "a/b/film.mp4") for _ in range(2)]
        status, headers, body = server.get("a/b/film.mp4")
        assert (status, headers["retry-after"], b"of this datasource" in body) == (429, "1", True)
        unread.append(start_download(server, "a/c/film.mp4"))
        assert server.get("d/e/film.mp4")[0] == 429
        for connection, _ in unread:
            connection.close()
        until = time.monotonic() + 5
        while server.get("a/b/film.mp4")[0] != 200:
            assert time.monotonic() < until
            time.sleep(0.05)
