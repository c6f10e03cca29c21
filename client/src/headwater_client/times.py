"""Points in time: in the form that the API takes, and by the clock of the server."""

from __future__ import annotations

import datetime
import math
import operator
from email.utils import parsedate_to_datetime
from typing import Mapping, Optional, SupportsIndex, Union

from swagger_client.exceptions import ApiTypeError, ApiValueError
from swagger_client.model.timestamp import Timestamp

Time = Union[SupportsIndex, datetime.datetime, Timestamp]
"""Whole Unix seconds (an `int`, or a whole number of numpy), or a datetime with a time zone."""


def unix_seconds(time: Time, name: str) -> int:
    """Return a point in time as whole Unix seconds. Fractions are dropped, as the server does with file times.

    Args:
        time: the point in time.
        name: the name of the parameter, for error texts.

    Raises:
        ApiTypeError: it is neither a whole number nor a datetime.
        ApiValueError: it is before 1970, a datetime without a time zone, or NaT.
    """
    if isinstance(time, datetime.datetime):
        if time != time:
            raise ApiValueError(f"{name} is NaT, which is not a point in time: give a time, or leave it out", [name])
        if time.utcoffset() is None:
            raise ApiValueError(
                f"{name} is a datetime without a time zone: add one, as in datetime.now(timezone.utc)", [name]
            )
        time = math.floor(time.timestamp())
    if isinstance(time, Timestamp):
        return time.value
    if isinstance(time, bool) or not hasattr(time, "__index__"):
        raise ApiTypeError(
            f"{name} must be whole Unix seconds or a datetime with a time zone, not {type(time).__name__}",
            [name],
            (int, datetime.datetime),
        )
    seconds = operator.index(time)
    if seconds < 0:
        raise ApiValueError(f"{name} is before 1970, where Unix seconds begin", [name])
    return seconds


def server_seconds(headers: Mapping[str, str]) -> Optional[int]:
    """Return the server's time in Unix seconds, from the `Date` header of a response; None without that header.

    The header has whole seconds and is as old as the response, so it is never ahead of the server's clock.
    """
    try:
        date = parsedate_to_datetime(headers.get("Date") or "")
    except (TypeError, ValueError, IndexError, OverflowError):  # depends on the version of Python
        return None
    if date.tzinfo is None:  # `-0000`: UTC, of unknown origin
        date = date.replace(tzinfo=datetime.timezone.utc)
    return math.floor(date.timestamp())
