"""Times as text, ISO 8601 or RFC 1123, to whole Unix seconds."""

from __future__ import annotations

import re
from calendar import timegm
from datetime import UTC, datetime
from functools import lru_cache

_MONTHS = {name: number for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_rfc_1123 = re.compile(
    r"[A-Z][a-z]{2}, (\d{1,2} [A-Z][a-z]{2} \d{4} \d\d):([0-5]\d):([0-5]\d|60) (?:GMT|UTC|([+-])(\d\d)([0-5]\d))",
    re.ASCII,
).fullmatch


def parse_iso_seconds(text: str, *, require_zone: bool = False) -> int:
    """Return the Unix seconds of an ISO 8601 time, rounded down.

    Args:
        text: such as `2024-01-02T03:04:05.678Z`. A time without a zone is in UTC.
        require_zone: refuse a time without a zone.

    Raises:
        ValueError: the text is not such a time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        if require_zone:
            raise ValueError("the time has no zone")
        moment = moment.replace(tzinfo=UTC)
    try:
        return int(moment.timestamp() // 1)
    except OverflowError:
        raise ValueError("the time is out of range") from None


def parse_object_time(text: str, *, require_zone: bool = False) -> int:
    """Return the Unix seconds of the time of a listed object, never below zero.

    A listing has a time for each of its objects, and many objects are written in the same hour. So the forms that
    providers use are parsed by hand, with the hour from a cache.

    Args:
        text: `2024-01-02T03:04:05.678Z` or another ISO 8601 time, or `Tue, 02 Jan 2024 03:04:05 GMT` (RFC 1123): some
            compatible servers send the form of the other providers.
        require_zone: refuse a time without a zone.

    Raises:
        ValueError: the text is not a time.
    """
    if len(text) >= 20 and text[-1] == "Z" and text[16] == ":":
        return max(0, _iso_hour(text[:14]) + int(text[14:16]) * 60 + int(text[17:19]))
    if len(text) == 29 and text[-4:] == " GMT" and text[19] == text[22] == ":":
        return max(0, _rfc_1123_hour(text[5:19]) + int(text[20:22]) * 60 + int(text[23:25]))
    if text[3:4] == ",":
        return max(0, _parse_rfc_1123(text))
    return max(0, parse_iso_seconds(text, require_zone=require_zone))


def _parse_rfc_1123(text: str) -> int:
    found = _rfc_1123(text)
    if found is None:
        raise ValueError("not a time of RFC 1123")
    hour, minutes, seconds, sign, zone_hours, zone_minutes = found.groups()
    offset = 0 if sign is None else int(f"{sign}1") * (int(zone_hours) * 3600 + int(zone_minutes) * 60)
    return _rfc_1123_hour(hour) + int(minutes) * 60 + int(seconds) - offset


@lru_cache(maxsize=4096)
def _iso_hour(text: str) -> int:
    """Return the Unix seconds of `2024-01-02T03:`."""
    return parse_iso_seconds(f"{text}00:00Z")


@lru_cache(maxsize=4096)
def _rfc_1123_hour(text: str) -> int:
    """Return the Unix seconds of `02 Jan 2024 03`."""
    day, month, year, hour = text.split()
    if month not in _MONTHS:
        raise ValueError("no such month")
    return timegm(datetime(int(year), _MONTHS[month], int(day), int(hour), tzinfo=UTC).timetuple())
