"""Points in time: as the API takes them, and as the server's clock has them."""

from __future__ import annotations

import datetime
import math
from email.utils import parsedate_to_datetime
from typing import Mapping, Optional, Union

from swagger_client.exceptions import ApiTypeError, ApiValueError
from swagger_client.model.timestamp import Timestamp

Time = Union[int, datetime.datetime, Timestamp]
"""Whole Unix seconds, or a datetime that knows its time zone."""


def unix_seconds(time: Time, name: str) -> int:
    """A point in time as whole Unix seconds. The fraction of a datetime is cut off, as the server does with files'.

    Args:
        time: the point in time.
        name: of the parameter, for errors.

    Raises:
        ApiTypeError: it is neither a whole number nor a datetime.
        ApiValueError: it is before 1970, or a datetime without a time zone.
    """
    if isinstance(time, datetime.datetime):
        if time.utcoffset() is None:
            raise ApiValueError(
                f"{name} is a datetime without a time zone: make it with one, as in datetime.now(timezone.utc)", [name]
            )
        time = math.floor(time.timestamp())
    if isinstance(time, Timestamp):
        return time.value
    if not isinstance(time, int) or isinstance(time, bool):
        raise ApiTypeError(
            f"{name} must be whole Unix seconds or a datetime with a time zone, not {type(time).__name__}",
            [name],
            (int, datetime.datetime),
        )
    if time < 0:
        raise ApiValueError(f"{name} is before 1970, where Unix seconds begin", [name])
    return time


def server_seconds(headers: Mapping[str, str]) -> Optional[int]:
    """The server's time, in Unix seconds, by the `Date` of an answer; None where it has no such header.

    The header has whole seconds and may be as old as the answer: it is never ahead of the server's clock.
    """
    try:
        date = parsedate_to_datetime(headers.get("Date") or "")
    except (TypeError, ValueError, IndexError, OverflowError):  # what Pythons raise for texts that are no date
        return None
    if date.tzinfo is None:  # `-0000`: UTC, of unknown origin
        date = date.replace(tzinfo=datetime.timezone.utc)
    return math.floor(date.timestamp())
