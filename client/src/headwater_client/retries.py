"""Retries with back-off, in addition to those of the HTTP client, for jobs that run for hours."""

from __future__ import annotations

import logging
import threading
from typing import Callable, Mapping, Optional, TypeVar

from urllib3 import exceptions as urllib3_exceptions

from headwater_client.arguments import seconds, whole_number
from swagger_client.exceptions import ApiException
from swagger_client.redaction import redact

T = TypeVar("T")

TRANSIENT_STATUSES = frozenset((429, 502, 503, 504))
"""HTTP statuses worth retrying: too many requests, server down or busy, restart behind a proxy."""

MAX_DELAY_SECONDS = 30.0
"""The longest delay between two attempts, even if `Retry-After` is longer."""

_CONNECTION_ERRORS = (
    urllib3_exceptions.TimeoutError,
    urllib3_exceptions.NewConnectionError,
    urllib3_exceptions.ProtocolError,
    urllib3_exceptions.IncompleteRead,
    urllib3_exceptions.ProxyError,
)

# A child of the logger "swagger_client", so that `Configuration.debug` and `logger_file` apply to it.
_logger = logging.getLogger("swagger_client.samples.retries")


class RetryPolicy:
    """How many attempts to make, and how long to wait between them.

    Args:
        attempts: number of attempts, 1 or more.
        pause: seconds to wait after the first failure, 0 or more; doubled after each further one, up to 30.

    Raises:
        ApiTypeError: one of them is not a number, or `attempts` is not whole.
        ApiValueError: one of them is out of range.
    """

    def __init__(self, attempts: int, pause: float) -> None:
        self.attempts = whole_number(attempts, "attempts", 1)
        self._pause = seconds(pause, "pause")

    def delay_seconds(self, failures: int, headers: Optional[Mapping[str, str]] = None) -> float:
        """Return how long to wait after this number of consecutive failures; `Retry-After` can lengthen it."""
        delay = self._pause * 2.0 ** min(failures - 1, 30)
        retry_after = (headers or {}).get("Retry-After") or ""
        if retry_after.isascii() and retry_after.isdigit():
            delay = max(delay, float(retry_after))
        return min(delay, MAX_DELAY_SECONDS)

    def call(self, work: Callable[[], T], what: str, stop: Optional[threading.Event] = None) -> T:
        """Return the result of `work`, called again after a transient error while attempts are left.

        Args:
            work: what to call.
            what: its name in log lines.
            stop: set by another thread to end a delay and make no further attempt.

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
                if failures >= self.attempts or not is_transient(error):
                    raise _without_frames(error) from None
                delay = self.delay_seconds(failures, error.headers if isinstance(error, ApiException) else None)
                reason = redact(" ".join(str(error).split()))
                _logger.warning("%s failed, trying again in %g s: %s", what, delay, reason)
                if stop.wait(delay):
                    raise _without_frames(error) from None


def _without_frames(error: Exception) -> Exception:
    """Return an error whose traceback does not lead through the calls of the HTTP client, if no response came."""
    return error.with_traceback(None) if isinstance(error, urllib3_exceptions.HTTPError) else error


def is_transient(error: Exception) -> bool:
    """Return whether the same request may succeed soon: the connection failed, or the server is down or busy."""
    if isinstance(error, ApiException):
        return error.status in TRANSIENT_STATUSES
    if isinstance(error, urllib3_exceptions.MaxRetryError):
        return isinstance(error.reason, _CONNECTION_ERRORS)
    return isinstance(error, _CONNECTION_ERRORS)
