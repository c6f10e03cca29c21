"""Times in options: durations from now, and dates."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from headwater.domain.errors import MalformedRequestError

_UNIT_SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


def parse_future(flag: str, text: str) -> int:
    """Return a time in milliseconds since 1970, given as a duration from now (`90d`) or as a date.

    Raises:
        MalformedRequestError: the text is neither.
    """
    return _parse(flag, text, 1)


def parse_past(flag: str, text: str) -> int:
    """Return a time in milliseconds since 1970, given as a duration before now (`7d`) or as a date.

    Raises:
        MalformedRequestError: the text is neither.
    """
    return _parse(flag, text, -1)


def _parse(flag: str, text: str, sign: int) -> int:
    if found := re.fullmatch(r"([0-9]{1,5})([hdw])", text.strip()):
        return int((time.time() + sign * int(found[1]) * _UNIT_SECONDS[found[2]]) * 1000)
    try:
        moment = datetime.fromisoformat(text.strip())
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise MalformedRequestError(f"{flag}: expected 12h, 90d, 4w, or a date such as 2030-01-31") from None
