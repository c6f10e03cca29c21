"""Versions of files on a disk: with the inode where it is stable."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from headwater.domain.errors import StoreUnavailableError
from headwater.domain.objects import StoredObject, version_of
from headwater.stores.local import inodes
from headwater.stores.local import listing as local_listing
from headwater.stores.local.root import LocalRoot, Name, Parts
from tests.need import need
from tests.stores.local.opening import open_store

MOUNTS = (
    rb"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 27 8:17 / /mnt/a\040b\011c\012d\134e\043f rw shared:5 - xfs /dev/sdb1 rw
31 27 8:17 /sub/-\040ext4 /mnt/-\040- rw,noatime shared:5 master:1 - xfs /dev/sdb1 rw
53 27 0:40 /subvolume /mnt/btrfs rw,relatime shared:5 - btrfs /dev/sdc rw,ssd,subvol=/subvolume
54 27 0:51 / /mnt/nfs rw - nfs4 nas:/export/-\040ext4 rw,vers=4.2
55 27 0:52 / /mnt/ssh rw propagate_from:2 unbindable - fuse.sshfs me@host:/ rw
56 27 0:53 / /mnt/ntfs rw - fuseblk /dev/sdd rw
57 27 0:54 / /var/lib/docker/merged rw - overlay overlay rw,lowerdir=/ext4,upperdir=/xfs
58 27 0:55 / /mnt/no-source rw - tmpfs  rw
59 27 254:0 /srv/data /mnt/bound rw,relatime - ext4 /dev/vda rw
270 27 0:56 / /mnt/cifs rw - cifs //nas/share rw
"""
    + b"60 27 8:33 / /mnt/\xff\r\x0b\x0c\xc3\xa9 rw - f2fs /dev/sde rw\n"
)


@pytest.mark.parametrize(
    ("mount", "expected", "stable"),
    [
        *(("27", "ext4", True), ("30", "xfs", True), ("31", "xfs", True), ("53", "btrfs", True), ("59", "ext4", True)),
        *(("60", "f2fs", True), ("54", "nfs4", False), ("55", "fuse.sshfs", False), ("56", "fuseblk", False)),
        *(("57", "overlay", False), ("58", "tmpfs", False), ("270", "cifs", False), ("22", "proc", False)),
    ],
)
def test_the_type_of_a_mount_is_found(
    mount: str, expected: str, stable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fdinfo").mkdir()
    (tmp_path / "fdinfo/7").write_text(f"pos:\t0\nflags:\t0200000\nmnt_id:\t{mount}\nino:\t12\n")
    (tmp_path / "mountinfo").write_bytes(MOUNTS)
    monkeypatch.setattr(inodes, "_PROCESS", tmp_path)
    assert inodes.file_system_of(7) == expected.encode()
    assert inodes.inodes_are_stable(7) is stable


@pytest.mark.parametrize(
    ("fdinfo", "mountinfo"),
    [
        (None, None),
        (b"mnt_id:\t27\n", None),
        (None, MOUNTS),
        (b"", MOUNTS),
        (b"pos:\t0\nflags:\t0\n", MOUNTS),
        (b"mnt_id:\n", MOUNTS),
        (b"mnt_id:\t2\n", MOUNTS),
        (b"mnt_id:\t1\n", MOUNTS),
        (b"mnt_id:\t27\n", b""),
        (b"mnt_id:\t27\n", b"\n27\n27 1 254:0 / / rw\n27 1 254:0 / / rw -\n27 1 254:0 / / rw -\n"),
    ],
)
def test_what_the_system_does_not_tell_is_not_stable(
    fdinfo: bytes | None, mountinfo: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fdinfo").mkdir()
    for path, content in ((tmp_path / "fdinfo/7", fdinfo), (tmp_path / "mountinfo", mountinfo)):
        if content is not None:
            path.write_bytes(content)
    monkeypatch.setattr(inodes, "_PROCESS", tmp_path)
    assert inodes.file_system_of(7) is None
    assert not inodes.inodes_are_stable(7)


@pytest.mark.parametrize("folder", [None, "/proc"])
def test_the_type_is_that_of_df(folder: str | None, tmp_path: Path) -> None:
    need("df")
    where = folder or str(tmp_path)
    told = subprocess.run(["df", "--output=fstype", where], capture_output=True, check=True).stdout.split()[-1]
    opened = os.open(where, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert inodes.file_system_of(opened) == told
    finally:
        os.close(opened)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A datasource's folder with one file, of a fixed time."""
    made = tmp_path / "root/set"
    made.mkdir(parents=True)
    write(made / "a.png", b"first")
    return made


def write(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    os.utime(file, ns=(1_700_000_000_123_456_789,) * 2)


async def listed(folder: Path, *, one_machine: bool = True) -> list[StoredObject]:
    return (await open_store(folder.parent, "set", one_machine=one_machine).list_page("", None, 100)).objects


@pytest.mark.parametrize(
    ("stable", "one_machine", "is_new"),
    [(True, True, True), (False, True, False), (True, False, False)],
    ids=["stable", "not stable", "several machines"],
)
async def test_a_file_renamed_over_another_of_equal_size_and_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch, stable: bool, one_machine: bool, is_new: bool
) -> None:
    """`cp -p` and `rsync -a` set the size and the time of their source: only the inode tells that the file is new."""
    monkeypatch.setattr(local_listing, "inodes_are_stable", lambda _: stable)
    (first,) = await listed(folder, one_machine=one_machine)
    (again,) = await listed(folder, one_machine=one_machine)
    write(folder / "a.png.part", b"other")
    (folder / "a.png.part").rename(folder / "a.png")
    (second,) = await listed(folder, one_machine=one_machine)
    assert first == again
    assert first[:4] == second[:4], "the ETag has no inode: it is the same on all servers"
    assert (first.generation is not None) == is_new
    assert (version_of(first) != version_of(second)) == is_new


@pytest.mark.parametrize("stable", [True, False])
async def test_a_version_is_that_of_size_and_nanoseconds(
    folder: Path, monkeypatch: pytest.MonkeyPatch, stable: bool
) -> None:
    monkeypatch.setattr(local_listing, "inodes_are_stable", lambda _: stable)
    versions = []
    for content, time in ((b"first", 10**18), (b"first", 10**18 + 1), (b"longer", 10**18 + 1), (b"longer", -1)):
        (folder / "a.png").write_bytes(content)
        os.utime(folder / "a.png", ns=(time, time))
        versions += [version_of(found) for found in await listed(folder)]
    assert len(set(versions)) == 4


async def test_other_changes_are_no_new_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_listing, "inodes_are_stable", lambda _: True)
    (first,) = await listed(folder)
    (folder / "a.png").chmod(0o600)
    (folder / "a.png").rename(folder / "moved.png")
    os.link(folder / "moved.png", folder / "a.png")
    assert [found._replace(key="a.png") for found in await listed(folder)] == [first, first]


async def test_a_links_target_on_another_device_has_no_inode_in_its_version(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known of the folder's file system is not true of the target's."""
    monkeypatch.setattr(local_listing, "inodes_are_stable", lambda _: True)
    (folder / "link.png").symlink_to("a.png")
    assert [found.generation is not None for found in await listed(folder)] == [True, True]
    stat_file = LocalRoot.stat_file

    def elsewhere(root: LocalRoot, opened: int, real: Parts, name: Name) -> os.stat_result | None:
        found = stat_file(root, opened, real, name)
        if found is None or name != "link.png":
            return found
        state: Any = found.__reduce__()
        fields, named = state[1]  # nanoseconds, among others, have only names
        return os.stat_result((*fields[:2], found.st_dev + 1, *fields[3:]), named)

    monkeypatch.setattr(LocalRoot, "stat_file", elsewhere)
    assert [found.generation is not None for found in await listed(folder)] == [True, False]


async def test_the_system_is_asked_once_per_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def is_stable(opened: int) -> bool:
        asked.append(opened)
        return True

    monkeypatch.setattr(local_listing, "inodes_are_stable", is_stable)
    for name in "bcd":
        shutil.copytree(folder, folder / name, ignore=shutil.ignore_patterns(*"bcd"))
    assert len(await listed(folder)) == 4
    assert len(asked) == 1
    assert len(await listed(folder, one_machine=False)) == 4
    assert len(asked) == 1, "only if the answer matters"


async def test_a_page_fails_if_the_answer_cannot_be_read_this_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an error, a page that was read while too many files were open would hand out its files again."""

    def too_many_open(_: int) -> bool:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(local_listing, "inodes_are_stable", too_many_open)
    with pytest.raises(StoreUnavailableError, match="too many files open"):
        await listed(folder)
