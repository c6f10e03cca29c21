"""What the tests of `net` share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from headwater.net import transport as transport_module
from headwater.net.egress import Egress
from headwater.net.transport import Transport
from headwater.testing.fault_proxy import FaultProxy, Status


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow as usual, but sooner."""
    monkeypatch.setattr(transport_module, "PAUSE_SECONDS", 0.01)


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """May connect to loopback, as a user's endpoint."""
    transport = Transport(Egress.parse("127.0.0.1"))
    yield transport
    await transport.aclose()


@pytest.fixture
def server() -> Iterator[FaultProxy]:
    with FaultProxy(respond=lambda _: Status(200, b"whole body")) as proxy:
        yield proxy
