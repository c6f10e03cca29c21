"""Log lines never contain secrets."""

from __future__ import annotations

import pytest

from headwater.observability.logs import redact


@pytest.mark.parametrize("name", ["token", "publicToken", "cursor", "X-Amz-Signature", "sig"])
def test_secrets_in_urls_are_redacted(name: str) -> None:
    assert redact(f"GET /v1/x?path=a.png&{name}=Grants-Access_1&y=2") == f"GET /v1/x?path=a.png&{name}=[redacted]&y=2"
