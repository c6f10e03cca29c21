"""Times as text: ISO 8601 to whole Unix seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


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
    """Return the time of a listed object: as `parse_iso_seconds`, but never below zero, and fast.

    A listing has a time for each of its objects, and many objects are written in the same hour. So the form that
    providers use (`2024-01-02T03:04:05.678Z`) is parsed by hand, with the hour from a cache.

    Raises:
        ValueError: the text is not a time.
    """
    if len(text) >= 20 and text[-1] == "Z" and text[16] == ":":
        return max(0, _hour(text[:14]) + int(text[14:16]) * 60 + int(text[17:19]))
    return max(0, parse_iso_seconds(text, require_zone=require_zone))


@lru_cache(maxsize=4096)
def _hour(text: str) -> int:
    """Return the Unix seconds of `2024-01-02T03:`."""
    return parse_iso_seconds(f"{text}00:00Z")
