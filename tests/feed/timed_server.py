"""The real `headwater` command, in which the time of a request is a clock that the test controls (`clocks.py`).

Nothing else differs from the command. A request without the header, and work that no request started, has real time.
"""

from __future__ import annotations

import os
import runpy
import time
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.feed.clocks import AHEAD, FILE, HEADER, Clocks

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

    from headwater.service.context import ServiceContext
    from headwater.web.api.metrics import MetricsPage

_clock: ContextVar[int | None] = ContextVar("clock", default=None)


class WithClock:
    """ASGI middleware: a request uses the clock that its header names."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        number = next((int(value) for name, value in scope.get("headers", ()) if name == HEADER.encode()), None)
        set_clock = _clock.set(number)
        try:
            await self._app(scope, receive, send)
        finally:
            _clock.reset(set_clock)


def main() -> None:
    """Run the `headwater` command."""
    from headwater.web import app

    create = app.create_app
    clocks = Clocks(Path(os.environ[FILE]))
    ahead = int(os.environ.get(AHEAD, "0"))

    def now() -> float:
        number = _clock.get()
        return time.time() if number is None else clocks.read(number) + ahead

    def create_timed(ctx: ServiceContext, metrics: MetricsPage | None = None) -> FastAPI:
        timed = create(replace(ctx, now=now), metrics)
        timed.add_middleware(WithClock)
        return timed

    app.create_app = create_timed  # `headwater serve` imports it from here when it starts
    runpy.run_module("headwater", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
