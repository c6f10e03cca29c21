"""The number of requests that one user may have in flight."""

from __future__ import annotations

import pytest

from headwater.domain.errors import TooManyRequestsError
from headwater.net.users import current_user
from headwater.service import limits
from headwater.service.limits import RequestLimiter


def test_limit_applies_per_user_and_to_requests_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_REQUESTS_PER_USER", 2)
    limiter = RequestLimiter()
    with limiter.hold("ada"), limiter.hold("ada"), limiter.hold("bob"):
        with pytest.raises(TooManyRequestsError) as caught, limiter.hold("ada"):
            pass
        assert caught.value.retry_after is not None
    with limiter.hold("ada"), limiter.hold("ada"):
        pass


def test_a_request_works_for_its_user() -> None:
    """What all users share could not be divided among them: nothing below knew for whom it worked."""
    with RequestLimiter().hold("ada"):
        assert current_user() == "ada"
    assert current_user() == ""
