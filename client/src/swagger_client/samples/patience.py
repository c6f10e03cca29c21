"""When to ask again, and after which pause: on top of the client's own retries, for work that takes hours."""

from __future__ import annotations

import logging
import threading
from typing import Callable, Mapping, Optional, TypeVar

from urllib3 import exceptions as urllib3_exceptions

from swagger_client.exceptions import ApiException, ApiValueError
from swagger_client.redaction import redact

T = TypeVar("T")

PASSING_STATUSES = frozenset((429, 502, 503, 504))
"""Statuses of answers that may be another one soon: too many requests, down, busy, restarting behind a proxy."""

LONGEST_PAUSE = 30.0
"""Seconds between two attempts, at most, whatever `Retry-After` says."""

_CONNECTION_ERRORS = (
    urllib3_exceptions.TimeoutError,
    urllib3_exceptions.NewConnectionError,
    urllib3_exceptions.ProtocolError,
    urllib3_exceptions.IncompleteRead,
    urllib3_exceptions.ProxyError,
)

_logger = logging.getLogger(__name__)


class Patience:
    """How often something is attempted, with which pauses between.

    Args:
        attempts: how often in all, 1 or more.
        pause: seconds after the first failure, 0 or more; doubled after each further one, up to 30.

    Raises:
        ApiValueError: one of them is out of its range.
    """

    def __init__(self, attempts: int, pause: float) -> None:
        if attempts < 1:
            raise ApiValueError(f"attempts is {attempts}: give 1 or more", ["attempts"])
        if not 0 <= pause < float("inf"):
            raise ApiValueError(f"pause is {pause}: give seconds, 0 or more", ["pause"])
        self.attempts = attempts
        self._pause = pause

    def seconds(self, failures: int, headers: Optional[Mapping[str, str]] = None) -> float:
        """The pause after so many failures in a row; longer where the answer's `Retry-After` asks for it."""
        own = self._pause * 2.0 ** min(failures - 1, 30)
        asked = (headers or {}).get("Retry-After") or ""
        return min(max(own, float(asked) if asked.isascii() and asked.isdigit() else 0), LONGEST_PAUSE)

    def call(self, work: Callable[[], T], what: str, stop: Optional[threading.Event] = None) -> T:
        """Do something until it succeeds, fails for good, or has failed too often.

        Args:
            work: what to do.
            what: how log lines name it.
            stop: set by another thread to make no further attempt; ends a pause at once.

        Raises:
            Exception: what the last attempt raised.
        """
        stop = threading.Event() if stop is None else stop
        failures = 0
        while True:
            try:
                return work()
            except Exception as error:
                failures += 1
                if failures >= self.attempts or not is_passing(error):
                    raise
                seconds = self.seconds(failures, error.headers if isinstance(error, ApiException) else None)
                reason = redact(" ".join(str(error).split()))
                _logger.warning("%s failed, trying again in %g s: %s", what, seconds, reason)
                if stop.wait(seconds):
                    raise


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed soon: the connection failed, or the server is down or busy."""
    if isinstance(error, ApiException):
        return error.status in PASSING_STATUSES
    if isinstance(error, urllib3_exceptions.MaxRetryError):
        return isinstance(error.reason, _CONNECTION_ERRORS)
    return isinstance(error, _CONNECTION_ERRORS)
