"""Inode numbers as a sign that a file was replaced.

A file that is renamed over another one may have the same size and time (`cp -p`, `rsync -a`), but has another inode.
That is of use only if an unchanged file keeps its inode number for as long as it exists, across mounts and restarts:
otherwise unchanged files would look replaced.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

STABLE = frozenset((b"ext2", b"ext3", b"ext4", b"xfs", b"btrfs", b"f2fs", b"zfs"))
"""Types of file systems that store inode numbers on a local disk.

Left out are, among others: network file systems, whose servers choose the numbers; FUSE and virtiofs, which may number
files anew with each mount; overlayfs, where a file that is changed may move to another layer; FAT and exFAT, which have
no inodes; tmpfs, which is empty after a restart and numbers the files that are copied back anew.

If a type is added, feeds hand out all files on such file systems once more.
"""

NETWORK = frozenset(
    (
        *(b"nfs", b"nfs4", b"cifs", b"smb3", b"ceph", b"glusterfs", b"lustre", b"gpfs", b"beegfs", b"afs", b"9p"),
        *(b"fuse.sshfs", b"fuse.glusterfs", b"fuse.ceph", b"fuse.s3fs", b"fuse.rclone", b"fuse.gcsfuse"),
    )
)
"""Types of file systems on other machines."""

_PROCESS = Path("/proc/self")

_ATTEMPTS = 3
"""Linux before 5.8 may leave out a mount while another one is unmounted."""


def generation_of(state: os.stat_result) -> str:
    """Return what changes if a file is replaced or rewritten: its inode number and its modification time (ns).

    A free inode number is used again: a file that is replaced twice between two listings may get its old one back. Such
    a file is missed only if both its size and its time are the old ones, too.
    """
    return f"{state.st_ino:x}-{state.st_mtime_ns:x}"


def inodes_are_stable(folder: int) -> bool:
    """Return whether the file system of an open folder is known to keep inode numbers.

    Raises:
        OSError: the answer could not be read this time. A guess instead would make unchanged files look replaced.
    """
    return file_system_of(folder) in STABLE


def file_system_of(folder: int) -> bytes | None:
    """Return the type of the file system of an open folder, such as `ext4`.

    None if the system does not tell, as on systems other than Linux.

    Raises:
        OSError: as for `inodes_are_stable`.
    """
    try:
        mount = mount_id((_PROCESS / f"fdinfo/{folder}").read_bytes())
        for _ in range(_ATTEMPTS if mount else 0):
            with (_PROCESS / "mountinfo").open("rb") as lines:
                found = file_system_type(lines, mount)
            if found is not None:
                return found
    except (FileNotFoundError, PermissionError):
        pass
    return None


def mount_id(fdinfo: bytes) -> bytes:
    """Return the number of the mount that an open file belongs to; empty if the text does not contain it.

    The device number would not do: that of a file on btrfs is not in the list of mounts.

    Source: proc_pid_fdinfo(5).
    """
    for line in fdinfo.splitlines():
        name, _, value = line.partition(b":")
        if name == b"mnt_id":
            return value.strip()
    return b""


def file_system_type(mountinfo: Iterable[bytes], mount: bytes) -> bytes | None:
    """Return the type of the file system of a mount, such as `ext4`; None if there is no such mount.

    Args:
        mountinfo: the lines of the list of mounts.
        mount: the number of the mount.

    Source: proc_pid_mountinfo(5).
    """
    for line in mountinfo:
        # Spaces in names are escaped, other white space may not be. A varying number of fields, and then a hyphen,
        # precede the type.
        fields = line.split(b" ")
        if fields[:1] == [mount] and b"-" in fields[6:-1]:
            return fields[fields.index(b"-", 6) + 1]
    return None
