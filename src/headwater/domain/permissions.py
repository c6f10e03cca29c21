"""What a principal may do on a dataset."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from headwater.domain.dataset import Dataset
from headwater.domain.sharing import Role
from headwater.domain.users import Principal, Scope, scope_too_small


class Permission(StrEnum):
    """A right that an operation on a dataset needs."""

    READ = "read"
    """See the dataset and its datasources, list files, get read URLs."""

    WRITE = "write"
    """Change the dataset, its datasources or its watermark; write to its storage."""

    MANAGE = "manage"
    """Delete, share or transfer the dataset."""


_OF_ROLE = {
    Role.READER: frozenset({Permission.READ}),
    Role.EDITOR: frozenset({Permission.READ, Permission.WRITE}),
    Role.OWNER: frozenset(Permission),
}


def needs_roles(principal: Principal, dataset: Dataset) -> bool:
    """Return whether it depends on shares what `principal` may do on `dataset`."""
    return not principal.is_admin and principal.user != dataset.owner


def permissions_of(principal: Principal, dataset: Dataset, roles: Collection[Role] = ()) -> frozenset[Permission]:
    """Return what `principal` may do on `dataset`.

    The owner and admins may do everything, others what their roles allow. The scope of a token limits that, and a
    token for one dataset manages none.

    Args:
        principal: who.
        dataset: the dataset.
        roles: the roles of the user and of its groups on the dataset, by shares.
    """
    if principal.dataset_id not in (None, dataset.id):
        return frozenset()
    allowed = frozenset(Permission)
    if needs_roles(principal, dataset):
        allowed = frozenset[Permission]().union(*(_OF_ROLE[role] for role in roles))
    if principal.dataset_id is not None:
        allowed -= {Permission.MANAGE}
    return allowed if principal.scope.covers(Scope.WRITE) else allowed & {Permission.READ}


def explain_refusal(principal: Principal, dataset: Dataset, permission: Permission, roles: Collection[Role]) -> str:
    """Return the text of the error for a principal that lacks a permission."""
    if principal.dataset_id not in (None, dataset.id):
        return f"the token is limited to another dataset than {dataset.id}"
    if needs_roles(principal, dataset) and not roles:
        return f"the dataset {dataset.id} belongs to another user, who has not shared it with you"
    unlimited = Principal(principal.user, groups=principal.groups)
    if permission in permissions_of(unlimited, dataset, roles):
        if principal.dataset_id is not None and permission is Permission.MANAGE:
            return "a token that is limited to a dataset may not delete, share or transfer it"
        return scope_too_small(principal.scope)
    needed = Role.OWNER if permission is Permission.MANAGE else Role.EDITOR
    return f"the dataset {dataset.id} is shared with you, but this operation needs the role {needed}"
