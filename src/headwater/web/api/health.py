"""Health checks. They need no token."""

from __future__ import annotations

from fastapi import APIRouter, Response

from headwater.web.requests import Context
from headwater.web.responses import json_response

router = APIRouter()


@router.api_route("/healthz", methods=["GET", "HEAD"])
async def get_health() -> Response:
    """Return 200 while the process runs."""
    return json_response({"status": "ok"})


@router.api_route("/readyz", methods=["GET", "HEAD"])
async def get_readiness(ctx: Context) -> Response:
    """Return 200 if the catalog answers. Storage is not checked: one user's broken bucket does not affect others."""
    await ctx.catalog.ping()
    return json_response({"status": "ready"})
