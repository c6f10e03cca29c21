"""The frame around every request: an id, a log line, and an answer whatever happens inside."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headwater.domain.errors import HeadwaterError
from headwater.web.errors import error_response

_LEADING_SLASHES = re.compile(rb"^/{2,}")

log = structlog.get_logger(__name__)


class RequestMiddleware:
    """ASGI middleware, the outermost: nothing leaves the server without passing here.

    It gives the request its id (also in the header `X-Request-Id`), folds slashes doubled at the start of the
    path (clients that keep a `/` at the end of the server's URL send them), turns what nobody foresaw into the
    contract's 500, and writes one log line, without the query, where tokens and signatures are.
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
        scope.setdefault("state", {})["request_id"] = request_id
        status: int | None = None
        began = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", request_id.encode())]}
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except ClientDisconnect:
                log.info("the client hung up before its request was whole")
            except Exception as error:
                log.exception("request failed")
                if status is not None:
                    raise  # part of the answer is out already: all that is left is to break off
                unforeseen = error_response(Request(scope), HeadwaterError(type(error).__name__))
                await unforeseen(scope, receive, send_with_id)
            finally:
                log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    ms=round((time.perf_counter() - began) * 1000, 1),
                    **_who_and_why(scope),
                )


def _fold_leading_slashes(scope: Scope) -> MutableMapping[str, Any]:
    if not scope["path"].startswith("//"):
        return dict(scope)
    raw = scope.get("raw_path") or scope["path"].encode()
    return {**scope, "path": "/" + scope["path"].lstrip("/"), "raw_path": _LEADING_SLASHES.sub(b"/", raw)}


def _who_and_why(scope: Scope) -> dict[str, str]:
    """The user, and the error that was answered: whoever is told a requestId finds the reason by it."""
    said: dict[str, str] = {}
    if (principal := scope["state"].get("principal")) is not None:
        said["user"] = principal.user
    if (error := scope["state"].get("error")) is not None:
        said |= {"code": error.code, "reason": error.message}
    return said
