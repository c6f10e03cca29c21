"""Errors on the wire: the contract's body, status and headers (contract.md#errors)."""

from __future__ import annotations

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from headwater.domain.errors import HeadwaterError, MethodNotAllowedError, StoreError, UnauthorizedError

UNFORESEEN = "an unforeseen error; the server's log tells more under this requestId"

log = structlog.get_logger(__name__)


class ErrorBody(msgspec.Struct):
    """`error` and `message` carry the same text: one published generation requires the one, one the other."""

    code: str
    error: str
    message: str
    requestId: str  # noqa: N815  the wire's name


def error_body(error: HeadwaterError, request_id: str) -> bytes:
    """Encode an error. What is wrong inside (a 500) is for the log alone."""
    text = UNFORESEEN if error.status == 500 else error.message
    return msgspec.json.encode(ErrorBody(error.code, text, text, request_id))


def error_response(request: Request, error: HeadwaterError) -> Response:
    """Write an error as the contract has it, and log one that is the server's own."""
    request.state.error = error
    if error.status >= 500 and not isinstance(error, StoreError):
        log.error("request failed", reason=error.message, cause=_cause(error))
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, MethodNotAllowedError):
        headers["Allow"] = ", ".join(error.allow)
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = 'Bearer realm="headwater"'
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return Response(error_body(error, request.state.request_id), error.status, headers, "application/json")


def _cause(error: HeadwaterError) -> str | None:
    """What a library said, without the statement and parameters that SQLAlchemy adds."""
    if error.__cause__ is None:
        return None
    said = getattr(error.__cause__, "orig", None) or error.__cause__
    return f"{type(said).__name__}: {said}"
