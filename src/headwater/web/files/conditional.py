"""Ranges and preconditions of a file that is read over HTTP (RFC 9110, sections 13 and 14). No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime

from starlette.datastructures import Headers

from headwater.domain.errors import HeadwaterError

_ETAGS = re.compile(r'(?:W/)?"[^"]*"')
_ONE_RANGE = re.compile(r"bytes[ \t]*=[ \t]*([0-9]{0,18})[ \t]*-[ \t]*([0-9]{0,18})", re.IGNORECASE)
_UNSATISFIABLE = (0, 0)


class PreconditionFailedError(HeadwaterError):
    """`If-Match` or `If-Unmodified-Since` does not hold."""

    status, code = 412, "BAD_REQUEST"


class RangeNotSatisfiableError(HeadwaterError):
    """The range begins after the end of the file.

    Args:
        size: the size of the file in bytes.
    """

    status, code = 416, "BAD_REQUEST"

    def __init__(self, size: int) -> None:
        super().__init__(f"Range: begins after the end of the file, which has {size} bytes")
        self.size = size


@dataclass(slots=True)
class ResponsePlan:
    """Status and headers of a response, and the part of the file to send: `to_send` bytes from `start`."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    start: int = 0
    to_send: int = 0


def plan_response(method: str, request: Headers, *, size: int, etag: str, modified: int, now: float) -> ResponsePlan:
    """Return how to respond to a request for a file.

    Args:
        method: GET or HEAD. HEAD ignores ranges, as the RFC requires, and sends no bytes.
        request: the headers of the request.
        size: the size of the file in bytes.
        etag: a strong ETag with its quotes.
        modified: whole Unix seconds.
        now: Unix seconds. A later `modified` is sent as `now`, because caches calculate with these dates.

    Raises:
        PreconditionFailedError: a precondition of the request does not hold.
        RangeNotSatisfiableError: the requested range begins after the end of the file.
    """
    modified = min(modified, int(now))
    headers = {"Accept-Ranges": "bytes", "ETag": etag, "Last-Modified": formatdate(modified, usegmt=True)}
    if _is_unchanged(request, etag, modified):
        return ResponsePlan(304, headers)
    start, length = 0, size
    if method == "GET" and _if_range_holds(request, etag, modified):
        found = _parse_range(request.get("range", ""), size)
        if found == _UNSATISFIABLE:
            raise RangeNotSatisfiableError(size)
        if found is not None:
            start, length = found
            headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
    headers["Content-Length"] = str(length)
    return ResponsePlan(206 if "Content-Range" in headers else 200, headers, start, length if method == "GET" else 0)


def _is_unchanged(request: Headers, etag: str, modified: int) -> bool:
    """Evaluate the preconditions in the order of the RFC. Return whether the client already has this version.

    Raises:
        PreconditionFailedError: a precondition does not hold.
    """
    if (expected := _joined(request, "if-match")) is not None:
        if expected.strip() != "*" and etag not in _ETAGS.findall(expected):
            raise PreconditionFailedError("If-Match: the file has changed")
    elif (since := _date(request.get("if-unmodified-since"))) is not None and modified > since:
        raise PreconditionFailedError("If-Unmodified-Since: the file has changed")
    if (known := _joined(request, "if-none-match")) is not None:
        return known.strip() == "*" or etag in (tag.removeprefix("W/") for tag in _ETAGS.findall(known))
    since = _date(request.get("if-modified-since"))
    return since is not None and modified <= since


def _if_range_holds(request: Headers, etag: str, modified: int) -> bool:
    """Return whether the range applies: `If-Range` is absent or matches. A weak ETag never matches."""
    condition = request.get("if-range")
    if condition is None:
        return True
    condition = condition.strip()
    return condition == etag or _date(condition) == modified


def _parse_range(value: str, size: int) -> tuple[int, int] | None:
    """Return the range as (start, length); None if the whole file is sent: no range, or one that is not supported."""
    found = _ONE_RANGE.fullmatch(value.strip())
    if not found or found.group(1) == found.group(2) == "":
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        if length == 0 and int(last):
            return None  # the last bytes of an empty file are the whole file, and 206 cannot express an empty range
        return (size - length, length) if length else _UNSATISFIABLE
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    return (start, end - start + 1) if start < size else _UNSATISFIABLE


def _joined(request: Headers, name: str) -> str | None:
    values = request.getlist(name)
    return ", ".join(values) if values else None


def _date(value: str | None) -> int | None:
    if not value:
        return None
    try:
        date = parsedate_to_datetime(value)
        return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
