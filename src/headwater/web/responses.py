"""Answers on the wire."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Response


def json_response(value: Any, status: int = 200) -> Response:
    """Encode an answer once, without a model in between."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")
