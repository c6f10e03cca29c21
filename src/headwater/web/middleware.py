"""What every request passes through: a request id, one log line, and a response to unexpected errors."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import MutableMapping
from functools import cache
from typing import Any

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headwater.catalog.database import limit_waits
from headwater.domain.errors import HeadwaterError
from headwater.observability.work import RequestWork
from headwater.service.audit import coming_from
from headwater.web.errors import error_response

_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})

_CONVERTER = re.compile(r":\w+(?=})")
"""How a route checks a part of a path."""

_LEADING_SLASHES = re.compile(rb"^/{2,}")

log = structlog.get_logger(__name__)


class RequestMiddleware:
    """The outermost ASGI middleware. For each request it:

    - creates a request id, which is also sent as the header `X-Request-Id`,
    - removes doubled slashes at the start of the path, which clients send if their server URL ends in `/`,
    - limits how long it waits for the catalog in all,
    - turns unexpected exceptions into a 500 response,
    - writes one log line, except for health checks and metrics that were answered. The line does not contain the query,
      which may hold tokens and signatures,
    - tells observers what was done.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(12)
        scope = _fold_leading_slashes(scope)
        is_probe = scope["path"] in _PROBES
        scope.setdefault("state", {})["request_id"] = request_id
        status: int | None = None
        started = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", request_id.encode())]}
            await send(message)

        client = scope.get("client")
        work = RequestWork(scope["method"], scope["headers"], request_id, is_probe=is_probe)
        with (
            work,
            structlog.contextvars.bound_contextvars(request_id=request_id),
            coming_from(client[0] if client else None, request_id),
            limit_waits(),
        ):
            try:
                await self._app(scope, receive, send_with_id)
            except ClientDisconnect:
                log.info("client_disconnected")
            except Exception as error:
                log.exception("request_failed")
                if status is not None:
                    raise  # the response has been started, so the connection can only be closed
                response = error_response(Request(scope), HeadwaterError(type(error).__name__))
                await response(scope, receive, send_with_id)
            finally:
                work.route, work.status = _route_of(scope), status
                if not is_probe or status != 200:
                    log.info(
                        "request",
                        method=scope["method"],
                        path=scope["path"],
                        status=status,
                        ms=round((time.perf_counter() - started) * 1000, 1),
                        **_outcome(scope),
                    )


def _fold_leading_slashes(scope: Scope) -> MutableMapping[str, Any]:
    if not scope["path"].startswith("//"):
        return dict(scope)
    raw = scope.get("raw_path") or scope["path"].encode()
    return {**scope, "path": "/" + scope["path"].lstrip("/"), "raw_path": _LEADING_SLASHES.sub(b"/", raw)}


def _route_of(scope: Scope) -> str | None:
    """Return the template of a path; `/docs` for all pages and their files, and None if there is no such route."""
    path: str | None = getattr(scope.get("route"), "path", None)
    if path is not None:
        return _template(path)
    return "/docs" if "endpoint" in scope else None


@cache
def _template(path: str) -> str:
    return _CONVERTER.sub("", path)


def _outcome(scope: Scope) -> dict[str, str]:
    """Return the user and the error as log fields: a requestId from an error body then leads to the reason."""
    fields: dict[str, str] = {}
    if (principal := scope["state"].get("principal")) is not None:
        fields["user"] = principal.user
    if (error := scope["state"].get("error")) is not None:
        fields |= {"code": error.code, "reason": error.message}
    return fields
