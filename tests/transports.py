"""Fixtures for tests that send requests through the transport. A conftest imports those that it needs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from headwater.net import transport as transport_module
from headwater.net.egress import Egress
from headwater.net.transport import Transport


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry as usual, but sooner."""
    monkeypatch.setattr(transport_module, "PAUSE_SECONDS", 0.01)


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """A transport that may connect to loopback as an endpoint that a user named."""
    transport = Transport(Egress.parse("127.0.0.1"))
    yield transport
    await transport.aclose()
