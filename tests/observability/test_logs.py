"""Log lines never contain secrets."""

from __future__ import annotations

import time

import pytest

from headwater.observability.logs import redact
from tests.live import Live, request


@pytest.mark.parametrize("name", ["token", "publicToken", "cursor", "X-Amz-Signature", "sig"])
def test_secrets_in_urls_are_redacted(name: str) -> None:
    assert redact(f"GET /v1/x?path=a.png&{name}=Grants-Access_1&y=2") == f"GET /v1/x?path=a.png&{name}=[redacted]&y=2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("authorization: Bearer a.b-c_D9==", "authorization: Bearer [redacted]"),
        ("{'Authorization': 'Bearer short'}", "{'Authorization': 'Bearer [redacted]'}"),
        ("Authorization=Basic dXNlcjpwYXNz", "Authorization=Basic [redacted]"),
        ("Authorization: SharedKey acct:c2ln+/==", "Authorization: SharedKey [redacted]"),
        ("got Bearer ya29.test-Token", "got Bearer [redacted]"),
        ("got bearer%20eyJhbGciOi.e30.x", "got bearer%20[redacted]"),
        ("got Bearer abcdefghijklmnopqrstuvwxyz", "got Bearer [redacted]"),
    ],
)
def test_credentials_in_headers_are_redacted(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "or an API token or a JWT as 'Authorization: Bearer …'",
        "expected the scheme Bearer, followed by an API token or a JWT",
        "expected Authorization: Bearer <token>",
        "a bearer token is required. Bearer tokens expire",
    ],
)
def test_texts_about_credentials_stay_readable(text: str) -> None:
    """The reason of each 401 read as if a token had been sent and was hidden: "Authorization: Bearer [redacted]"."""
    assert redact(text) == text


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
