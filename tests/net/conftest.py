"""What the tests of `net` share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headwater.testing.fault_proxy import FaultProxy, Status
from tests.transports import short_pauses, transport  # noqa: F401  fixtures


@pytest.fixture
def server() -> Iterator[FaultProxy]:
    with FaultProxy(respond=lambda _: Status(200, b"whole body")) as proxy:
        yield proxy
