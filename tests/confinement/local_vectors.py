"""Every way we know to leave the folder of a LOCAL datasource, as a table. `test_local.py` tries each over HTTP.

What confinement is about: paths and names that a user sends, and whatever is on the disk under the mount root, even if
it changes at any moment. What it is not about, because it needs more than the user of a datasource has:

* **Hard links** to files outside are files like others: they are listed and read. Who makes one must be able to write
  in the folder, and to open the file (`fs.protected_hardlinks` of Linux).
* **Mounts** under the mount root are part of it: only root can make one.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

MARKER = b"outside of the mount root"
"""The content of all files outside."""

INSIDE = b"inside of the datasource"

ENTRIES = (
    *("out.png", "out-absolute.png", "out-hop.png", "out-dir", "out-dir-absolute", "out-root", "out-proc", "out-cwd"),
    *("out-parent", "out-sibling", "data.png", "device.png", "device-node.png", "fifo.png", "socket.png", "loop.png"),
    *("dangling.png", "folder.png", "out-dir-hop", "self"),
)
"""Names on the disk that lead out of the mount root, or to something that is no file."""

PATHS = {
    "parent": "..",
    "parent-of-the-folder": "set/..",
    "outside": "../outside",
    "outside-through-the-folder": "set/../../outside",
    "outside-through-a-link": "set/self/../../../outside",
    "absolute": "/etc",
    "absolute-outside": "{outside}",
    "two-slashes": "//etc",
    "dot": ".",
    "dot-inside": "set/./sub",
    "encoded": "%2e%2e/outside",
    "encoded-slash": "..%2foutside",
    "all-encoded": "%2e%2e%2foutside",
    "encoded-twice": "%252e%252e/outside",
    "overlong": "..%c0%afoutside",
    "backslash": "..\\outside",
    "backslash-inside": "set\\..\\..\\outside",
    "full-width-dots": "．．/outside",
    "two-dot-leader": "‥/outside",
    "dots-with-blank": ".. /outside",
    "dots-with-newline": "..\n/outside",
    "newline-before-dots": "set\n/../../outside",
    "four-dots": "..../outside",
    "semicolon": "..;/outside",
    "nul": "set\0/../outside",
    "nul-at-the-end": "set\0",
    "home": "~",
    "home-of-root": "~root",
    "variable": "$HOME",
    "url": "file:///etc",
    "scheme": "set://etc",
    "sibling-with-the-same-beginning": "../files-beside",
    "proc": "../../../../proc/self/root/etc",
    "data-folder": "data",
    "data-folder-through-a-link": "set/data-link",
    **{f"entry-{name}": f"set/{name}" for name in ENTRIES},
    "link-and-folder": "set/out-dir/sub",
    "link-to-everything": "set/out-root/etc",
}
"""Values of `fullPath`."""

NAMES = {
    "parent": "../secret.json",
    "parent-twice": "../../secret.json",
    "parent-many": "../" * 40 + "etc/passwd",
    "through-a-folder": "sub/../../../secret.json",
    "through-nothing": "absent/../../../secret.json",
    "absolute": "/etc/passwd",
    "absolute-outside": "{outside}/secret.json",
    "two-slashes": "//etc/passwd",
    "inner-slashes": "sub//b.json",
    "dot": "./secret.json",
    "dots-at-the-end": "sub/..",
    "encoded": "%2e%2e/secret.json",
    "encoded-slash": "..%2fsecret.json",
    "encoded-twice": "%252e%252e%252fsecret.json",
    "overlong": "..%c0%afsecret.json",
    "backslash": "..\\secret.json",
    "full-width-dots": "．．/secret.json",
    "two-dot-leader": "‥/secret.json",
    "blank-after-dots": ".. /secret.json",
    "newline-after-dots": "..\n/secret.json",
    "newline-before": "\n../secret.json",
    "line-break-and-header": "a.json\r\nX-Header: y",
    "nul": "secret.json\0.png",
    "nul-in-dots": "..\0/secret.json",
    "four-dots": "....//secret.json",
    "semicolon": "..;/secret.json",
    "query": "a.json?x=../secret.json",
    "fragment": "a.json#/../secret.json",
    "lightly-folder": ".lightly/../../outside/secret.json",
    "lightly-folder-twice": ".lightly/predictions/.lightly/../../../../outside/secret.json",
    "long-name": "n" * 300 + ".json",
    "long-path": "d/" * 300 + "a.json",
    "temporary-name": f".headwater-{'0' * 32}.tmp",
    "surrogate": "\udcff.json",
    "folder": "sub",
    "other-area": "../../../other/.lightly/predictions/a.json",
    **{f"entry-{name}": name for name in ENTRIES},
    **{f"below-{name}": f"{name}/secret.json" for name in ENTRIES},
    "link-and-parent": "out-dir/../secret.json",
    "link-to-everything": "out-root/etc/passwd",
    "link-to-descriptors": "out-proc/fd/0",
    "link-to-environment": "out-proc/environ",
}
"""Values of `fileName`, relative to the folder of the operation."""


def make_entries(folder: Path, outside: Path, data: Path) -> None:
    """Make `ENTRIES` in a folder."""
    links: dict[str, str | Path] = {
        "out.png": os.path.relpath(outside / "secret.png", folder),
        "out-absolute.png": outside / "secret.png",
        "out-hop.png": "out.png",
        "out-dir": os.path.relpath(outside, folder),
        "out-dir-absolute": outside,
        "out-dir-hop": "out-dir",
        "out-root": "/",
        "out-proc": "/proc/self",
        "out-cwd": "/proc/self/cwd",
        "out-parent": os.path.relpath(outside.parent, folder),
        "out-sibling": outside.parent / "files-beside",
        "data.png": data / "headwater.db",
        "data-link": data,
        "device.png": "/dev/zero",
        "loop.png": "loop.png",
        "dangling.png": outside / "new.png",
        "self": ".",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "fifo.png")
    if os.geteuid() == 0:
        os.mknod(folder / "device-node.png", 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(folder)  # the path of a socket may have 107 bytes
        try:
            listening.bind("socket.png")
        finally:
            os.chdir(here)
