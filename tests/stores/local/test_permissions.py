"""What the operating system refuses. Tests may run as root, which modes do not bind: so in a process without that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.need import need

UNPRIVILEGED = "-dac_override,-dac_read_search"

PROGRAM = """
import asyncio, json, resource, sys
from pathlib import Path
from headwater.domain.errors import StoreError
from headwater.domain.read_url import ReadUrlSigner
from headwater.stores.local.runtime import LocalFileRoot, LocalRuntime
from headwater.stores.local.store import LocalStore

root, doing, key = sys.argv[1:]
signer = ReadUrlSigner([b"k" * 32], "http://hw.example", "tests")
store = LocalStore(LocalFileRoot(Path(root), signer, (), LocalRuntime()), "set")

async def listing():
    keys, after = [], None
    while True:
        page = await store.list_page("", after, 2)
        keys += [item.key for item in page.objects]
        after = page.resume_after
        if after is None:
            return keys

async def main():
    try:
        if doing == "list":
            said = await listing()
        elif doing == "read":
            said = (await store.read(key, 100)).decode()
        elif doing == "write":
            said = await store.write(key, b"new")
        elif doing == "write too much":
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
            said = await store.write(key, b"new" * 100)
        else:
            said = await store.delete(key)
    except StoreError as error:
        said = [type(error).__name__, error.message]
    print(json.dumps(said))

asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "root" / "set"
    for name in ("closed/a.png", "open/b.png", "z.png"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(b"content")
    return made


def run(folder: Path, doing: str, key: str = "") -> object:
    """Do one thing with the store in a process that is subject to file modes, and return its result."""
    command = [sys.executable, "-c", PROGRAM, str(folder.parent), doing, key]
    if os.geteuid() == 0:
        command = [need("setpriv"), f"--bounding-set={UNPRIVILEGED}", f"--inh-caps={UNPRIVILEGED}", *command]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refused(said: object, *parts: str, kind: str = "CredentialsRefusedError") -> None:
    assert isinstance(said, list), said
    assert said[0] == kind
    for part in parts:
        assert part in said[1]


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o600])
def test_a_listing_is_never_silently_incomplete(folder: Path, mode: int) -> None:
    (folder / "closed").chmod(mode)
    said = run(folder, "list")
    refused(said, "'set/closed'", "EACCES", "read and execute permission on the folder")
    assert str(folder) not in said[1]  # type: ignore[index]  # refused() has checked that it is a list


def test_an_unreadable_datasource_is_an_error(folder: Path) -> None:
    folder.chmod(0o000)
    refused(run(folder, "list"), "'set'", "read and execute permission on the folder")


@pytest.mark.parametrize("target", ["../closed/a.png", "../closed"])
def test_an_unreadable_link_target_is_an_error(folder: Path, target: str) -> None:
    closed = folder.parent / "closed"
    (folder / "closed").rename(closed)
    (folder / "link").symlink_to(target)
    closed.chmod(0o000)
    refused(run(folder, "list"), "'link' in the folder 'set'" if "png" in target else "'set/link'", "EACCES")


def test_a_link_out_of_the_root_is_skipped_even_if_unreadable(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "x").touch()
    (folder / "out").symlink_to("../../private/x")
    (folder / "out-too").symlink_to("../../private")
    (tmp_path / "private").chmod(0o000)
    assert run(folder, "list") == ["closed/a.png", "open/b.png", "z.png"]


def test_lost_and_found_is_skipped(folder: Path) -> None:
    """Each ext4 disk has a `lost+found` folder that only root may read. It must not break the listing of the disk."""
    (folder / "lost+found").mkdir(mode=0o000)
    assert run(folder, "list") == ["closed/a.png", "open/b.png", "z.png"]


def test_listing_needs_no_permission_on_files(folder: Path) -> None:
    (folder / "z.png").chmod(0o000)
    assert run(folder, "list") == ["closed/a.png", "open/b.png", "z.png"]


def test_read(folder: Path) -> None:
    (folder / "z.png").chmod(0o000)
    refused(run(folder, "read", "z.png"), "'set/z.png'", "EACCES", "read permission on the file")
    (folder / "closed").chmod(0o100)
    assert run(folder, "read", "closed/a.png") == "content"  # to go through a folder is enough
    (folder / "closed").chmod(0o600)
    refused(run(folder, "read", "closed/a.png"), "execute permission on the folders above it")


def test_write_and_delete(folder: Path) -> None:
    (folder / "closed").chmod(0o500)
    refused(run(folder, "write", "closed/new/x.txt"), "write 'set/closed/new/x.txt'", "EACCES", "write and execute")
    refused(run(folder, "write", "closed/a.png"), "write 'set/closed/a.png'", "EACCES")
    refused(run(folder, "delete", "closed/a.png"), "delete 'set/closed/a.png'", "EACCES")
    assert names_in(folder / "closed") == ["a.png"]
    assert (folder / "closed" / "a.png").read_bytes() == b"content"


def test_a_writable_folder_need_not_be_readable(folder: Path) -> None:
    (folder / "closed").chmod(0o300)
    assert run(folder, "write", "closed/new.txt") is None
    assert (folder / "closed" / "new.txt").read_bytes() == b"new"
    assert run(folder, "delete", "closed/new.txt") is None
    assert names_in(folder / "closed") == ["a.png"]


def test_an_interrupted_write_leaves_the_old_file(folder: Path) -> None:
    refused(run(folder, "write too much", "z.png"), "EFBIG", kind="StoreUnavailableError")
    assert (folder / "z.png").read_bytes() == b"content"
    assert names_in(folder) == ["closed", "open", "z.png"]
