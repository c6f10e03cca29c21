"""Read the headers of a store's response, and release its connection."""

from __future__ import annotations

import re
from typing import Mapping, Optional

import urllib3
from urllib3 import exceptions as urllib3_exceptions

MAX_DRAINED_BYTES = 256 * 1024
"""The longest body that is read to the end so that its connection can be used again."""

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


def content_length(headers: Mapping[str, str]) -> Optional[int]:
    """Return the value of `Content-Length`; None without a valid one."""
    text = headers.get("Content-Length") or ""
    return int(text) if text.isascii() and text.isdigit() else None


def content_range(headers: Mapping[str, str]) -> tuple[Optional[int], Optional[int]]:
    """Return the position of the first byte and the total size, from `Content-Range`; None for what it lacks."""
    found = _CONTENT_RANGE.fullmatch((headers.get("Content-Range") or "").strip())
    if not found:
        return None, None
    start, _, total = found.groups()
    return None if start is None else int(start), None if total == "*" else int(total)


def release(response: urllib3.BaseHTTPResponse) -> None:
    """Return the connection to the pool if the body is short or already read; else close it."""
    length = content_length(response.headers)
    if length is not None and length <= MAX_DRAINED_BYTES:
        try:
            response.drain_conn()
        except (urllib3_exceptions.HTTPError, OSError):
            pass
        response.release_conn()
    else:
        response.close()
