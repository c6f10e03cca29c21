"""Health checks."""

from __future__ import annotations

from tests.live import Live, request


def test_health_checks_need_no_token(live: Live) -> None:
    assert request(live.url, path="/healthz").json == {"status": "ok"}
    assert request(live.url, path="/readyz").json == {"status": "ready"}
    head = request(live.url, "HEAD", "/healthz")
    assert (head.status, head.body) == (200, b"")
