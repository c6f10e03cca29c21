"""Time windows in whole Unix seconds, both ends inclusive (contract.md#lists-and-time-windows)."""

from __future__ import annotations

import re
from typing import NamedTuple

from headwater.domain.errors import MalformedRequestError

LAST_SECOND = 253_402_300_799
"""9999-12-31T23:59:59Z. A larger number is milliseconds by mistake."""

_WHOLE = re.compile(r"[0-9]{1,20}")


class Window(NamedTuple):
    """The seconds from `start` to `end`, both included. Empty where `start` is after `end`."""

    start: int
    end: int

    @property
    def empty(self) -> bool:
        """Whether no second lies in it. Two polls within one second ask for such a window; it is no error."""
        return self.start > self.end

    def holds(self, modified: int) -> bool:
        """Whether a file's floored time lies in it."""
        return self.start <= modified <= self.end


def check_seconds(name: str, value: object) -> int:
    """Return `value` as whole Unix seconds.

    Args:
        name: the field, for the text of the error.
        value: what a JSON body holds there.

    Raises:
        MalformedRequestError: not a whole number, negative, or so large that it must be milliseconds.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise MalformedRequestError(f"{name}: expected a whole number of seconds since 1970, such as 1577836800")
    if value < 0:
        raise MalformedRequestError(f"{name}: expected seconds since 1970, 0 or more, not a negative number")
    if value > LAST_SECOND:
        raise MalformedRequestError(
            f"{name}: {value} lies beyond the year 9999; this looks like milliseconds, and seconds are "
            f"expected (divide by 1000)"
            if value < 10**20
            else f"{name}: lies beyond the year 9999; seconds since 1970 are expected"
        )
    return value


def parse_seconds(name: str, text: str) -> int:
    """Read whole Unix seconds from a query parameter. As `check_seconds`, for text."""
    if not _WHOLE.fullmatch(text):
        raise MalformedRequestError(
            f"{name}: expected a whole number of seconds since 1970, 0 or more, such as 1577836800"
        )
    return check_seconds(name, int(text))
