"""Which paths this server writes and lists."""

from __future__ import annotations

import re

from headwater.domain.errors import LocationInvalidError
from headwater.stores.local.root import Parts

TEMPORARY_NAME = re.compile(r"\.headwater-[0-9a-f]{32}\.tmp")
"""Names under which files are prepared (`changes.temporary_name`); never listed."""

MAX_DEPTH = 256
"""The most names in a path below the mount root, that of the file included. Deeper files are neither written nor
listed: each page of a listing opens every folder on its path."""

MAX_PATH_BYTES = 24_576
"""The longest path below the mount root. Longer ones are neither written nor listed: a cursor contains the path, and a
cursor is part of a URL."""

MAX_NAME_BYTES = 255
"""The longest name that common file systems have."""


def check_new_path(parts: Parts) -> None:
    """Check the path of a file to be written, relative to the mount root.

    Raises:
        LocationInvalidError: no file may have this path.
    """
    if len(parts) > MAX_DEPTH:
        raise LocationInvalidError(f"the path has {len(parts)} parts; write a file with at most {MAX_DEPTH}")
    longest, total = max(map(byte_count, parts)), byte_count("/".join(parts))
    if longest > MAX_NAME_BYTES:
        raise LocationInvalidError(f"a name in the path has {longest} bytes; use names of at most {MAX_NAME_BYTES}")
    if total > MAX_PATH_BYTES:
        raise LocationInvalidError(f"the path has {total} bytes; write a file with at most {MAX_PATH_BYTES}")
    if TEMPORARY_NAME.fullmatch(parts[-1]):
        raise LocationInvalidError("names such as this one are for files that are being uploaded; choose another")


def byte_count(text: str) -> int:
    """Return how many bytes of UTF-8 a path or name has; a lone surrogate counts, too."""
    return len(text.encode("utf-8", "surrogatepass"))
