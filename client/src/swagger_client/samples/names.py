"""From the name of a sample, which whoever writes to the bucket has chosen, to a path inside a folder.

A name is used exactly as it is or not at all: two names never become one path, and no path leads out of the folder.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import Optional, Tuple

from swagger_client.exceptions import ApiValueError

Parts = Tuple[str, ...]
"""The folders on the way, from the outermost, and the file's own name."""

LONGEST_PART = 255
"""Bytes of one name that file systems take, as UTF-8; on Windows, UTF-16 units."""

_SHOWN = 200
_TEMPORARY = re.compile(r"\.headwater-[0-9a-f]{32}\.part", re.IGNORECASE)
_REFUSED_BY_WINDOWS = re.compile(r'[<>:"\\|?*\x00-\x1f]')
_DEVICE = re.compile(
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|COM[0-9¹²³]|LPT[0-9¹²³])[ ]*(\..*)?", re.IGNORECASE | re.DOTALL
)


class UnusableName(ApiValueError):
    """A sample has a name that no file in the folder can have."""


def shown(name: str) -> str:
    """A name as the text of an error has it: nothing in it acts on a terminal, and it is not long."""
    text = ascii(name)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def parts_of(name: str, windows: bool = os.name == "nt") -> Parts:
    """The parts of the path that a sample is written to; joined with `/` they are the name again.

    Args:
        name: of the sample.
        windows: whether the rules of Windows hold, too.

    Raises:
        UnusableName: no file inside a folder can have this name; the text says why.
    """
    parts = tuple(name.split("/"))
    for part in parts:
        reason = _reason_against(part, windows)
        if reason is not None:
            raise UnusableName(f"the name {shown(name)} cannot be a file's here: {reason}")
    return parts


def temporary(name: str, etag: str, size: int) -> str:
    """The name of the file that a sample is prepared under. Another version of it has another one."""
    version = "\0".join((name, etag, str(size)))
    return f".headwater-{hashlib.sha256(version.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.part"


def _reason_against(part: str, windows: bool) -> Optional[str]:
    if part in ("", ".", ".."):
        return "it begins or ends with a slash, or has '//', '.' or '..' in it"
    if "\0" in part:
        return "it holds a NUL character"
    try:
        size = len(part.encode("utf-16-le")) // 2 if windows else len(part.encode())
    except UnicodeEncodeError:
        return "it holds half a character, which no Unicode text does"
    if size > LONGEST_PART:
        return f"a part of it is longer than {LONGEST_PART} {'characters' if windows else 'bytes'}"
    if _TEMPORARY.fullmatch(part):
        return "files that are not whole yet are called like this"
    return _reason_of_windows(part) if windows else None


def _reason_of_windows(part: str) -> Optional[str]:
    if _REFUSED_BY_WINDOWS.search(part):
        return 'Windows allows none of < > : " \\ | ? * and no control characters'
    if part[-1] in ". ":
        return "Windows drops a dot or blank at the end of a name"
    if _DEVICE.fullmatch(part):
        return "a part of it is the name of a device on Windows"
    return None
