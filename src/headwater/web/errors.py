"""Error responses: body, status and headers (contract.md#errors)."""

from __future__ import annotations

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from headwater.catalog.database import describe_error
from headwater.domain.errors import HeadwaterError, MethodNotAllowedError, StoreError, UnauthorizedError
from headwater.observability.work import count

UNEXPECTED_ERROR = "an unexpected error; the server's log has details under this requestId"

log = structlog.get_logger(__name__)


class ErrorBody(msgspec.Struct):
    """`error` and `message` hold the same text: one generation of published clients requires each."""

    code: str
    error: str
    message: str
    requestId: str  # noqa: N815  the name on the wire


def error_body(error: HeadwaterError, request_id: str) -> bytes:
    """Return the body of an error response. The text of a 500 is replaced: it may hold internal details."""
    text = UNEXPECTED_ERROR if error.status == 500 else error.message
    return msgspec.json.encode(ErrorBody(error.code, text, text, request_id))


def error_response(request: Request, error: HeadwaterError) -> Response:
    """Return the response to a request that failed, and log the error if the server caused it."""
    request.state.error = error
    count("errors", error.name())
    if error.status >= 500 and not isinstance(error, StoreError):
        log.error("request_failed", reason=error.message, cause=_cause(error))
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, MethodNotAllowedError):
        headers["Allow"] = ", ".join(error.allow)
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = 'Bearer realm="headwater"'
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return Response(error_body(error, request.state.request_id), error.status, headers, "application/json")


def _cause(error: HeadwaterError) -> str | None:
    """Return the error of the library, without SQL and parameters."""
    if error.__cause__ is None:
        return None
    cause = getattr(error.__cause__, "orig", None) or error.__cause__
    return f"{type(cause).__name__}: {describe_error(cause)}"
