"""What an operator does from the command line: tokens of users, and datasets on behalf of users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from headwater.auth.authenticate import digest, new_token
from headwater.auth.permissions import DatasetContext, open_dataset
from headwater.catalog.stored_datasource import DatasourceSummary
from headwater.domain.audit import AuditAction
from headwater.domain.choices import with_suggestion
from headwater.domain.dataset import Dataset, NewDataset, check_name
from headwater.domain.errors import DatasetUnknownError, ForbiddenError, MalformedRequestError, NotFoundError
from headwater.domain.ids import is_id
from headwater.domain.permissions import Permission
from headwater.domain.sharing import owned_by
from headwater.domain.text import is_unicode
from headwater.domain.users import ApiToken, NewToken, Principal, Scope, check_user_name, is_jwt_user_name
from headwater.service.audit import audit_entry
from headwater.service.context import ServiceContext
from headwater.service.tokens import check_limits, created_entry, revoked_entry

OPERATOR = Principal("operator", Scope.ADMIN)
"""The principal of the command line. Anyone who can access the catalog may do everything."""


class DatasetOverview(NamedTuple):
    """A dataset with what its datasources point to: the one for INPUT or INPUT_OUTPUT first."""

    dataset: Dataset
    datasources: Sequence[DatasourceSummary]


async def create_token(ctx: ServiceContext, user: str, new: NewToken) -> tuple[str, ApiToken]:
    """Create a token for a user; the user is created if needed.

    Returns:
        The token, which cannot be shown again, and what the catalog stores of it. It can be used at once.

    Raises:
        MalformedRequestError: `user` is not a valid user name, the limits of the token are invalid, or it would be
            limited to a dataset that the user may not use.
        DatasetUnknownError: there is no such dataset.
    """
    await _check_user(ctx, user)
    check_limits(new)
    if new.dataset_id is not None:
        groups = await ctx.catalog.users.groups(user) or frozenset()
        try:
            await open_dataset(ctx.catalog.datasets, Principal(user, groups=groups), new.dataset_id, Permission.READ)
        except ForbiddenError:
            raise MalformedRequestError(
                f"datasetId: {user} may not use the dataset {new.dataset_id}; share it first (`headwater share add`)"
            ) from None
    token = new_token()
    entry = created_entry(OPERATOR, user, new)
    return token, await ctx.catalog.tokens.add(
        user, new, digest(token), entry=lambda made: replace(entry, target=made.id)
    )


async def list_tokens(ctx: ServiceContext) -> Sequence[ApiToken]:
    """Return what the catalog stores of all tokens, revoked ones included."""
    return await ctx.catalog.tokens.list()


async def revoke_token(ctx: ServiceContext, token_id: str) -> None:
    """Revoke a token, with immediate effect. Revoking it again is no error.

    Raises:
        MalformedRequestError: `token_id` does not have the form of an id.
        NotFoundError: there is no token with this id.
    """
    if not is_id(token_id):
        raise MalformedRequestError("ID: expected the id of a token, as `headwater token list` shows it, not the token")
    found = await ctx.catalog.tokens.get(token_id)
    if found is None or not await ctx.catalog.tokens.revoke(token_id, revoked_entry(OPERATOR, token_id, found.user)):
        raise NotFoundError(f"there is no token with the id {token_id}; `headwater token list` shows them")


async def create_dataset(ctx: ServiceContext, user: str | None, new: NewDataset) -> Dataset:
    """Create a dataset for a user; the user is created if needed.

    Args:
        ctx: the service.
        user: the owner. None selects the only user, or `operator` if there are no users.
        new: the dataset.

    Raises:
        MalformedRequestError: a name is invalid, or `user` is None and there are several users.
        NameTakenError: the user has a dataset with this name.
    """
    if user is None:
        known = await ctx.catalog.users.list()
        if len(known) > 1:
            raise MalformedRequestError(f"--user: required, because there are several users: {', '.join(known)}")
        user = known[0] if known else OPERATOR.user
    else:
        await _check_user(ctx, user)
    check_name(new.name)
    entry = audit_entry(OPERATOR, AuditAction.DATASET_CREATE, name=new.name, owner=user)
    return await ctx.catalog.datasets.add(user, new, lambda made: replace(entry, dataset_id=made.id))


async def list_datasets(ctx: ServiceContext, user: str | None) -> list[DatasetOverview]:
    """Return the datasets of one user, or of all, oldest first.

    Raises:
        NotFoundError: there is no such user.
    """
    if user is not None and not await _user_exists(ctx, user):
        raise NotFoundError(with_suggestion(f"--user: there is no user {user!r}", user, await ctx.catalog.users.list()))
    found = await ctx.catalog.datasets.list(None if user is None else owned_by(user))
    summaries = await ctx.catalog.datasources.summaries([dataset.id for dataset in found])
    return [DatasetOverview(dataset, summaries[dataset.id]) for dataset in found]


async def overview_of(ctx: ServiceContext, dataset: DatasetContext) -> DatasetOverview:
    """Return a dataset with what its datasources point to."""
    summaries = await ctx.catalog.datasources.summaries([dataset.id])
    return DatasetOverview(dataset.dataset, summaries[dataset.id])


async def find_dataset(ctx: ServiceContext, reference: str) -> DatasetContext:
    """Return a dataset, opened for the operator, by its id or by a name that only one dataset has.

    Raises:
        DatasetUnknownError: there is no such dataset.
        MalformedRequestError: several users have a dataset with this name.
    """
    if is_id(reference) and (await ctx.catalog.datasets.get(reference)) is not None:
        return await open_dataset(ctx.catalog.datasets, OPERATOR, reference, Permission.WRITE)
    match await ctx.catalog.datasets.list(None, name=reference) if is_unicode(reference) else []:
        case [dataset]:
            return await open_dataset(ctx.catalog.datasets, OPERATOR, dataset.id, Permission.WRITE)
        case []:
            names = [dataset.name for dataset in await ctx.catalog.datasets.list(None)]
            text = with_suggestion(f"there is no dataset with the id or name {reference!r}", reference, names)
            raise DatasetUnknownError(f"{text}; `headwater dataset list` shows all")
        case several:
            owners = ", ".join(f"{dataset.id} of {dataset.owner}" for dataset in several)
            raise MalformedRequestError(f"several datasets are called {reference!r}; give an id: {owners}")


async def _check_user(ctx: ServiceContext, user: str) -> None:
    """Check that a user exists or can be created.

    Raises:
        MalformedRequestError: it can not.
    """
    if not is_jwt_user_name(user, ctx.settings.jwt_issuer) and not await _user_exists(ctx, user):
        check_user_name(user)


async def _user_exists(ctx: ServiceContext, user: str) -> bool:
    return is_unicode(user) and await ctx.catalog.users.exists(user)
