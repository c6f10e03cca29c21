"""Datasets that are shared with users and groups."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a grantee may do on a shared dataset. Each role contains those before it."""

    READER = "reader"
    """See the dataset and its datasources, list files, get read URLs."""

    EDITOR = "editor"
    """Also change the dataset, its datasources and its watermark, and write to its storage."""

    OWNER = "owner"
    """Also delete, share and transfer the dataset."""


class GranteeKind(StrEnum):
    """Whom a dataset is shared with."""

    USER = "user"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Grantee:
    """A user, or all users of a group."""

    kind: GranteeKind
    name: str


def grantee_of(user: str | None, group: str | None) -> Grantee | None:
    """Return the grantee that a user or a group names; None unless exactly one of the two is given."""
    if (user is None) == (group is None):
        return None
    return Grantee(GranteeKind.GROUP, group) if group is not None else Grantee(GranteeKind.USER, user or "")


@dataclass(frozen=True, slots=True)
class Share:
    """A role of a grantee on a dataset. `created_at` is in milliseconds since 1970."""

    grantee: Grantee
    role: Role
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """Which datasets a query finds: the union of those that the attributes name.

    Attributes:
        user: whose datasets, and with whom others are shared.
        groups: the groups of the user.
        own: the datasets that the user owns.
        direct: datasets of others that are shared with the user by name.
        by_group: datasets of others that are shared with a group of the user.
        all_others: all datasets of others, shared or not.
        dataset_id: only this dataset; None for no such limit.
    """

    user: str
    groups: frozenset[str] = frozenset()
    own: bool = False
    direct: bool = False
    by_group: bool = False
    all_others: bool = False
    dataset_id: str | None = None


def owned_by(user: str) -> Visibility:
    """Return the visibility of the datasets that a user owns."""
    return Visibility(user=user, own=True)
