"""Log lines never contain secrets."""

from __future__ import annotations

import time

import pytest

from headwater.observability.logs import redact
from tests.live import Live, request


@pytest.mark.parametrize("name", ["token", "publicToken", "cursor", "X-Amz-Signature", "sig"])
def test_secrets_in_urls_are_redacted(name: str) -> None:
    assert redact(f"GET /v1/x?path=a.png&{name}=Grants-Access_1&y=2") == f"GET /v1/x?path=a.png&{name}=[redacted]&y=2"


def test_what_a_client_sends_is_cut(live: Live) -> None:
    """A path of 60,000 characters was logged whole, for clients without credentials: 60 KB of log for each request."""
    before = live.log.stat().st_size
    answer = request(live.url, path="/v1/nowhere/" + "a" * 60_000)
    assert answer.status == 404
    until = time.monotonic() + 5
    while answer.headers["X-Request-Id"] not in live.log.read_text():
        assert time.monotonic() < until
        time.sleep(0.02)
    assert live.log.stat().st_size - before < 3000
    assert "a[59012 characters]a" in live.log.read_text()
