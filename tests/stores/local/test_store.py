"""Reading, writing and deleting files of LOCAL datasources, and their URLs."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.client import HTTPConnection
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from headwater.domain.errors import (
    LocationInvalidError,
    ObjectNotFoundError,
    StoreUnavailableError,
)
from headwater.domain.read_url import ReadUrlSigner
from headwater.stores.local import changes as local_changes
from headwater.stores.local.files import LocalFiles
from headwater.stores.local.store import LocalStore
from tests.stores.local.opening import file_root, open_store

SIGNER = ReadUrlSigner([b"k" * 32], "http://hw.example/pre", "tests")

NO_FILES = [
    *("", "/", "a.png/", "/a.png", "a//b", ".", "..", "./a.png", "sub/../a.png", "../outside.png", "a\0b", "\ud800")
]
"""Keys that no file on a disk can have."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "root" / "set"
    made.mkdir(parents=True)
    (made / "a.png").write_bytes(b"content")
    (made / "sub").mkdir()
    (tmp_path / "root" / "outside.png").write_bytes(b"outside of the datasource")
    (tmp_path / "secret.png").write_bytes(b"outside of the root")
    return made


@pytest.fixture
def store(tmp_path: Path, folder: Path) -> LocalStore:
    return open_store(tmp_path / "root", "set", SIGNER)


@pytest.fixture(autouse=True)
def _no_descriptor_is_left() -> Iterator[None]:
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# ---- read


async def test_read(store: LocalStore, folder: Path) -> None:
    (folder / "empty.png").touch()
    assert [await store.read("a.png", limit) for limit in (0, 1, 7, 8, 10**9)] == [
        *(b"", b"c", b"content", b"content", b"content")
    ]
    assert await store.read("empty.png", 1) == b""


@pytest.mark.parametrize("key", [*NO_FILES, "absent.png", "sub", "a.png/b", "absent/b", "n" * 300])
async def test_read_of_a_missing_file_is_an_error(store: LocalStore, key: str) -> None:
    with pytest.raises(ObjectNotFoundError):
        await store.read(key, 1)


async def test_read_opens_only_regular_files(store: LocalStore, folder: Path) -> None:
    """Opening a pipe waits for its other end, and lets a writer that waits go on."""
    os.mkfifo(folder / "fifo.png")
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "link.png").symlink_to("fifo.png")
    for key in ("fifo.png", "device.png", "link.png"):
        with pytest.raises(ObjectNotFoundError):
            await asyncio.wait_for(store.read(key, 1), 5)


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("out.png", "../../secret.png"),
        ("out.png", "{root}/../secret.png"),
        ("out.png", "hop.png"),
        ("out.png", "{root}x/secret.png"),
        ("out.png", "/etc/passwd"),
        ("out.png", "out.png"),
        ("out.png", "nowhere.png"),
        ("dir", "../.."),
        ("dir", "{root}/.."),
        ("dir", "/etc"),
    ],
)
async def test_no_link_leads_out(store: LocalStore, folder: Path, tmp_path: Path, link: str, target: str) -> None:
    beside = tmp_path / "rootx"  # begins like the root, and is another folder
    beside.mkdir()
    (beside / "secret.png").write_bytes(b"outside of the root")
    (folder / "hop.png").symlink_to("../../secret.png")
    (folder / link).symlink_to(target.format(root=tmp_path / "root"))
    for key in (link, f"{link}/secret.png", f"{link}/passwd"):
        with pytest.raises(ObjectNotFoundError):
            await store.read(key, 1)
    (folder / "inside.png").symlink_to("../outside.png")
    assert await store.read("inside.png", 7) == b"outside"


@pytest.mark.parametrize("name", ["absent", "set/a.png", "set/a.png/b", "out", "set/../set", "se\0t", "\ud800"])
async def test_a_missing_folder_is_an_error(tmp_path: Path, folder: Path, name: str) -> None:
    (tmp_path / "root" / "out").symlink_to(tmp_path)
    store = open_store(tmp_path / "root", name, SIGNER)
    for doing in (store.list_page("", None, 1), store.write("x", b""), store.delete("x"), store.read("x", 1)):
        with pytest.raises(LocationInvalidError, match=r"below the mount root|out of the mount root") as caught:
            await doing
        assert str(tmp_path) not in caught.value.message
    assert everything(tmp_path / "root") == ["out", "outside.png", "set", "set/a.png", "set/sub"]


# ---- write


async def test_write(store: LocalStore, folder: Path) -> None:
    await store.write(".lightly/deep/er/ü \n.txt", b"one")
    assert (folder / ".lightly/deep/er/ü \n.txt").read_bytes() == b"one"
    await store.write(".lightly/deep/er/ü \n.txt", b"two, longer" * 100_000)
    assert (folder / ".lightly/deep/er/ü \n.txt").read_bytes() == b"two, longer" * 100_000
    await store.write("a.png", b"")
    assert (folder / "a.png").read_bytes() == b""
    above = [".lightly", ".lightly/deep", ".lightly/deep/er"]
    assert everything(folder) == [*above, ".lightly/deep/er/ü \n.txt", "a.png", "sub"]


@pytest.mark.parametrize("key", [*NO_FILES, "sub", "a.png/b", "n" * 300, f"{'n' * 300}/a"])
async def test_write_of_an_impossible_name_is_an_error(store: LocalStore, folder: Path, key: str) -> None:
    with pytest.raises(LocationInvalidError) as caught:
        await store.write(key, b"new")
    assert str(folder) not in caught.value.message
    assert everything(folder.parent) == ["outside.png", "set", "set/a.png", "set/sub"]


async def test_write_replaces_a_link_and_does_not_follow_it(store: LocalStore, folder: Path, tmp_path: Path) -> None:
    (folder / "out.png").symlink_to("../../secret.png")
    (folder / "in.png").symlink_to("a.png")
    for name in ("out.png", "in.png"):
        await store.write(name, b"new")
        assert not (folder / name).is_symlink()
        assert (folder / name).read_bytes() == b"new"
    assert (tmp_path / "secret.png").read_bytes() == b"outside of the root"
    assert (folder / "a.png").read_bytes() == b"content"


async def test_write_through_linked_folders(store: LocalStore, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "root" / "output").mkdir()
    (folder / ".lightly").symlink_to("../output")
    await store.write(".lightly/x/a.txt", b"new")
    assert (tmp_path / "root" / "output" / "x" / "a.txt").read_bytes() == b"new"
    (folder / "out").symlink_to(tmp_path)
    (folder / "dangling").symlink_to("nowhere")
    with pytest.raises(LocationInvalidError, match="leads out of the mount root"):
        await store.write("out/a.txt", b"new")
    with pytest.raises(LocationInvalidError):
        await store.write("dangling/a.txt", b"new")
    assert not (tmp_path / "a.txt").exists()
    assert not (folder / "nowhere").exists()


async def test_a_failed_write_leaves_the_old_file(
    store: LocalStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("headwater.stores.local.changes.os.fsync", full)
    with pytest.raises(StoreUnavailableError, match=r"ENOSPC.*free some space"):
        await store.write("a.png", b"new")
    assert (folder / "a.png").read_bytes() == b"content"
    assert everything(folder) == ["a.png", "sub"]


async def test_readers_see_the_old_content_or_the_new(store: LocalStore) -> None:
    versions = [bytes([letter]) * 100_000 for letter in b"abc"]
    await store.write("b.png", versions[0])
    stop = asyncio.Event()

    async def rewrite() -> None:
        while not stop.is_set():
            for version in versions:
                await store.write("b.png", version)

    writer = asyncio.create_task(rewrite())
    seen: set[bytes] = set()
    async with asyncio.timeout(20):
        while len(seen) < len(versions):
            seen.add(await store.read("b.png", 10**6))
    stop.set()
    await writer
    assert seen == set(versions)


async def test_concurrent_writes_and_deletes_succeed(store: LocalStore, folder: Path) -> None:
    """A delete removes a folder that it left empty, perhaps the one that a write has just opened."""

    async def turn(name: str) -> None:
        for _ in range(40):
            await store.write(f".lightly/{name}.txt", name.encode())
            assert await store.read(f".lightly/{name}.txt", 9) == name.encode()
            await store.delete(f".lightly/{name}.txt")

    await asyncio.gather(*(turn(name) for name in "abcd"))
    assert everything(folder) == ["a.png", "sub"]


async def test_a_folder_that_disappears_during_a_write_is_created_again(
    store: LocalStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = local_changes.temporary_name
    vanished: list[bool] = []

    def vanish_once() -> str:
        if not vanished:
            (folder / ".lightly").rmdir()
            vanished.append(True)
        return name()

    monkeypatch.setattr(local_changes, "temporary_name", vanish_once)
    await store.write(".lightly/a.txt", b"new")
    assert vanished
    assert (folder / ".lightly" / "a.txt").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("a/" * 2100 + "a.txt", "the path has 2102 parts; write a file with at most 256"),
        ("a/" * 255 + "a.txt", "the path has 257 parts"),
        ("é" * 128, "a name in the path has 256 bytes; use names of at most 255"),
        ("x" * 256 + "/a.txt", "a name in the path has 256 bytes"),
        (f"{'x' * 250}/" * 100 + "a.txt", "the path has 25109 bytes; write a file with at most 24576"),
        (f".lightly/.headwater-{'0' * 32}.tmp", "for files that are being uploaded"),
    ],
)
async def test_a_path_that_is_too_long_is_not_written(store: LocalStore, folder: Path, key: str, said: str) -> None:
    """A file 2,100 folders deep was written, and made every listing above it a 503, for other users, too."""
    before = everything(folder)
    with pytest.raises(LocationInvalidError) as refused:
        await store.write(key, b"new")
    assert said in refused.value.message
    with pytest.raises(LocationInvalidError) as refused:
        await store.sign([key], 60, "PUT")
    assert said in refused.value.message
    with pytest.raises(LocationInvalidError) as refused:
        await LocalFiles(file_root(folder.parent)).create(f"{folder.name}/{key}")
    assert said in refused.value.message
    assert everything(folder) == before
    assert await store.sign([key], 60)


async def test_a_deep_path_is_written_with_few_open_folders(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every folder on the path was held open: a few writes of deep paths took all descriptors of the process."""
    opened, max_opened = set[int](), 0
    os_open, os_close, os_dup = os.open, os.close, os.dup

    def note(fd: int) -> int:
        nonlocal max_opened
        opened.add(fd)
        max_opened = max(max_opened, len(opened))
        return fd

    def forget(fd: int) -> None:
        opened.discard(fd)
        os_close(fd)

    monkeypatch.setattr(os, "open", lambda *args, **more: note(os_open(*args, **more)))
    monkeypatch.setattr(os, "dup", lambda fd: note(os_dup(fd)))
    monkeypatch.setattr(os, "close", forget)
    key = "a/" * 200 + "a.txt"
    await store.write(key, b"new")
    monkeypatch.undo()
    assert await store.read(key, 10) == b"new"
    assert max_opened < 10


# ---- delete


async def test_delete_removes_folders_that_became_empty(store: LocalStore, folder: Path) -> None:
    await store.write("x/y/z/a.txt", b"")
    await store.write("x/b.txt", b"")
    await store.delete("x/y/z/a.txt")
    assert everything(folder) == ["a.png", "sub", "x", "x/b.txt"]
    await store.delete("x/b.txt")
    await store.delete("a.png")
    assert everything(folder) == ["sub"]
    (folder / "sub").rmdir()
    await store.write("a.png", b"")
    await store.delete("a.png")
    assert folder.is_dir()


async def test_delete_keeps_empty_folders_of_the_user(store: LocalStore, folder: Path) -> None:
    """Verify removed an empty `.lightly/` folder that the user had created."""
    (folder / ".lightly" / "mine").mkdir(parents=True)
    await store.write(".lightly/a.txt", b"")
    await store.delete(".lightly/a.txt")
    await store.write(".lightly/mine/made/a.txt", b"")
    await store.delete(".lightly/mine/made/a.txt")
    assert everything(folder) == [".lightly", ".lightly/mine", "a.png", "sub"]


async def test_delete_keeps_a_folder_that_the_user_created_again(store: LocalStore, folder: Path) -> None:
    await store.write(".lightly/a.txt", b"")
    await store.delete(".lightly/a.txt")
    assert everything(folder) == ["a.png", "sub"]
    (folder / ".lightly").mkdir()
    await store.write(".lightly/a.txt", b"")
    await store.delete(".lightly/a.txt")
    assert everything(folder) == [".lightly", "a.png", "sub"]


async def test_created_folders_are_limited(store: LocalStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory does not grow with use. A forgotten folder is kept, never removed."""
    monkeypatch.setattr("headwater.stores.local.created_folders.MAX_FOLDERS", 2)
    for name in "xyz":
        await store.write(f"{name}/a.txt", b"")
    for name in "xyz":
        await store.delete(f"{name}/a.txt")
    assert everything(folder) == ["a.png", "sub", "x"]


@pytest.mark.parametrize("key", [*NO_FILES, "absent.png", "sub", "sub/absent", "a.png/b", "absent/b", "n" * 300])
async def test_delete_of_a_missing_file_succeeds(store: LocalStore, folder: Path, key: str) -> None:
    await store.delete(key)
    assert everything(folder.parent) == ["outside.png", "set", "set/a.png", "set/sub"]


async def test_delete_does_not_follow_links(store: LocalStore, folder: Path, tmp_path: Path) -> None:
    (folder / "link.png").symlink_to("a.png")
    (folder / "out").symlink_to(tmp_path)
    (folder / "in").symlink_to("other")
    (folder / "other").mkdir()
    (folder / "other" / "x.png").touch()
    await store.delete("link.png")
    await store.delete("out/secret.png")
    await store.delete("in/x.png")
    assert everything(folder) == ["a.png", "in", "other", "out", "sub"]
    assert (tmp_path / "secret.png").exists()


# ---- read URLs


async def test_read_urls_are_relative_to_the_mount_root(tmp_path: Path, folder: Path) -> None:
    for name in ("set", "set/", "set//"):
        first, second = await open_store(tmp_path / "root", name, SIGNER).sign(["a.png", "sub/ü #.png"], 60)
        assert first.startswith("http://hw.example/pre/files/set/a.png?expires=")
        assert second.startswith("http://hw.example/pre/files/set/sub/%C3%BC%20%23.png?expires=")
    (whole,) = await open_store(tmp_path / "root", "", SIGNER).sign(["set/a.png"], 60)
    assert whole.startswith("http://hw.example/pre/files/set/a.png?")


async def test_read_urls_expire_after_the_requested_time(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.stores.local.store.time.time", lambda: 1000.9)
    (url,) = await store.sign(["a.png"], 60)
    split = urlsplit(url)
    expires, signature = (part.partition("=")[2] for part in split.query.split("&"))
    assert expires == "1060"
    assert SIGNER.verify("set/a.png", expires, signature, 1000.9) == 59


@pytest.mark.parametrize("end", ["", "/", "//"])
async def test_read_urls_of_a_web_server(tmp_path: Path, folder: Path, end: str) -> None:
    store = open_store(tmp_path / "root", "set", SIGNER, f"http://files.example/pre{end}")
    keys = ["a.png", "sub/a b#?%41+ü\n.png"]
    urls = await store.sign(keys, 60)
    assert urls == [
        "http://files.example/pre/a.png",
        "http://files.example/pre/sub/a%20b%23%3F%2541%2B%C3%BC%0A.png",
    ]
    assert [unquote(url.removeprefix("http://files.example/pre/")) for url in urls] == keys


async def test_a_web_server_finds_the_files_of_its_read_urls(tmp_path: Path, folder: Path) -> None:
    names = ["a b.png", "a%41+;#?&=.png", "ü/e\u0301.png"]
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(name.encode())

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            location = f"http://127.0.0.1:{server.server_port}"
            for name, url in zip(
                names, await open_store(tmp_path / "root", "set", SIGNER, location).sign(names, 60), strict=True
            ):
                connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
                connection.request("GET", url.removeprefix(location))
                assert connection.getresponse().read() == name.encode()
                connection.close()
        finally:
            server.shutdown()
            thread.join()


# ---- what the operating system can say
