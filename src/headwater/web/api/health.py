"""Whether the server lives and is ready; no token needed."""

from __future__ import annotations

from fastapi import APIRouter, Response

from headwater.web.requests import Context
from headwater.web.responses import json_response

router = APIRouter()


@router.api_route("/healthz", methods=["GET", "HEAD"])
async def healthz() -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


@router.api_route("/readyz", methods=["GET", "HEAD"])
async def readyz(ctx: Context) -> Response:
    """The catalog answers too. Storage is not asked: one user's broken bucket makes no server unready."""
    await ctx.catalog.ping()
    return json_response({"status": "ready"})
