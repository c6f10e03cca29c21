"""How much one user may have under way at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from headwater.domain.errors import TooManyRequestsError

MAX_REQUESTS_PER_USER = 100
"""Requests to stores that one user may have under way. Clients wait and come back on 429."""


class RequestLimiter:
    """Counts the requests under way for each user, so that one of them cannot take every connection."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()

    @contextmanager
    def of(self, user: str) -> Iterator[None]:
        """Hold one of the user's places for the length of a block.

        Raises:
            TooManyRequestsError: all of them are taken.
        """
        if self._count[user] >= MAX_REQUESTS_PER_USER:
            raise TooManyRequestsError(
                f"you already have {MAX_REQUESTS_PER_USER} listings and verifications in flight; try again in a second"
            )
        self._count[user] += 1
        try:
            yield
        finally:
            self._count[user] -= 1
            if not self._count[user]:
                del self._count[user]
