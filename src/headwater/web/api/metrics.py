"""Metrics, for Prometheus. Not for users: only the operator's token reads them, or who reaches a port of their own."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response

from headwater.domain.errors import UnauthorizedError

if TYPE_CHECKING:
    from headwater.observability.metrics import Metrics
    from headwater.service.scraping import Scraper


class MetricsPage:
    """What `/metrics` returns.

    Args:
        metrics: what is counted.
        scraper: reads what is not counted.
        token: the bearer token that a request must have; None if it needs none.
    """

    def __init__(self, metrics: Metrics, scraper: Scraper, token: str | None) -> None:
        self._metrics = metrics
        self._scraper = scraper
        self._header = None if token is None else f"Bearer {token}".encode()

    def add_to(self, app: FastAPI) -> None:
        """Add the route to an application."""
        app.add_api_route("/metrics", self._get, methods=["GET"])

    async def _get(self, request: Request) -> Response:
        given = request.headers.get("authorization", "").encode("latin-1")
        if self._header is not None and not hmac.compare_digest(given, self._header):
            raise UnauthorizedError("metrics need the bearer token that the operator has set (HEADWATER_METRICS_TOKEN)")
        body, media_type = self._metrics.render(await self._scraper.snapshot(), request.headers.get("accept", ""))
        return Response(body, headers={"Cache-Control": "no-store", "Content-Type": media_type})
