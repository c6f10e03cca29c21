"""Time windows in whole Unix seconds, both ends included (contract.md#lists-and-time-windows)."""

from __future__ import annotations

import re
from typing import NamedTuple

from headwater.domain.errors import MalformedRequestError

LAST_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z. A larger number is almost certainly milliseconds."""

_WHOLE = re.compile(r"[0-9]{1,20}")


class Window(NamedTuple):
    """The whole seconds from `start` to `end`, both included."""

    start: int
    end: int

    @property
    def is_empty(self) -> bool:
        """Whether the window holds no second. This is no error: two polls within one second ask for such a window."""
        return self.start > self.end


def check_seconds(name: str, value: object) -> int:
    """Return `value` as whole Unix seconds.

    Args:
        name: the name of the field, for the error text.
        value: the value of the field in a JSON body.

    Raises:
        MalformedRequestError: it is not a whole number, is negative, or is so large that it must be milliseconds.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise MalformedRequestError(f"{name}: expected a whole number of seconds since 1970, such as 1577836800")
    if value < 0:
        raise MalformedRequestError(f"{name}: expected seconds since 1970, 0 or more, not a negative number")
    if value > LAST_SECOND:
        raise MalformedRequestError(
            f"{name}: {value} is beyond the year 9999; this looks like milliseconds, and seconds are "
            f"expected (divide by 1000)"
            if value < 10**20
            else f"{name}: is beyond the year 9999; seconds since 1970 are expected"
        )
    return value


def parse_seconds(name: str, text: str) -> int:
    """Return the whole Unix seconds of a query parameter.

    Raises:
        MalformedRequestError: as `check_seconds`.
    """
    if not _WHOLE.fullmatch(text):
        raise MalformedRequestError(
            f"{name}: expected a whole number of seconds since 1970, 0 or more, such as 1577836800"
        )
    return check_seconds(name, int(text))
