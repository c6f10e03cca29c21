"""The environments of the published clients."""

from __future__ import annotations

import pytest

from tests.published.environments import VERSIONS, Environment, installed


@pytest.fixture(params=VERSIONS)
def environment(request: pytest.FixtureRequest) -> Environment:
    """The environment of each published client."""
    return installed(request.param)


@pytest.fixture
def newest() -> Environment:
    """The environment of the newest published client."""
    return installed(VERSIONS[-1])
