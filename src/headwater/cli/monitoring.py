"""The application of `headwater serve`, with metrics if the operator wants them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from headwater.settings import url_of

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

    from headwater.service.context import ServiceContext
    from headwater.web.api.metrics import MetricsPage
    from headwater.web.server import Server

MAX_METRICS_CONNECTIONS = 64
"""Open connections of the port for metrics, which few programs read."""


@asynccontextmanager
async def monitored_app(
    ctx: ServiceContext, server: Server, metrics_socket: socket.socket | None
) -> AsyncIterator[FastAPI]:
    """Yield the application, and count what it does if the settings ask for metrics.

    Args:
        ctx: the service.
        server: serves the application.
        metrics_socket: where metrics are served while the block runs; None if they have no port of their own.
    """
    from headwater.observability.work import observing
    from headwater.web.app import create_app, file_usage

    token = ctx.settings.metrics_token
    if metrics_socket is None and token is None:
        yield create_app(ctx)
        return
    from headwater.observability.metrics import Metrics
    from headwater.service.scraping import Scraper
    from headwater.web.api.metrics import MetricsPage

    metrics = Metrics("sqlite" if ctx.settings.sqlite_file is not None else "postgresql")
    scraper = Scraper(ctx, lambda: [server.connections.usage(), *file_usage(app)])
    page = MetricsPage(metrics, scraper, token)
    with observing(metrics):
        app = create_app(ctx, page if metrics_socket is None else None)
        if metrics_socket is None:
            yield app
            return
        async with _served_on(metrics_socket, page):
            yield app


@asynccontextmanager
async def _served_on(listening: socket.socket, page: MetricsPage) -> AsyncIterator[None]:
    from headwater.web.app import create_metrics_app
    from headwater.web.server import Server

    server = Server(max_connections=MAX_METRICS_CONNECTIONS)
    serving = asyncio.create_task(server.run_on(listening, create_metrics_app(page)))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def metrics_url(listening: socket.socket) -> str:
    """Return the URL at which this machine reads the metrics that are served on a socket."""
    host, port, *_ = listening.getsockname()
    return f"{url_of(host, port)}/metrics"
