"""Parts of a request: credentials, dataset, query and body. An error text names the field that is wrong."""

from __future__ import annotations

import codecs
import time
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Depends, Request

from headwater.auth.permissions import DatasetContext, open_dataset
from headwater.domain.choices import expected_one_of, similar
from headwater.domain.errors import MalformedRequestError, PayloadTooLargeError
from headwater.domain.permissions import Permission
from headwater.domain.users import Principal
from headwater.service.context import ServiceContext

MAX_BODY_BYTES = 1 << 20
"""The largest request body that is read; far larger than any documented one."""


SLOW_BODY_SECONDS = 1.0
"""Who may do what is checked before the body is read, and again after a body that took longer than this. Clients may
take an hour for a body, and tokens and shares that end meanwhile must not."""


async def _context(request: Request) -> ServiceContext:
    ctx: ServiceContext = request.app.state.context
    return ctx


QUERY_PARAMETERS = frozenset(
    "token publicToken path purpose from to cursor useRedirectedReadUrl relevantFilenamesFileName "
    "relevantFilenamesRunId relevantFilenamesArtifactId dncShards taskName fileName shared getAssetsOfTeam "
    "getAssetsOfTeamInclusiveSelf excludePlayground pageSize pageOffset limit exact datasetIds force "
    "currentVersion user group".split()
)
"""The query parameters of all operations. A request may have any of them: those that it does not use are ignored."""

ChoiceT = TypeVar("ChoiceT", bound=StrEnum)

Context = Annotated[ServiceContext, Depends(_context)]
"""The service that the application runs on."""


async def _authenticate(request: Request, ctx: Context) -> Principal:
    async def check() -> Principal:
        return await ctx.authenticator.authenticate(
            request.query_params.getlist("token"), request.headers.getlist("authorization")
        )

    principal = await check()
    request.state.principal, request.state.check_again = principal, check
    return principal


_Principal = Annotated[Principal, Depends(_authenticate)]


async def _check_query_of(request: Request, principal: _Principal) -> Principal:
    _check_query(request)
    return principal


CurrentPrincipal = Annotated[Principal, Depends(_check_query_of)]
"""The authenticated user. Credentials are checked before the rest of the request."""


def _open_for(permission: Permission) -> Any:
    async def open_for_permission(request: Request, ctx: Context, principal: _Principal) -> DatasetContext:
        dataset_id = request.path_params["dataset_id"]
        dataset = await open_dataset(ctx.catalog.datasets, principal, dataset_id, permission)
        authenticate = request.state.check_again

        async def check() -> None:
            await open_dataset(ctx.catalog.datasets, await authenticate(), dataset_id, permission)

        request.state.check_again = check
        _check_query(request)
        return dataset

    return Depends(open_for_permission)


AuthorizedDataset = Annotated[DatasetContext, _open_for(Permission.READ)]
"""The dataset in the path, opened for reading. Query and body are read only after this check."""

WritableDataset = Annotated[DatasetContext, _open_for(Permission.WRITE)]
"""The dataset in the path, opened for writing."""

ManagedDataset = Annotated[DatasetContext, _open_for(Permission.MANAGE)]
"""The dataset in the path, opened for deleting, sharing or transferring it."""


def _check_query(request: Request) -> None:
    """Refuse query parameters that no operation has: a mistyped name must not select something else without a word.

    Raises:
        MalformedRequestError: there is one. The text names it only if it resembles a known one: it may be a secret.
    """
    for name in request.query_params:
        if name in QUERY_PARAMETERS:
            continue
        if meant := similar(name, QUERY_PARAMETERS):
            raise MalformedRequestError(f"{name}: unknown query parameter; did you mean {meant[0]}?")
        raise MalformedRequestError("there is a query parameter that no operation has; /docs shows what there is")


def query_value(request: Request, name: str) -> str | None:
    """Return a query parameter; None if it is absent.

    Raises:
        MalformedRequestError: it is given more than once, with different values.
    """
    values = set(request.query_params.getlist(name))
    if len(values) > 1:
        raise MalformedRequestError(f"{name}: given more than once, with different values")
    return values.pop() if values else None


def required_query_value(request: Request, name: str) -> str:
    """Return a query parameter that must be present.

    Raises:
        MalformedRequestError: it is absent, or given more than once, with different values.
    """
    value = query_value(request, name)
    if value is None:
        raise MalformedRequestError(f"{name}: required")
    return value


def query_bool(request: Request, name: str) -> bool:
    """Return a boolean query parameter, which is `true` or `false` in any letter case; False if it is absent."""
    value = query_value(request, name)
    match None if value is None else value.lower():
        case "true":
            return True
        case "false" | None:
            return False
        case _:
            raise MalformedRequestError(f"{name}: expected true or false")


def query_int(request: Request, name: str, minimum: int) -> int | None:
    """Return a query parameter that is a whole number, at least `minimum`; None if it is absent."""
    text = query_value(request, name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= minimum):
        raise MalformedRequestError(f"{name}: expected a whole number, {minimum} or more")
    return int(text)


async def read_json(request: Request) -> Any:
    """Return the decoded JSON body. At most `MAX_BODY_BYTES` of it are read.

    Raises:
        PayloadTooLargeError: the body is larger.
        MalformedRequestError: the body is empty or not JSON.
        UnauthorizedError, ForbiddenError: the body was slow, and the credential or the permission has ended meanwhile.
    """
    body, started = bytearray(), time.monotonic()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise PayloadTooLargeError(f"the body is larger than {MAX_BODY_BYTES} bytes")
    if time.monotonic() - started > SLOW_BODY_SECONDS:
        await request.state.check_again()
    if not body.strip():
        raise MalformedRequestError("body: expected a JSON document, got nothing")
    try:
        # Editors of Windows and PowerShell begin files with a byte order mark.
        return msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error) if isinstance(error, msgspec.DecodeError) else "not UTF-8, or nested too deeply"
        raise MalformedRequestError(f"body: expected a JSON document: {reason}") from None


async def read_json_object(request: Request) -> dict[str, Any]:
    """Return the JSON body, which must be an object. Raises the errors of `read_json`."""
    decoded = await read_json(request)
    if not isinstance(decoded, dict):
        raise MalformedRequestError("body: expected a JSON object")
    return decoded


def required_field(body: dict[str, Any], name: str) -> Any:
    """Return a required member of a JSON object.

    Raises:
        MalformedRequestError: it is missing or null.
    """
    if body.get(name) is None:
        raise MalformedRequestError(f"{name}: required")
    return body[name]


def optional_string(body: dict[str, Any], name: str) -> str | None:
    """Return an optional string member of a JSON object; None if it is missing or null."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise MalformedRequestError(f"{name}: expected a string")
    return value


def optional_choice(body: dict[str, Any], name: str, choices: type[ChoiceT]) -> ChoiceT | None:
    """Return an optional member of a JSON object that is one of a few texts; None if it is missing or null."""
    value = optional_string(body, name)
    if value is None:
        return None
    if value not in tuple(choices):
        raise MalformedRequestError(f"{name}: {expected_one_of(choices, value)}")
    return choices(value)
