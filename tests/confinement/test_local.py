"""No vector of `local_vectors.py` reads, lists or changes anything outside the mount root, or hangs.

`tests/stores/local/test_swaps.py` swaps links before each system call, and `tests/web/files` has the URLs themselves.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.confinement.local_vectors import ENTRIES, INSIDE, MARKER, NAMES, PATHS, make_entries
from tests.live import Answer, Live, fetch, running

pytestmark = pytest.mark.slow

MAX_SECONDS = 5.0
RACE_SECONDS = 2.0
NIGHTLY_RACE_SECONDS = 120.0
NEW = b"written through a URL"

RAW = {"type": "LOCAL", "fullPath": "set"}
OPERATIONS = {"fileHEAD": "HEAD", "predictions/file": "GET", "predictions/writeUrl": "PUT", "metadata/file": "GET"}


class Disk(NamedTuple):
    """A server whose mount root is full of traps.

    Attributes:
        live: the server.
        dataset: a dataset whose datasource is the folder `set` in the mount root.
        root: the mount root.
        outside: a folder next to it.
    """

    live: Live
    dataset: str
    root: Path
    outside: Path


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    folder = tmp_path_factory.mktemp("confined")
    root, outside, beside = folder / "files", folder / "outside", folder / "files-beside"
    for place in (outside, outside / "sub", beside):
        place.mkdir()
        for name in ("secret.png", "secret.json", "a.json"):
            (place / name).write_bytes(MARKER)
    for place in (root / "set", root / "set/.lightly/predictions", root / "set/.lightly/metadata"):
        (place / "sub").mkdir(parents=True)
        for name in ("a.png", "a.json", "sub/b.png", "sub/b.json"):
            (place / name).write_bytes(INSIDE)
    with running(folder, local_root=str(root)) as live:
        (root / "data").symlink_to(folder / "data")
        for place in (root / "set", root / "set/.lightly/predictions", root / "set/.lightly/metadata"):
            make_entries(place, outside, folder / "data")
        yield Disk(live, live.configured(RAW), root, outside)


@pytest.fixture(autouse=True)
def _nothing_outside_changes(disk: Disk) -> Iterator[None]:
    before = contents(disk)
    yield
    assert contents(disk) == before


def contents(disk: Disk) -> dict[str, bytes]:
    """Return all files next to the mount root, except those of the server."""
    places = (disk.outside, disk.outside.parent / "files-beside")
    return {str(file): file.read_bytes() for place in places for file in place.rglob("*") if file.is_file()}


def check(answer: Answer, *allowed: int) -> None:
    """Check a response: nothing of what is outside, and only these statuses."""
    assert answer.status in allowed, answer
    assert MARKER not in answer.body
    assert b"root:" not in answer.body  # of /etc/passwd
    assert b"SQLite format" not in answer.body


@pytest.mark.parametrize("path", [pytest.param(path, id=name) for name, path in PATHS.items()])
def test_no_datasource_is_outside(disk: Disk, path: str) -> None:
    live, began = disk.live, time.monotonic()
    config = {"type": "LOCAL", "fullPath": path.replace("{outside}", str(disk.outside))}
    dataset = live.dataset()
    put = live.call("PUT", live.datasource(dataset), config)
    check(put, 200, 400)
    if put.status == 200:
        listed = live.call("GET", live.datasource(dataset, "list"))
        check(listed, 200, 400)
        if listed.status == 200:
            assert path in ("set/self", "set/folder.png"), "a link to the folder itself, and a folder in it"
        verified = live.call("GET", live.datasource(dataset, "verify"))
        check(verified, 200)
        assert verified.json["canList"] is (listed.status == 200)
        written = live.call("GET", live.datasource(dataset, "predictions/writeUrl"), query={"fileName": "a.json"})
        if written.status == 200:
            answer = fetch(written.json, "PUT", body=NEW)
            check(answer, 200, 400, 404)
            if answer.status == 200:  # the folder is created if its name means nothing to the disk, such as %2e%2e
                remove_written(disk, disk.root)
    live.call("DELETE", f"/v1/datasets/{dataset}")
    assert time.monotonic() - began < MAX_SECONDS


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", [pytest.param(name, id=key) for key, name in NAMES.items()])
def test_no_file_is_outside(disk: Disk, operation: str, name: str) -> None:
    """A URL is refused, leads to nothing, or creates a file in the folder of the operation."""
    live, began = disk.live, time.monotonic()
    name = name.replace("{outside}", str(disk.outside))
    query = {"fileName": name.encode("utf-8", "surrogateescape")}
    signed = live.call("GET", live.datasource(disk.dataset, operation), query=query)
    check(signed, 200, 400)
    if signed.status == 200:
        method = OPERATIONS[operation]
        body = NEW if method == "PUT" else None
        answer = fetch(signed.json, method, body=body)
        if method != "PUT":
            check(answer, 404)
        elif answer.status == 200:
            remove_written(disk, disk.root / "set/.lightly/predictions")
        else:
            check(answer, 400, 404)
    assert time.monotonic() - began < MAX_SECONDS


def remove_written(disk: Disk, folder: Path) -> None:
    """Remove the file that was written, which must be in this folder, and put back the link that it has replaced."""
    files = [file for file in disk.root.rglob("*") if not file.is_symlink() and file.is_file()]
    (new,) = [file for file in files if file.read_bytes() == NEW]
    assert new.is_relative_to(folder)
    new.unlink()
    if new.name in ENTRIES:
        new.symlink_to(disk.outside / "secret.png")


def test_listing_contains_nothing_that_is_outside(disk: Disk) -> None:
    """Links that stay inside are followed, to a depth; nothing else is listed."""
    names = disk.live.names(disk.dataset)
    assert {"a.png", "sub/b.png"} <= set(names)
    assert not {name for name in names if set(name.split("/")) & (set(ENTRIES) - {"self"})}
    for row in disk.live.rows(disk.dataset)[:20]:
        assert fetch(row["readUrl"]).body == INSIDE


@pytest.mark.parametrize(
    "line", ["../secret.png", "out-dir/*", "out.png", "/etc/passwd", "*", "out-root/etc/*", "../*", "sub/../../*"]
)
def test_selection_contains_nothing_that_is_outside(disk: Disk, line: str) -> None:
    (disk.root / "set/.lightly/selection.txt").write_text(f"{line}\n")
    query = {"relevantFilenamesFileName": ".lightly/selection.txt"}
    answer = disk.live.call("GET", disk.live.datasource(disk.dataset, "list"), query=query)
    check(answer, 200, 400)
    if answer.status == 200:
        names = [row["fileName"] for row in answer.json["data"]]
        assert not {name for name in names if set(name.split("/")) & (set(ENTRIES) - {"self"})}
        assert not any(".." in name for name in names)


def test_hard_link_is_a_file_like_others(disk: Disk) -> None:
    """Not covered by confinement: see `local_vectors.py`."""
    link = disk.root / "set/.lightly/predictions/hard.json"
    os.link(disk.outside / "secret.json", link)
    url = disk.live.call(
        "GET", disk.live.datasource(disk.dataset, "predictions/file"), query={"fileName": "hard.json"}
    ).json
    assert fetch(url).body == MARKER
    link.unlink()


def exchange(one: Path, other: Path) -> None:
    """Exchange two names in one step (`renameat2` of Linux)."""
    here, both = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if ctypes.CDLL(None, use_errno=True).renameat2(here, bytes(one), here, bytes(other), both):
        raise OSError(ctypes.get_errno(), "renameat2")


@pytest.mark.parametrize("what", ["file", "folder"])
@pytest.mark.parametrize("seconds", [RACE_SECONDS, pytest.param(NIGHTLY_RACE_SECONDS, marks=pytest.mark.nightly)])
@pytest.mark.timeout(600)
def test_link_that_is_swapped_all_the_time_leads_nowhere(disk: Disk, what: str, seconds: float) -> None:
    """A thread swaps a file or a folder with a link out, while others read, list and write."""
    folder = disk.root / "set/.lightly/predictions" / f"race-{what}-{seconds:.0f}"
    folder.mkdir()
    (folder / "in").mkdir()
    (folder / "in" / "secret.json").write_bytes(INSIDE)
    (folder / "out").symlink_to(disk.outside)
    (folder / "in.json").write_bytes(INSIDE)
    (folder / "out.json").symlink_to(disk.outside / "secret.json")
    suffix = ".json" if what == "file" else ""
    (folder / f"in{suffix}").rename(folder / f"x{suffix}")
    is_over = threading.Event()

    def swap() -> None:
        while not is_over.wait(0.0002):
            exchange(folder / f"x{suffix}", folder / f"out{suffix}")

    name = f"{folder.name}/" + ("x.json" if what == "file" else "x/secret.json")
    live = disk.live
    read, write = (
        live.call("GET", live.datasource(disk.dataset, f"predictions/{operation}"), query={"fileName": name}).json
        for operation in ("file", "writeUrl")
    )
    swapping = threading.Thread(target=swap)
    swapping.start()
    seen = set()
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            answer = fetch(read)
            check(answer, 200, 400, 404)
            seen.add(answer.body if answer.status == 200 else b"")
            if what == "folder":  # a file that is written would take the place of the link
                check(fetch(write, "PUT", body=INSIDE), 200, 400, 404)
            listed = live.call(
                "GET", live.datasource(disk.dataset, "predictions/list"), query={"taskName": folder.name}
            )
            check(listed, 200, 400)
            names = {row["fileName"].rpartition("/")[2] for row in listed.json.get("data", [])}
            assert names <= {"secret.json", "in.json", "x.json", "out.json"}, "others are only in the folder outside"
    finally:
        is_over.set()
        swapping.join()
    assert seen == {b"", INSIDE}, "both were seen, so the race was one"
