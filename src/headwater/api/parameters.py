"""What comes in: credentials, ids, queries and bodies, each refused with a text that names the field."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Depends, Request

from headwater.domain.errors import MalformedRequest, PayloadTooLarge
from headwater.domain.users import Principal
from headwater.service.datasets import Opened, open_dataset
from headwater.service.headwater import Headwater

MOST_BODY = 1 << 20
"""Bytes of a request body that are read; far more than any documented one has."""


async def _service(request: Request) -> Headwater:
    service: Headwater = request.app.state.headwater
    return service


Service = Annotated[Headwater, Depends(_service)]


async def _authenticated(request: Request, hw: Service) -> Principal:
    principal = await hw.access.authenticate(
        request.query_params.getlist("token"), request.headers.getlist("authorization")
    )
    request.state.principal = principal
    return principal


Who = Annotated[Principal, Depends(_authenticated)]
"""The authenticated user. Credentials are checked before anything else is looked at."""


async def _asked(request: Request, hw: Service, who: Who) -> Opened:
    return await open_dataset(hw, who, request.path_params["dataset_id"])


Asked = Annotated[Opened, Depends(_asked)]
"""The dataset of the path, once it is known that the user may use it; only then is the rest of a request read."""


def one(request: Request, name: str) -> str | None:
    """A query parameter that may be given once.

    Raises:
        MalformedRequest: it is given twice with different values.
    """
    values = set(request.query_params.getlist(name))
    if len(values) > 1:
        raise MalformedRequest(f"{name}: given more than once, with different values")
    return values.pop() if values else None


def boolean(request: Request, name: str) -> bool:
    """A query parameter `true` or `false` in any letter case; absent is false."""
    match (one(request, name) or "false").lower():
        case "true":
            return True
        case "false":
            return False
        case _:
            raise MalformedRequest(f"{name}: expected true or false")


def whole(request: Request, name: str, least: int) -> int | None:
    """A query parameter that is a whole number of at least `least`; None where absent."""
    text = one(request, name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least):
        raise MalformedRequest(f"{name}: expected a whole number, {least} or more")
    return int(text)


async def read_json(request: Request) -> Any:
    """Read and decode a JSON body, never more of it than `MOST_BODY`.

    Raises:
        PayloadTooLarge: the body is longer.
        MalformedRequest: not JSON, or none at all.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            raise PayloadTooLarge(f"the body is larger than {MOST_BODY} bytes")
    if not body.strip():
        raise MalformedRequest("body: expected a JSON document, got nothing")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error) if isinstance(error, msgspec.DecodeError) else "not UTF-8, or nested too deeply"
        raise MalformedRequest(f"body: expected a JSON document: {reason}") from None


async def read_object(request: Request) -> dict[str, Any]:
    """Read a JSON body that must be an object. Raises as `read_json`."""
    decoded = await read_json(request)
    if not isinstance(decoded, dict):
        raise MalformedRequest("body: expected a JSON object")
    return decoded


def member(body: dict[str, Any], name: str) -> Any:
    """A required member of a body.

    Raises:
        MalformedRequest: it is missing.
    """
    if body.get(name) is None:
        raise MalformedRequest(f"{name}: required")
    return body[name]


def text(body: dict[str, Any], name: str) -> str | None:
    """An optional member that is a string."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise MalformedRequest(f"{name}: expected a string")
    return value
