"""How many requests one user may have in flight, and for whom they use what all users share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from headwater.domain.errors import TooManyRequestsError
from headwater.net.users import working_for
from headwater.observability.work import Usage

MAX_REQUESTS_PER_USER = 100
"""Requests that access stores which one user may have in flight. Clients wait and retry on 429."""


class RequestLimiter:
    """Counts the requests in flight of each user, so that no user can occupy every connection."""

    def __init__(self) -> None:
        self._in_flight: Counter[str] = Counter()

    def usage(self) -> Usage:
        """Return how many requests the user has in flight who has the most."""
        return Usage("requests_of_one_user", max(self._in_flight.values(), default=0), MAX_REQUESTS_PER_USER)

    @contextmanager
    def hold(self, user: str) -> Iterator[None]:
        """Count one request of `user` as in flight, and work for this user, for the duration of the block.

        Raises:
            TooManyRequestsError: the user already has `MAX_REQUESTS_PER_USER` in flight.
        """
        if self._in_flight[user] >= MAX_REQUESTS_PER_USER:
            raise TooManyRequestsError(
                f"you already have {MAX_REQUESTS_PER_USER} listings and verifications in flight; try again in a second"
            )
        self._in_flight[user] += 1
        try:
            with working_for(user):
                yield
        finally:
            self._in_flight[user] -= 1
            if not self._in_flight[user]:
                del self._in_flight[user]
