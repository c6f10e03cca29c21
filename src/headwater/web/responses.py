"""Success responses on the wire."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Response


def json_response(value: Any, status: int = 200) -> Response:
    """Return a JSON response. The value is encoded directly, without a response model."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")
