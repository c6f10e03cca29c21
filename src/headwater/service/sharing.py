"""Share datasets with users and groups, and transfer them to other owners (contract.md#sharing)."""

from __future__ import annotations

from collections.abc import Sequence

from headwater.auth.permissions import DatasetContext
from headwater.domain.audit import AuditAction
from headwater.domain.errors import ForbiddenError, MalformedRequestError, NotFoundError
from headwater.domain.permissions import Permission
from headwater.domain.sharing import Grantee, GranteeKind, Role, Share
from headwater.domain.users import is_jwt_user_name, is_printable_name
from headwater.service.audit import dataset_entry
from headwater.service.context import ServiceContext
from headwater.service.datasets import dataset_unknown


async def list_shares(ctx: ServiceContext, dataset: DatasetContext) -> Sequence[Share]:
    """Return whom a dataset is shared with: users first, then groups, each by name."""
    return await ctx.catalog.shares.list(dataset.id)


async def share_dataset(ctx: ServiceContext, dataset: DatasetContext, grantee: Grantee, role: Role) -> None:
    """Share a dataset, or change the role of a grantee. Effective with the next request.

    Raises:
        MalformedRequestError: there is no such user, the user is the owner, or the name of the group is invalid.
        DatasetUnknownError: the dataset was deleted in the meantime.
    """
    if grantee.kind is GranteeKind.USER:
        await _check_user_known(ctx, grantee.name)
        if grantee.name == dataset.dataset.owner:
            raise MalformedRequestError(f"user: {grantee.name} owns the dataset and may do everything already")
    elif not is_printable_name(grantee.name):
        raise MalformedRequestError("group: expected 1 to 255 characters without control characters")
    entry = dataset_entry(dataset, AuditAction.SHARE_SET, f"{grantee.kind} {grantee.name}", role=role)
    if not await ctx.catalog.shares.put(dataset.id, grantee, role, entry):
        raise dataset_unknown(dataset.id)


async def unshare_dataset(ctx: ServiceContext, dataset: DatasetContext, grantee: Grantee) -> None:
    """Remove a share. Whoever may see a dataset may remove its own share.

    Raises:
        MalformedRequestError: no user and no group can have this name.
        NotFoundError: there is no such share.
        ForbiddenError: it is the share of another user or a group, and the principal may not manage the dataset.
    """
    if not is_printable_name(grantee.name):
        raise MalformedRequestError(f"{grantee.kind}: expected 1 to 255 characters without control characters")
    if grantee == Grantee(GranteeKind.USER, dataset.principal.user):
        dataset.principal.check_unlimited("leave a dataset")
    elif Permission.MANAGE not in dataset.permissions:
        raise ForbiddenError("only owners of a dataset may remove the shares of others")
    entry = dataset_entry(dataset, AuditAction.SHARE_REMOVE, f"{grantee.kind} {grantee.name}")
    if not await ctx.catalog.shares.remove(dataset.id, grantee, entry):
        raise NotFoundError(f"the dataset is not shared with the {grantee.kind} {grantee.name!r}")


async def transfer_dataset(ctx: ServiceContext, dataset: DatasetContext, owner: str) -> None:
    """Give a dataset to another owner. The former owner becomes an editor.

    Only admins may give it to others. Other principals may only take it, which needs the role owner. Otherwise an
    attacker could give a user a dataset with the name under which the programs of the user look for their own.

    Raises:
        MalformedRequestError: there is no such user.
        ForbiddenError: the principal is not an admin, and the new owner is another user.
        NameTakenError: the new owner has a dataset with the same name.
        DatasetUnknownError: the dataset was deleted in the meantime.
    """
    principal = dataset.principal
    if not principal.is_admin and owner != principal.user:
        raise ForbiddenError(
            "user: you may take a dataset, and only admins may give it to others: share it with the role owner, and "
            "let the new owner take it"
        )
    if owner != principal.user and not (is_printable_name(owner) and await ctx.catalog.users.exists(owner)):
        raise MalformedRequestError("user: there is no such user; expected the name of one with a token or a dataset")
    entry = dataset_entry(dataset, AuditAction.DATASET_TRANSFER, f"user {owner}", before=dataset.dataset.owner)
    if not await ctx.catalog.shares.transfer(dataset.id, owner, entry):
        raise dataset_unknown(dataset.id)


async def _check_user_known(ctx: ServiceContext, name: str) -> None:
    """Check that there is a user with this name, or can be one by a JWT.

    Raises:
        MalformedRequestError: there is none.
    """
    if is_jwt_user_name(name, ctx.settings.jwt_issuer):
        return
    if not is_printable_name(name) or not await ctx.catalog.users.exists(name):
        raise MalformedRequestError(
            "user: there is no such user; expected the name of one with a token or a dataset"
            + (f", or {ctx.settings.jwt_issuer}|SUBJECT" if ctx.settings.jwt_issuer else "")
        )
