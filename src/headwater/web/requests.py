"""What comes in: credentials, ids, queries and bodies, each refused with a text that names the field."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Depends, Request

from headwater.auth.permissions import DatasetContext, open_dataset
from headwater.domain.errors import MalformedRequestError, PayloadTooLargeError
from headwater.domain.permissions import Permission
from headwater.domain.users import Principal
from headwater.service.context import ServiceContext

MAX_BODY_BYTES = 1 << 20
"""Bytes of a request body that are read; far more than any documented one has."""


async def _service(request: Request) -> ServiceContext:
    service: ServiceContext = request.app.state.headwater
    return service


Context = Annotated[ServiceContext, Depends(_service)]


async def _authenticated(request: Request, ctx: Context) -> Principal:
    principal = await ctx.access.authenticate(
        request.query_params.getlist("token"), request.headers.getlist("authorization")
    )
    request.state.principal = principal
    return principal


CurrentPrincipal = Annotated[Principal, Depends(_authenticated)]
"""The authenticated user. Credentials are checked before anything else is looked at."""


def _opened_for(permission: Permission) -> Any:
    async def opened(request: Request, ctx: Context, principal: CurrentPrincipal) -> DatasetContext:
        return await open_dataset(ctx.catalog.datasets, principal, request.path_params["dataset_id"], permission)

    return Depends(opened)


AuthorizedDataset = Annotated[DatasetContext, _opened_for(Permission.READ)]
"""The dataset of the path, opened for reading. The rest of a request is read only after this check."""

WritableDataset = Annotated[DatasetContext, _opened_for(Permission.WRITE)]
"""The dataset of the path, opened for writing."""


def query_value(request: Request, name: str) -> str | None:
    """A query parameter that may be given once.

    Raises:
        MalformedRequestError: it is given twice with different values.
    """
    values = set(request.query_params.getlist(name))
    if len(values) > 1:
        raise MalformedRequestError(f"{name}: given more than once, with different values")
    return values.pop() if values else None


def query_bool(request: Request, name: str) -> bool:
    """A query parameter `true` or `false` in any letter case; absent is false."""
    match (query_value(request, name) or "false").lower():
        case "true":
            return True
        case "false":
            return False
        case _:
            raise MalformedRequestError(f"{name}: expected true or false")


def query_int(request: Request, name: str, least: int) -> int | None:
    """A query parameter that is a whole number of at least `least`; None where absent."""
    text = query_value(request, name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least):
        raise MalformedRequestError(f"{name}: expected a whole number, {least} or more")
    return int(text)


async def read_json(request: Request) -> Any:
    """Read and decode a JSON body, never more of it than `MOST_BODY`.

    Raises:
        PayloadTooLargeError: the body is longer.
        MalformedRequestError: not JSON, or none at all.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise PayloadTooLargeError(f"the body is larger than {MAX_BODY_BYTES} bytes")
    if not body.strip():
        raise MalformedRequestError("body: expected a JSON document, got nothing")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error) if isinstance(error, msgspec.DecodeError) else "not UTF-8, or nested too deeply"
        raise MalformedRequestError(f"body: expected a JSON document: {reason}") from None


async def read_object(request: Request) -> dict[str, Any]:
    """Read a JSON body that must be an object. Raises as `read_json`."""
    decoded = await read_json(request)
    if not isinstance(decoded, dict):
        raise MalformedRequestError("body: expected a JSON object")
    return decoded


def required_field(body: dict[str, Any], name: str) -> Any:
    """A required member of a body.

    Raises:
        MalformedRequestError: it is missing.
    """
    if body.get(name) is None:
        raise MalformedRequestError(f"{name}: required")
    return body[name]


def text(body: dict[str, Any], name: str) -> str | None:
    """An optional member that is a string."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise MalformedRequestError(f"{name}: expected a string")
    return value
