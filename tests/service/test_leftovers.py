"""Temporary files of uploads that were killed are deleted, and nothing else."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import pytest

from headwater.domain.errors import StoreUnavailableError
from headwater.net.egress import Egress
from headwater.net.transport import Transport
from headwater.service import leftovers
from headwater.service.leftovers import MIN_AGE_SECONDS, remove_leftovers
from headwater.settings import Settings
from headwater.stores.local.changes import Leftovers, temporary_name
from headwater.stores.local.files import LocalFiles
from headwater.stores.local.root import Parts
from headwater.stores.registry import StoreRegistry
from tests.live import START_SECONDS, environ_for, start
from tests.stores.local.opening import file_root

T = TypeVar("T")

OLD = time.time() - MIN_AGE_SECONDS - 60


def plant(folder: Path, name: str, modified: float = OLD) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half a file")
    os.utime(path, (modified, modified))
    return path


async def remove_old(folder: Path) -> int:
    return await remove_leftovers(file_root(folder), time.time() - MIN_AGE_SECONDS)


async def test_only_old_temporary_files_are_deleted(tmp_path: Path) -> None:
    """After 66 uploads that were killed, 12 MB were left for ever, in files that no listing shows."""
    root = tmp_path / "root"
    gone = [plant(root, f"{folder}{temporary_name()}") for folder in ("", "a/", "a/b/.lightly/c/", "a/" * 100)]
    kept = [
        plant(root, f"a/{temporary_name()}", time.time() - 60),  # its upload may still go on
        plant(root, "a/.headwater-0123.tmp"),
        plant(root, f"a/x{temporary_name()}"),
        plant(root, f"a/{temporary_name()}x"),
        plant(root, f"b/{temporary_name()}/a.png"),
        plant(tmp_path, f"outside/{temporary_name()}"),
    ]
    (root / "out").symlink_to(tmp_path / "outside")
    link = root / temporary_name()
    link.symlink_to(kept[-1])
    assert await remove_old(root) == len(gone)
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in (*kept, link))


async def test_mount_root_and_managed_areas_are_swept_without_the_servers_own_data(tmp_path: Path) -> None:
    settings = {
        "HEADWATER_LOCAL_ROOT": str(tmp_path / "root"),
        "HEADWATER_DATA_DIR": str(tmp_path / "root/data"),
        "HEADWATER_MANAGED_STORE": f"file://{tmp_path}/areas",
    }
    gone = [plant(tmp_path, f"root/a/{temporary_name()}"), plant(tmp_path, f"areas/1/.lightly/{temporary_name()}")]
    hidden = plant(tmp_path, f"root/data/{temporary_name()}")
    stores = StoreRegistry(Settings.load(settings), [bytes(32)], Transport(Egress()))
    removed = [await remove_leftovers(root, time.time() - MIN_AGE_SECONDS) for root in stores.local_file_roots]
    stores.close()
    assert removed == [1, 1]
    assert not any(path.exists() for path in gone)
    assert hidden.exists()


async def test_a_root_that_is_not_mounted_is_no_error(tmp_path: Path) -> None:
    assert await remove_old(tmp_path / "absent") == 0


async def test_a_round_rests_and_ends_if_disks_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep that goes on over dead mounts would keep a thread for each of their folders."""
    for name in "abcdefgh":
        plant(tmp_path, f"{name}/x.png")
    looked_at: list[Parts] = []
    remove = LocalFiles.remove_leftovers

    async def hang(files: LocalFiles, folder: Parts, before: float) -> Leftovers:
        looked_at.append(folder)
        if folder:
            raise StoreUnavailableError("the disk does not answer")
        return await remove(files, folder, before)

    monkeypatch.setattr(LocalFiles, "remove_leftovers", hang)
    assert await remove_old(tmp_path) == 0
    assert len(looked_at) == 1 + leftovers.MAX_FAILURES
    monkeypatch.undo()
    monkeypatch.setattr(leftovers, "MIN_REST_SECONDS", 0.02)
    began = time.monotonic()
    await remove_old(tmp_path)
    assert time.monotonic() - began >= 9 * 0.02


@pytest.mark.slow
def test_a_server_deletes_at_its_start_what_a_killed_one_left_behind(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "set").mkdir(parents=True)
    environ = environ_for(tmp_path / "data", local_root=str(root))
    live = start(environ, tmp_path)
    live.token = live.headwater("token", "create", "--user", "ada")
    dataset = live.configured({"type": "LOCAL", "fullPath": "set"})
    query = {"fileName": "task/schema.json"}
    url = urlsplit(live.call("GET", live.datasource(dataset, "predictions/writeUrl"), query=query).json)
    with socket.create_connection((url.hostname, url.port), timeout=20) as upload:
        target = f"{url.path}?{url.query}"
        upload.sendall(f"PUT {target} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 999999\r\n\r\n".encode())
        upload.sendall(b"x" * 100_000)
        left = _wait_for(lambda: [*root.rglob(".headwater-*.tmp")])
        live.stop(signal.SIGKILL)
    (leftover,) = left
    os.utime(leftover, (OLD, OLD))
    live = start(environ, tmp_path)
    try:
        assert _wait_for(lambda: not leftover.exists())
        assert _wait_for(lambda: "temporary_files_removed" in live.log.read_text())
    finally:
        assert live.stop() == 0


def _wait_for(condition: Callable[[], T]) -> T:
    """Return what `condition` returns, once it is true."""
    end = time.monotonic() + START_SECONDS
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return found
