"""Limits on the requests of one user."""

from __future__ import annotations

import pytest

from headwater.domain.errors import TooManyRequestsError
from headwater.service import limits
from headwater.service.limits import RequestLimiter


def test_a_user_has_a_limited_number_of_requests_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_REQUESTS_PER_USER", 2)
    limiter = RequestLimiter()
    with limiter.of("ada"), limiter.of("ada"), limiter.of("bob"):
        with pytest.raises(TooManyRequestsError) as caught, limiter.of("ada"):
            pass
        assert caught.value.retry_after is not None
    with limiter.of("ada"), limiter.of("ada"):
        pass
