"""Errors on the wire: the contract's body, status and headers (section 3)."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from headwater.domain.errors import HeadwaterError, MethodNotAllowed, Unauthorized


class ErrorBody(msgspec.Struct):
    """`error` and `message` carry the same text: one published generation requires the one, one the other."""

    code: str
    error: str
    message: str
    requestId: str  # noqa: N815  the wire's name


def error_response(request: Request, error: HeadwaterError) -> Response:
    """Write an error as the contract has it."""
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allow)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="headwater"'
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    body = ErrorBody(error.code, error.message, error.message, request.state.request_id)
    return Response(msgspec.json.encode(body), error.status, headers, "application/json")
