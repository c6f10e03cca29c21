"""Log lines never contain secrets."""

from __future__ import annotations

import pytest

from headwater.observability.logs import redact


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
