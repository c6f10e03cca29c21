"""Success responses on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import Response


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response. The value is encoded directly, without a response model."""
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")
