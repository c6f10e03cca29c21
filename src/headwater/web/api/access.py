"""Routes of this server alone: tokens of users, shares of datasets (contract.md#tokens, contract.md#sharing)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from headwater.domain.errors import MalformedRequestError
from headwater.domain.sharing import Grantee, GranteeKind, Role, grantee_of
from headwater.domain.users import NewToken, Scope
from headwater.service import sharing, tokens
from headwater.web.api.bodies import present, share_body, token_body
from headwater.web.requests import (
    AuthorizedDataset,
    Context,
    CurrentPrincipal,
    ManagedDataset,
    optional_choice,
    optional_string,
    query_value,
    read_json_object,
    required_field,
)
from headwater.web.responses import json_response

router = APIRouter(prefix="/v1/headwater")

_MEMBERS = frozenset({"scope", "datasetId", "label", "expiresAt"})
_SECRET = {"Cache-Control": "no-store"}


@router.get("/whoami")
async def who_am_i(principal: CurrentPrincipal) -> Response:
    """Return whom the credential authenticates and what it is limited to."""
    body: dict[str, Any] = {
        "user": principal.user,
        "groups": sorted(principal.groups),
        "scope": principal.scope,
        "datasetId": principal.dataset_id,
        "tokenId": principal.token_id,
        "expiresAt": principal.expires_at,
    }
    return json_response(present(body))


@router.get("/tokens")
async def list_tokens(ctx: Context, principal: CurrentPrincipal) -> Response:
    """List the tokens of the user."""
    return json_response([token_body(token) for token in await tokens.list_tokens(ctx, principal)])


@router.post("/tokens")
async def create_token(request: Request, ctx: Context, principal: CurrentPrincipal) -> Response:
    """Create a token for the user."""
    body = await read_json_object(request)
    for name in body.keys() - _MEMBERS:
        # A member that is ignored would make a token that can do more than intended.
        raise MalformedRequestError(f"{name[:100]}: unknown member; expected {', '.join(sorted(_MEMBERS))}")
    expires_at = body.get("expiresAt")
    if expires_at is not None and (type(expires_at) is not int or not 0 <= expires_at < 1 << 53):
        raise MalformedRequestError("expiresAt: expected a whole number of milliseconds since 1970")
    default = Scope.WRITE if principal.scope.covers(Scope.WRITE) else principal.scope
    new = NewToken(
        scope=optional_choice(body, "scope", Scope) or default,
        dataset_id=optional_string(body, "datasetId"),
        label=optional_string(body, "label"),
        expires_at=expires_at,
    )
    token, known = await tokens.create_token(ctx, principal, new)
    return json_response({**token_body(known), "token": token}, 201, _SECRET)


@router.delete("/tokens/{token_id}")
async def revoke_token(request: Request, ctx: Context, principal: CurrentPrincipal) -> Response:
    """Revoke a token."""
    await tokens.revoke_token(ctx, principal, request.path_params["token_id"])
    return Response()


@router.get("/datasets/{dataset_id}/shares")
async def list_shares(ctx: Context, dataset: ManagedDataset) -> Response:
    """List whom a dataset is shared with."""
    return json_response([share_body(share) for share in await sharing.list_shares(ctx, dataset)])


@router.put("/datasets/{dataset_id}/shares")
async def share_dataset(request: Request, ctx: Context, dataset: ManagedDataset) -> Response:
    """Share a dataset, or change a role."""
    body = await read_json_object(request)
    required_field(body, "role")
    role = optional_choice(body, "role", Role)
    assert role is not None
    grantee = _grantee(*(optional_string(body, kind.value) for kind in GranteeKind))
    await sharing.share_dataset(ctx, dataset, grantee, role)
    return Response()


@router.delete("/datasets/{dataset_id}/shares")
async def unshare_dataset(request: Request, ctx: Context, dataset: AuthorizedDataset) -> Response:
    """Remove a share."""
    grantee = _grantee(*(query_value(request, kind.value) for kind in GranteeKind))
    await sharing.unshare_dataset(ctx, dataset, grantee)
    return Response()


@router.put("/datasets/{dataset_id}/owner")
async def transfer_dataset(request: Request, ctx: Context, dataset: ManagedDataset) -> Response:
    """Give a dataset to another owner."""
    body = await read_json_object(request)
    required_field(body, "user")
    await sharing.transfer_dataset(ctx, dataset, optional_string(body, "user") or "")
    return Response()


def _grantee(user: str | None, group: str | None) -> Grantee:
    grantee = grantee_of(user, group)
    if grantee is None:
        raise MalformedRequestError("user, group: expected exactly one of the two")
    return grantee
