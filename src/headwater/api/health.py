"""Whether the server lives and is ready; no token needed."""

from __future__ import annotations

from fastapi import APIRouter, Response

from headwater.api.answers import as_json
from headwater.api.parameters import Service

router = APIRouter()


@router.api_route("/healthz", methods=["GET", "HEAD"])
async def healthz() -> Response:
    """The process answers."""
    return as_json({"status": "ok"})


@router.api_route("/readyz", methods=["GET", "HEAD"])
async def readyz(hw: Service) -> Response:
    """The catalog answers too. Storage is not asked: one user's broken bucket makes no server unready."""
    await hw.catalog.ping()
    return as_json({"status": "ready"})
