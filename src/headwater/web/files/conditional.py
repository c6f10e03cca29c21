"""Ranges and preconditions of a file that is read over HTTP (RFC 9110, sections 13 and 14). Pure."""

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
    """If-Match or If-Unmodified-Since does not hold."""

    status, code = 412, "BAD_REQUEST"


class RangeNotSatisfiableError(HeadwaterError):
    """The range begins after the file's end.

    Args:
        size: of the file, in bytes.
    """

    status, code = 416, "BAD_REQUEST"

    def __init__(self, size: int) -> None:
        super().__init__(f"Range: begins after the end of the file, which has {size} bytes")
        self.size = size


@dataclass(slots=True)
class Answer:
    """How a request for a file is answered: `to_send` bytes from `start` on, none for HEAD."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    start: int = 0
    to_send: int = 0


def answer_to(method: str, request: Headers, *, size: int, etag: str, modified: int, now: float) -> Answer:
    """Decide how to answer.

    Args:
        method: GET or HEAD. Ranges are of GET alone; HEAD ignores them, as the RFC has it.
        request: the request's headers.
        size: of the file, in bytes.
        etag: strong, with its quotes.
        modified: whole Unix seconds.
        now: Unix seconds; a file from the future is sent as one of now, for caches reckon with these dates.

    Raises:
        PreconditionFailedError: a precondition of the request does not hold.
        RangeNotSatisfiableError: the range that was asked for begins after the file's end.
    """
    modified = min(modified, int(now))
    headers = {"Accept-Ranges": "bytes", "ETag": etag, "Last-Modified": formatdate(modified, usegmt=True)}
    if _is_known(request, etag, modified):
        return Answer(304, headers)
    start, length = 0, size
    if method == "GET" and _range_holds(request, etag, modified):
        found = _range(request.get("range", ""), size)
        if found == _UNSATISFIABLE:
            raise RangeNotSatisfiableError(size)
        if found is not None:
            start, length = found
            headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
    headers["Content-Length"] = str(length)
    return Answer(206 if "Content-Range" in headers else 200, headers, start, length if method == "GET" else 0)


def _is_known(request: Headers, etag: str, modified: int) -> bool:
    """Evaluate the preconditions in the order of the RFC; true where the client has the file already.

    Raises:
        PreconditionFailedError: one does not hold.
    """
    if (wanted := _joined(request, "if-match")) is not None:
        if wanted.strip() != "*" and etag not in _ETAGS.findall(wanted):
            raise PreconditionFailedError("If-Match: the file has changed")
    elif (then := _date(request.get("if-unmodified-since"))) is not None and modified > then:
        raise PreconditionFailedError("If-Unmodified-Since: the file has changed")
    if (known := _joined(request, "if-none-match")) is not None:
        return known.strip() == "*" or etag in (tag.removeprefix("W/") for tag in _ETAGS.findall(known))
    then = _date(request.get("if-modified-since"))
    return then is not None and modified <= then


def _range_holds(request: Headers, etag: str, modified: int) -> bool:
    """Whether If-Range, where there is one, lets the range stand. A weak ETag never does."""
    condition = request.get("if-range")
    if condition is None:
        return True
    condition = condition.strip()
    return condition == etag or _date(condition) == modified


def _range(value: str, size: int) -> tuple[int, int] | None:
    """Read a Range as (start, length). None: there is none, or not one that we serve, and the whole file is sent."""
    found = _ONE_RANGE.fullmatch(value.strip())
    if not found or found.group(1) == found.group(2) == "":
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        if length == 0 and int(last):
            return None  # the end of an empty file is the whole of it, which 206 cannot say
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
