# Names that are not UTF-8, and paths too long for one call, are planted with os, by bytes.
# ruff: noqa: PTH103, PTH109, PTH118, PTH120, PTH123, PTH208, PTH211

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from headwater.domain.objects import StoredObject, StorePage
from headwater.stores.base import Store
from headwater.stores.local import listing as local_listing
from headwater.stores.local.listing_cache import ListingCache
from headwater.stores.local.paths import MAX_DEPTH
from headwater.stores.local.root import LocalRoot
from headwater.stores.local.store import LocalStore
from tests.stores.local.opening import open_store

Put = Callable[[str, bytes], None]

ODD_NAMES = [
    *("a b.png", "a+b.png", "a%41.png", "a%2Fb.png", "a#b.png", "a?b&c=d;e.png", "a'b\".png", "<>&.png", "a\\b.png"),
    *("é.png", "e\u0301.png", "🦊.png", "אבג.png", "\x01\x7f.png", "line\nbreak.png", "\n", " ", "...", "..a"),
    *("\ufffd.png", "\U0010ffff.png", "n" * 251 + ".png", "~", "-rf", "*", ".hidden"),
]
"""Names that every supported file system can hold."""


async def pages(store: Store, prefix: str = "", after: str | None = None, limit: int = 1000) -> list[StorePage]:
    """List to the end, and hold each page to the rules that all pages obey."""
    found = []
    while True:
        page = await store.list_page(prefix, after, limit)
        found.append(page)
        keys = [item.key for item in page.objects]
        assert len(keys) <= limit
        assert keys == sorted(keys, key=str.encode)
        assert after is None or all(key.encode() > after.encode() for key in keys)
        if page.resume_after is None:
            return found
        assert after is None or page.resume_after.encode() > after.encode()
        assert not keys or page.resume_after.encode() >= keys[-1].encode()
        after = page.resume_after


async def objects(store: Store, prefix: str = "", after: str | None = None, limit: int = 1000) -> list[StoredObject]:
    return [item for page in await pages(store, prefix, after, limit) for item in page.objects]


async def listed(store: Store, prefix: str = "", after: str | None = None, limit: int = 1000) -> list[str]:
    return [item.key for item in await objects(store, prefix, after, limit)]


class ListingRules:
    """What a listing must hold, for any store. `put` prepares objects by another way than the store."""

    async def test_an_empty_store_lists_nothing(self, store: Store) -> None:
        assert await store.list_page("", None, 10) == StorePage([], None)

    async def test_order_is_by_key_as_bytes(self, store: Store, put: Put) -> None:
        """A folder `a` sorts as `a/`: after `a-b` and `a.txt`, before `a0`; and text not by UTF-16 units."""
        keys = ["a-b", "a.txt", "a/-", "a/b/c", "a/b0", "a0", "aa", "A", "z/z", "\uffee", "😀", "é"]
        for key in keys:
            put(key, b"")
        assert await listed(store) == sorted(keys, key=str.encode)

    @pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
    async def test_pages_make_one_sorted_list(self, store: Store, put: Put, limit: int) -> None:
        keys = sorted(f"{folder}{i}" for folder in ("", "a/", "a/b/", "c/d/") for i in range(3))
        for key in keys:
            put(key, b"")
        assert await listed(store, limit=limit) == keys

    async def test_after_is_exclusive(self, store: Store, put: Put) -> None:
        for key in ("a", "a0", "b/c", "b/d", "e"):
            put(key, b"")
        assert await listed(store, after="b/c") == ["b/d", "e"]

    @pytest.mark.parametrize(
        ("after", "expected"),
        [
            ("", ["b/c", "b/d", "e"]),
            ("a", ["b/c", "b/d", "e"]),
            ("b", ["b/c", "b/d", "e"]),
            ("b/", ["b/c", "b/d", "e"]),
            ("b/c", ["b/d", "e"]),
            ("b/c/x", ["b/d", "e"]),
            ("b/cc", ["b/d", "e"]),
            ("b/\U0010ffff", ["e"]),
            ("b0", ["e"]),
            ("b//", ["b/c", "b/d", "e"]),
            ("b/../e", ["b/c", "b/d", "e"]),
            ("/x", ["b/c", "b/d", "e"]),
            ("e", []),
            ("e/", []),
            ("f", []),
        ],
    )
    async def test_after_need_not_exist(self, store: Store, put: Put, after: str, expected: list[str]) -> None:
        for key in ("b/c", "b/d", "e"):
            put(key, b"")
        assert await listed(store, after=after) == expected

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("a", ["a-", "a/x", "a/y/z", "ab"]),
            ("a/", ["a/x", "a/y/z"]),
            ("a/y", ["a/y/z"]),
            ("a/y/", ["a/y/z"]),
            ("a/y/z", ["a/y/z"]),
            ("a/y/z/", []),
            ("b", ["b"]),
            ("b/", []),
            ("//", []),
            ("../", []),
            ("a/../a", []),
            ("\udc80/", []),
            ("\0/", []),
        ],
    )
    async def test_a_prefix_selects_keys(self, store: Store, put: Put, prefix: str, expected: list[str]) -> None:
        for key in ("a-", "a/x", "a/y/z", "ab", "b"):
            put(key, b"")
        for limit in (1, 100):
            assert await listed(store, prefix, limit=limit) == expected

    @pytest.mark.parametrize(
        ("prefix", "after", "expected"),
        [
            ("b/", "a", ["b/x", "b/y"]),
            ("b/", "b", ["b/x", "b/y"]),
            ("b/", "b/", ["b/x", "b/y"]),
            ("b/", "b/x", ["b/y"]),
            ("b/", "c", []),
            ("b/y", "b/x", ["b/y"]),
            ("b/x", "b/y", []),
            ("b", "a/z", ["b/x", "b/y"]),
            ("b", "b/x", ["b/y"]),
        ],
    )
    async def test_prefix_and_after_are_combined(
        self, store: Store, put: Put, prefix: str, after: str, expected: list[str]
    ) -> None:
        for key in ("a/z", "b/x", "b/y", "c"):
            put(key, b"")
        assert await listed(store, prefix, after) == expected

    async def test_names_are_byte_faithful(self, store: Store, put: Put) -> None:
        keys = [f"{folder}{name}" for folder in ("", "o dd/%2e/") for name in ODD_NAMES]
        for key in keys:
            put(key, key.encode())
        expected = sorted(keys, key=str.encode)
        for limit in (1, 1000):
            assert await listed(store, limit=limit) == expected
        for key in expected:
            assert await store.read(key, 10**6) == key.encode()

    async def test_an_unchanged_object_is_listed_once_while_others_change(self, store: Store, put: Put) -> None:
        stays = [f"{folder}{i}" for folder in ("a/", "b", "b/c/", "d/") for i in range(4)]
        for key in stays:
            put(key, b"")
        seen, after = [], None
        for step in range(1000):
            page = await store.list_page("", after, 1)
            seen += [item.key for item in page.objects if not item.key.endswith("+")]
            put(f"{'abd'[step % 3]}/{step % 5}+", b"")
            if step % 2:
                await store.delete(f"{'abd'[step % 3]}/{step % 5}+")
            if (after := page.resume_after) is None:
                break
        assert seen == sorted(stays)

    async def test_size_and_time_are_those_of_the_file(self, store: Store, put: Put) -> None:
        before = int(time.time())
        put("empty.png", b"")
        put("five.png", b"12345")
        five, empty = sorted(await objects(store), key=lambda item: -item.size)
        assert (empty.key, empty.size, five.key, five.size) == ("empty.png", 0, "five.png", 5)
        for item in (five, empty):
            assert before <= item.modified <= int(time.time())
            assert item.etag

    async def test_the_etag_changes_with_the_content(self, store: Store, put: Put) -> None:
        put("a.png", b"1")
        (first,) = await objects(store)
        (should_retry,) = await objects(store)
        put("a.png", b"22")
        (second,) = await objects(store)
        assert first.etag == should_retry.etag != second.etag


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A datasource's folder, two levels under the mount root."""
    made = tmp_path / "root" / "data" / "set"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def store(tmp_path: Path, folder: Path) -> LocalStore:
    return open_store(tmp_path / "root", "data/set/", listing_cache=ListingCache())


@pytest.fixture
def put(folder: Path) -> Put:
    def put(key: str, data: bytes) -> None:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return put


@pytest.fixture(autouse=True)
def _no_descriptor_is_left() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) <= before


class TestLocalListing(ListingRules):
    """The rules of every store, on disk."""


class TestStepByStep(ListingRules):
    """The same with a time limit of zero: each step of the walk ends a page, and the next one resumes from there."""

    @pytest.fixture
    def store(self, tmp_path: Path, folder: Path) -> LocalStore:
        return open_store(tmp_path / "root", "data/set", listing_cache=ListingCache(), page_seconds=0.0)


class TestOpenLevels(ListingRules):
    """The same with one folder held open at a time: parent folders are opened again."""

    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(local_listing, "MAX_OPEN_FOLDERS", 1)


# ---- what is so on disk alone


async def test_the_mount_root_can_be_a_datasource(tmp_path: Path, put: Put) -> None:
    put("a.png", b"")
    assert await listed(open_store(tmp_path / "root", "")) == ["data/set/a.png"]


async def test_time_is_floored_and_never_negative(store: LocalStore, put: Put, folder: Path) -> None:
    for name, time_ns in (("a", 1_999_999_999), ("b", -1), ("c", -(10**15)), ("d", 2 * 10**9)):
        put(name, b"")
        os.utime(folder / name, ns=(0, time_ns))
    assert [item.modified for item in await objects(store)] == [1, 0, 0, 2]


async def test_names_that_are_not_utf8_are_counted(store: LocalStore, folder: Path) -> None:
    raw = os.fsencode(folder)
    for name in (b"\xff.png", b"a\xff", b"\xc3", b"\xed\xa0\x80.png"):
        (Path(os.fsdecode(raw + b"/" + name))).write_bytes(b"")
    os.makedirs(raw + b"/d\xff/e")
    for name in (b"d\xff/e/x.png", b"d\xff/y.png", b"ok.png"):
        Path(os.fsdecode(raw + b"/" + name)).write_bytes(b"")
    os.symlink("ok.png", raw + b"/l\xff")
    for limit in (1, 1000):
        found = await pages(store, limit=limit)
        assert [item.key for page in found for item in page.objects] == ["ok.png"]
        assert sum(page.unreadable for page in found) == 6


async def test_each_page_with_names_that_are_not_utf8_names_a_folder(
    folder: Path, put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time ended a page before the next folder was opened, and the log named no folder."""
    put("a.png", b"")
    Path(os.fsdecode(os.fsencode(folder) + b"/b\xff.png")).write_bytes(b"")
    put("c/d.png", b"")
    pages_with_unreadable = 0
    for calls in range(30):
        steps = itertools.count()
        clock = SimpleNamespace(monotonic=lambda steps=steps, calls=calls: 0.0 if next(steps) < calls else 100.0)
        monkeypatch.setattr(local_listing, "time", clock)
        page = await open_store(tmp_path / "root", "data/set", page_seconds=50.0).list_page("", None, 10)
        assert (page.unreadable_folder is None) == (page.unreadable == 0)
        pages_with_unreadable += page.resume_after is not None and page.unreadable > 0
    assert pages_with_unreadable > 1


async def test_folders_are_found_among_many_files(folder: Path, tmp_path: Path) -> None:
    """Only the first thousand entries were looked at, in the order of the disk: verify named no folder nearby."""
    for number in range(2400):
        (folder / f"{number}.png").touch()
        if number % 400 == 399:
            (folder / f"street-{number}").mkdir()
    (folder / "loop").symlink_to("loop")
    (folder / "link").symlink_to("street-399")
    (folder / "out").symlink_to("/usr")
    found = await open_store(tmp_path / "root", "data/set").list_folders("data/set/")
    assert found == ["link", *sorted(f"street-{number}" for number in range(399, 2400, 400))]


async def test_looking_for_folders_ends_in_time(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder above may have millions of files."""
    (folder / "street").mkdir()
    monkeypatch.setattr("headwater.stores.local.store.FOLDERS_SECONDS", 0.0)
    assert await open_store(tmp_path / "root", "data/set").list_folders("data/set/") == []
    monkeypatch.setattr("headwater.stores.local.store.FOLDERS_SECONDS", 1.0)
    assert await open_store(tmp_path / "root", "data/set").list_folders("data/set/") == ["street"]


async def test_links_under_the_root_are_followed(store: LocalStore, put: Put, folder: Path, tmp_path: Path) -> None:
    put("real/a.png", b"a")
    put("m.png", b"m")
    beside = tmp_path / "root" / "beside"
    beside.mkdir()
    (beside / "b.png").write_bytes(b"b")
    (folder / "file-link.png").symlink_to("real/a.png")
    (folder / "link").symlink_to("real")
    (folder / "to-beside").symlink_to("../../beside")
    (folder / "absolute").symlink_to(beside)
    (folder / "link-to-link").symlink_to("link")
    (folder / "link-to-link.png").symlink_to("file-link.png")
    keys = ["absolute/b.png", "file-link.png", "link-to-link.png", "link-to-link/a.png", "link/a.png", "m.png"]
    keys += ["real/a.png", "to-beside/b.png"]
    for limit in (1, 1000):
        assert await listed(store, limit=limit) == keys
    assert [await store.read(key, 9) for key in keys] == [b"b", b"a", b"a", b"a", b"a", b"m", b"a", b"b"]


async def test_a_mount_root_can_be_a_link(tmp_path: Path, put: Put, folder: Path) -> None:
    put("a.png", b"a")
    (folder / "link").symlink_to(tmp_path / "other-name" / "data" / "set" / "a.png")
    (tmp_path / "other-name").symlink_to("root")
    store = open_store(tmp_path / "other-name", "data/set")
    assert await listed(store) == ["a.png", "link"]
    assert await store.read("link", 9) == b"a"


async def test_cyclic_links_end(store: LocalStore, put: Put, folder: Path) -> None:
    put("a/x.png", b"")
    put("b/y.png", b"")
    (folder / "a" / "self").symlink_to(".")
    (folder / "a" / "up").symlink_to("..")
    (folder / "a" / "to-b").symlink_to("../b")
    (folder / "b" / "to-a").symlink_to("../a")
    (folder / "loop").symlink_to("loop")
    (folder / "ping").symlink_to("pong")
    (folder / "pong").symlink_to("ping")
    expected = ["a/to-b/y.png", "a/x.png", "b/to-a/x.png", "b/y.png"]
    for limit in (1, 1000):
        assert await listed(store, limit=limit) == expected
    assert await listed(store, "a/self/") == []
    assert await listed(store, "a/to-b/to-a/") == []


async def test_only_regular_files_are_listed(store: LocalStore, put: Put, folder: Path, tmp_path: Path) -> None:
    put("file", b"")
    os.mkfifo(folder / "fifo.png")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(folder)  # the path of a socket has to be short
        try:
            server.bind("socket.png")
        finally:
            os.chdir(here)
        (folder / "dangling.png").symlink_to("nowhere")
        (folder / "device.png").symlink_to("/dev/null")
        (folder / "link-to-fifo.png").symlink_to("fifo.png")
        (tmp_path / "secret.png").write_bytes(b"")
        (folder / "out.png").symlink_to("../../../secret.png")
        (folder / "out").symlink_to("../../..")
        (folder / "etc").symlink_to("/etc")
        (folder / "empty").mkdir()
        assert await listed(store) == ["file"]
        assert await listed(store, "etc/") == []
        assert await listed(store, after="etc/") == ["file"]


async def test_a_file_being_written_is_not_listed(store: LocalStore, put: Put) -> None:
    put(".headwater-0123456789abcdef0123456789abcdef.tmp", b"")
    put(".headwater-notes.tmp", b"")
    assert await listed(store) == [".headwater-notes.tmp"]


async def test_many_empty_folders_do_not_block_a_request(tmp_path: Path, folder: Path) -> None:
    for i in range(2000):
        (folder / f"{i:04d}").mkdir()
    (folder / "9999.png").write_bytes(b"")
    store = open_store(tmp_path / "root", "data/set", page_seconds=0.002)
    found = await pages(store, limit=10)
    assert len(found) > 2
    assert found[0].resume_after is not None
    assert found[0].resume_after.endswith("/")
    assert [item.key for page in found for item in page.objects] == ["9999.png"]


async def test_paths_longer_than_the_system_limit_are_listed(store: LocalStore, folder: Path) -> None:
    """The system refuses paths of more than 4,096 bytes, but a tree can be deeper."""
    name, depth = "d" * 200, 100  # 20,100 bytes, and more levels than are held open
    at = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        for file_name in ("a.png", "e.png"):
            os.close(os.open(file_name, os.O_WRONLY | os.O_CREAT, dir_fd=at))
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    keys = sorted(f"{name}/" * level + file_name for level in range(depth) for file_name in ("a.png", "e.png"))
    assert await listed(store) == keys
    assert await listed(store, limit=37) == keys
    deep = f"{name}/" * depth + "new.png"
    await store.write(deep, b"new")
    assert await store.read(deep, 10) == b"new"
    assert await listed(store, f"{name}/" * depth) == [deep]
    await store.delete(deep)
    assert await listed(store, f"{name}/" * depth) == []


NOT_UTF8_LOCALE = r"""
import asyncio, json, sys
from pathlib import Path
from headwater.domain.read_url import ReadUrlSigner
from headwater.stores.local.runtime import LocalFileRoot, LocalRuntime
from headwater.stores.local.store import LocalStore

async def main():
    signer = ReadUrlSigner([b"k" * 32], "http://hw.example", "tests")
    store = LocalStore(LocalFileRoot(Path(sys.argv[1]), signer, (), LocalRuntime()), "d\u00fc")
    await store.write("new \u00e4/\u00f6.png", b"")
    page = await store.list_page("", None, 100)
    data = [(await store.read(item.key, 99)).decode() for item in page.objects]
    print(json.dumps([sys.getfilesystemencoding(), [item.key for item in page.objects], data, page.unreadable]))

asyncio.run(main())
"""


def test_keys_are_utf8_in_any_locale(tmp_path: Path) -> None:
    """Python then decodes names with another encoding, but keys are UTF-8."""
    folder = tmp_path / "dü"
    folder.mkdir()
    (folder / "🦊.png").write_bytes(b"fox")
    (folder / os.fsdecode(b"\xff.png")).write_bytes(b"")
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-c", NOT_UTF8_LOCALE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    encoding, keys, data, unreadable = json.loads(done.stdout)
    assert encoding != "utf-8"
    assert (keys, data, unreadable) == (["new ä/ö.png", "🦊.png"], ["", "fox"], 1)


# ---- the property: paging is one sorted list

UTF8 = [*(bytes([byte]) for byte in b"ab-.0 \n\\%\x01"), "é".encode(), "\U0010ffff".encode()]
NAME = st.lists(st.sampled_from([*UTF8, b"\xff"]), min_size=1, max_size=3).map(b"".join)
PATH = st.lists(NAME.filter(lambda name: name not in (b".", b"..")), min_size=1, max_size=4).map(b"/".join)
PATHS = st.lists(PATH, max_size=25)
TEXT = st.lists(st.sampled_from([*UTF8, b"/"]), max_size=5).map(lambda p: b"".join(p).decode())


def plant(root: bytes, paths: list[bytes]) -> None:
    for path in paths:
        whole = root + b"/" + path
        try:
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            with open(whole, "xb"):
                pass
        except OSError:
            pass  # what stands there as a file cannot be a folder as well, nor the other way round


def oracle(root: bytes) -> tuple[list[str], int]:
    """Every key by `os.walk`, and how many names are not UTF-8, counting no more below such a folder."""
    keys, unreadable = [], 0
    for path, folders, files in os.walk(root):
        for names, is_file in ((folders, False), (files, True)):
            for name in list(names):
                try:
                    text = os.path.relpath(os.path.join(path, name), root).decode()
                except UnicodeDecodeError:
                    unreadable += 1
                    if not is_file:
                        folders.remove(name)
                else:
                    if is_file:
                        keys.append(text)
    return sorted(keys, key=str.encode), unreadable


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    paths=PATHS,
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    step_by_step=st.booleans(),
    prefix=st.one_of(st.just(""), TEXT),
    after=st.one_of(st.none(), TEXT),
)
@example([b"a/x", b"a-b", b"a.txt", b"a0", b"a/\xff", b"a\xff/x"], [1], True, "", None)
def test_pages_equal_a_sorted_os_walk(
    paths: list[bytes], sizes: list[int], step_by_step: bool, prefix: str, after: str | None
) -> None:
    with tempfile.TemporaryDirectory() as root:
        plant(os.fsencode(root), paths)
        keys, unreadable = oracle(os.fsencode(root))
        store = open_store(Path(root), "", listing_cache=ListingCache(), page_seconds=0.0 if step_by_step else 60.0)

        async def walk() -> tuple[list[StoredObject], int]:
            objects, passed_over, at, turn = [], 0, after, 0
            while True:
                page = await store.list_page(prefix, at, sizes[turn % len(sizes)])
                objects += page.objects
                passed_over += page.unreadable
                at, turn = page.resume_after, turn + 1
                if at is None:
                    return objects, passed_over
                assert turn < 500

        found, counted = asyncio.run(walk())
        assert [item.key for item in found] == [
            key for key in keys if key.startswith(prefix) and (after is None or key.encode() > after.encode())
        ]
        if not prefix and after is None:
            assert counted == unreadable


# ---- deep trees


def plant_deep(top: Path, levels: int) -> None:
    """Create folders named `d` within each other, each with a file `a.png` and, after the folder, a file `e.png`."""
    at = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=at)
        for name in ("a.png", "e.png"):
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=at))
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)


async def test_folders_that_are_too_deep_are_left_out_with_a_warning(store: LocalStore, folder: Path) -> None:
    """Every folder on the way up was opened again from the root: above 2,100 folders each listing was a 503."""
    plant_deep(folder, 400)
    try:
        with capture_logs() as logs:
            found = await listed(store)
    finally:
        subprocess.run(["rm", "-rf", str(folder / "d")], check=True)
    depths = range(MAX_DEPTH - 2)  # the datasource's folder is two names below the mount root
    assert found == sorted("d/" * depth + name for depth in depths for name in ("a.png", "e.png"))
    assert {(each["event"], each["folder"], each["paths"]) for each in logs} == {("paths_too_long", "'data/set'", 1)}


async def test_folders_above_are_opened_from_below(
    store: LocalStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened from the root, folders that were closed to limit open ones took as many steps as they were deep, each."""
    walked = []
    walk = LocalRoot.walk

    def recording(root: LocalRoot, parts: tuple[str, ...], flags: int) -> int:
        walked.append(parts)
        return walk(root, parts, flags)

    plant_deep(folder, 200)
    monkeypatch.setattr(LocalRoot, "walk", recording)
    assert len(await listed(store)) == 400
    assert len(walked) == 1


async def test_a_folder_that_moves_away_during_a_page_leads_nowhere_else(
    store: LocalStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a folder is open, its parent may be replaced by a folder of another user."""
    monkeypatch.setattr(local_listing, "MAX_OPEN_FOLDERS", 1)
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "secret.png").touch()
    for name in ("a/b/c.png", "a/d.png", "e.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    stat_file = LocalRoot.stat_file

    def move_away(root: LocalRoot, at: int, real: tuple[str, ...], name: str) -> os.stat_result | None:
        if name == "c.png":
            (folder / "a" / "b").rename(outside / "b")
        return stat_file(root, at, real, name)

    monkeypatch.setattr(LocalRoot, "stat_file", move_away)
    assert await listed(store) == ["a/b/c.png", "a/d.png", "e.png"]


async def test_a_listing_of_deep_folders_without_time_advances(folder: Path) -> None:
    """The time was not checked on the way up, nor on the way down to where a page continues."""
    plant_deep(folder, 40)
    hurried = open_store(folder.parent, folder.name, page_seconds=0.0)
    expected = sorted("d/" * depth + name for depth in range(40) for name in ("a.png", "e.png"))
    found = await pages(hurried)
    assert [item.key for page in found for item in page.objects] == expected
    assert max(len(page.objects) for page in found) == 1
