"""Users make, list and revoke their own API tokens (contract.md#tokens)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from headwater.auth.authenticate import digest, new_token
from headwater.auth.permissions import open_dataset
from headwater.catalog.tokens import MAX_TOKENS_PER_USER
from headwater.domain.audit import AuditAction, AuditEntry
from headwater.domain.errors import ForbiddenError, MalformedRequestError, NotFoundError
from headwater.domain.ids import check_id
from headwater.domain.permissions import Permission
from headwater.domain.users import ApiToken, NewToken, Principal, Scope, check_label
from headwater.service.audit import audit_entry
from headwater.service.context import ServiceContext


async def create_token(ctx: ServiceContext, principal: Principal, new: NewToken) -> tuple[str, ApiToken]:
    """Create a token for the principal. It cannot do more, or live longer, than the credential that creates it.

    Returns:
        The token, which cannot be shown again, and what the catalog stores of it. It can be used at once.

    Raises:
        MalformedRequestError: the label or the time is invalid, or the user has too many tokens.
        ForbiddenError: the credential may not create such a token, or the dataset is not the user's to use.
        DatasetUnknownError: there is no such dataset.
    """
    principal.check_unlimited("manage tokens")
    check_limits(new)
    if not principal.scope.covers(new.scope):
        raise ForbiddenError(f"a token with the scope {principal.scope} cannot create one with the scope {new.scope}")
    if principal.expires_at is not None and (new.expires_at is None or new.expires_at > principal.expires_at):
        raise ForbiddenError("expiresAt: a token that expires cannot create one that lives longer")
    if new.dataset_id is not None:
        await open_dataset(ctx.catalog.datasets, principal, new.dataset_id, Permission.READ)
    token = new_token()
    groups = principal.groups if principal.token_id is None else None  # those of a JWT are the latest
    entry = created_entry(principal, principal.user, new)
    return token, await ctx.catalog.tokens.add(
        principal.user,
        new,
        digest(token),
        groups=groups,
        limit=MAX_TOKENS_PER_USER,
        entry=lambda made: replace(entry, target=made.id),
    )


async def list_tokens(ctx: ServiceContext, principal: Principal) -> Sequence[ApiToken]:
    """Return what the catalog stores of the tokens of the principal, revoked ones included, oldest first.

    Raises:
        ForbiddenError: the token is limited to one dataset or to reading.
    """
    principal.check_unlimited("list tokens")
    return await ctx.catalog.tokens.list(principal.user)


async def revoke_token(ctx: ServiceContext, principal: Principal, token_id: str) -> None:
    """Revoke a token of the principal, with immediate effect. Revoking it again is no error.

    Every token may revoke itself, and an admin every token.

    Raises:
        MalformedRequestError: `token_id` does not have the form of an id.
        NotFoundError: the user has no token with this id.
        ForbiddenError: the credential may not revoke other tokens.
    """
    check_id("tokenId", token_id)
    user = principal.user
    if token_id != principal.token_id:
        principal.check_unlimited("manage tokens")
        found = await ctx.catalog.tokens.get(token_id)
        if found is None or not (principal.is_admin or found.user == principal.user):
            raise NotFoundError(f"you have no token with the id {token_id}")
        user = found.user
    await ctx.catalog.tokens.revoke(token_id, revoked_entry(principal, token_id, user))


def created_entry(principal: Principal, user: str, new: NewToken) -> AuditEntry:
    """Return what the audit log says about a new token of a user, without its id."""
    return audit_entry(
        principal,
        AuditAction.TOKEN_CREATE,
        new.dataset_id,
        user=user,
        scope=new.scope,
        label=new.label,
        expires_at=new.expires_at,
    )


def revoked_entry(principal: Principal, token_id: str, user: str) -> AuditEntry:
    """Return what the audit log says about a token of a user that is revoked."""
    return audit_entry(principal, AuditAction.TOKEN_REVOKE, target=token_id, user=user)


def check_limits(new: NewToken) -> None:
    """Check what a new token shall be limited to.

    Raises:
        MalformedRequestError: the label is invalid, the time has passed, or the scope does not go with a dataset.
    """
    if new.label is not None:
        check_label(new.label)
    if new.expires_at is not None and new.expires_at <= time.time() * 1000:
        raise MalformedRequestError("expiresAt: expected milliseconds since 1970 in the future")
    if new.dataset_id is not None:
        check_id("datasetId", new.dataset_id)
        if new.scope is Scope.ADMIN:
            raise MalformedRequestError("datasetId: a token with the scope admin cannot be limited to a dataset")
