"""Convert the name of a sample to a path inside a folder.

Names are untrusted: anyone who can write to the bucket chooses them. A name is used exactly as it is or not at all, so
two names never become one path, and no path leads out of the folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from typing import Optional, Tuple

from swagger_client.exceptions import ApiValueError

PathParts = Tuple[str, ...]
"""The folders of a path, outermost first, and then the file name."""

MAX_PART_LENGTH = 255
"""How long one part of a path may be: UTF-8 bytes; on Windows, UTF-16 units."""

ENCODING_ADVICE = (
    f"this Python process writes file names in the encoding {sys.getfilesystemencoding()}, which lacks some of its "
    "characters. Set the environment variable PYTHONUTF8=1"
)
"""Why a name cannot be encoded, and what to do."""

_MAX_PRINTED = 200
_TEMPORARY = re.compile(r"\.headwater-[0-9a-f]{32}\.part", re.IGNORECASE)
_FORBIDDEN_ON_WINDOWS = re.compile(r'[<>:"\\|?*\x00-\x1f]')
_WINDOWS_DEVICE = re.compile(
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|COM[0-9¹²³]|LPT[0-9¹²³])[ ]*(\..*)?", re.IGNORECASE | re.DOTALL
)


class UnusableNameError(ApiValueError):
    """The name of a sample cannot be used for a file in the folder."""


def printable(name: str) -> str:
    """Return a name for an error text: in ASCII, without control characters, and shortened."""
    text = ascii(name)
    return text if len(text) <= _MAX_PRINTED else f"{text[:_MAX_PRINTED]}..."


def is_encodable(path: str) -> bool:
    """Return whether this process can pass a path to the system: with the locale C, only ASCII may be possible."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def path_parts(name: str, windows: bool = os.name == "nt") -> PathParts:
    """Return the parts of the path for a sample. Joined with `/` they are its name.

    Args:
        name: the name of the sample.
        windows: whether to apply the rules of Windows too.

    Raises:
        UnusableNameError: no file inside a folder can have this name; the text says why.
    """
    parts = tuple(name.split("/"))
    for part in parts:
        reason = _reason_to_refuse(part, windows)
        if reason is not None:
            raise UnusableNameError(f"the name {printable(name)} cannot be used for a file here: {reason}")
    return parts


def temporary_name(name: str, etag: str, size: int) -> str:
    """Return the name of the temporary file for one version of a sample; other versions have other names."""
    version = "\0".join((name, etag, str(size)))
    return f".headwater-{hashlib.sha256(version.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.part"


def _reason_to_refuse(part: str, windows: bool) -> Optional[str]:
    if part in ("", ".", ".."):
        return "it starts or ends with a slash, or contains '//', '.' or '..'"
    if "\0" in part:
        return "it contains a NUL character"
    try:
        size = len(part.encode("utf-16-le")) // 2 if windows else len(part.encode())
    except UnicodeEncodeError:
        return "it contains half of a surrogate pair, which is not valid Unicode text"
    if size > MAX_PART_LENGTH:
        return f"one part is longer than {MAX_PART_LENGTH} {'characters' if windows else 'bytes'}"
    if not windows and not is_encodable(part):
        return ENCODING_ADVICE
    if _TEMPORARY.fullmatch(part):
        return "temporary files of downloads have names like this"
    return _reason_to_refuse_on_windows(part) if windows else None


def _reason_to_refuse_on_windows(part: str) -> Optional[str]:
    if _FORBIDDEN_ON_WINDOWS.search(part):
        return 'Windows forbids < > : " \\ | ? * and control characters'
    if part[-1] in ". ":
        return "Windows removes a dot or space at the end of a name"
    if _WINDOWS_DEVICE.fullmatch(part):
        return "one part is the name of a Windows device"
    return None
