"""What a principal may do on a dataset."""

from __future__ import annotations

from enum import StrEnum

from headwater.domain.dataset import Dataset
from headwater.domain.users import Principal


class Permission(StrEnum):
    """A right that an operation on a dataset needs."""

    READ = "read"
    """See the dataset and its datasources, list files, get read URLs."""

    WRITE = "write"
    """Change or delete the dataset, its datasources or its watermark; write to its storage."""


def permissions_of(principal: Principal, dataset: Dataset) -> frozenset[Permission]:
    """Return what `principal` may do on `dataset`: everything for its owner and for admins, nothing for others."""
    return frozenset(Permission) if principal.may_use(dataset.owner) else frozenset()
