"""Open a dataset for a principal. Every operation on a dataset begins with this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from headwater.domain.dataset import Dataset
from headwater.domain.datasource import Datasource
from headwater.domain.errors import DatasetUnknownError, ForbiddenError
from headwater.domain.ids import check_id
from headwater.domain.permissions import Permission, explain_refusal, needs_roles, permissions_of
from headwater.domain.sharing import Role
from headwater.domain.users import Principal

LoadDatasources = Callable[[], Sequence[Datasource]]
"""Decodes the datasources of a dataset: decrypts the secrets and checks the form. Does no I/O."""


class DatasetLookup(Protocol):
    """What `open_dataset` needs of the catalog."""

    async def find_with_datasources(self, dataset_id: str) -> tuple[Dataset, LoadDatasources] | None:
        """Return the dataset and its datasources, read in one query; None if there is no such dataset."""

    async def roles(self, dataset_id: str, user: str, groups: frozenset[str]) -> Sequence[Role]:
        """Return the roles that shares of the dataset give to the user and to these groups."""


@dataclass(frozen=True)
class DatasetContext:
    """A dataset that `principal` may use, with its datasources. Only `open_dataset` creates one.

    Attributes:
        dataset: the dataset.
        principal: who uses the dataset.
        permissions: what `principal` may do on the dataset.
        load_datasources: called when `datasources` is first used. A stored secret that cannot be decrypted therefore
            fails only the operations that need it.
    """

    dataset: Dataset
    principal: Principal
    permissions: frozenset[Permission]
    load_datasources: LoadDatasources

    @property
    def id(self) -> str:
        """The id of the dataset."""
        return self.dataset.id

    @cached_property
    def datasources(self) -> Sequence[Datasource]:
        """The datasources of the dataset, at most one for each purpose, with their secrets decrypted.

        Raises:
            HeadwaterError: a stored secret cannot be decrypted.
        """
        return self.load_datasources()


async def open_dataset(
    datasets: DatasetLookup, principal: Principal, dataset_id: str, permission: Permission
) -> DatasetContext:
    """Return the dataset, opened for an operation that needs `permission`.

    Raises:
        MalformedRequestError: `dataset_id` does not have the form of an id.
        DatasetUnknownError: there is no such dataset.
        ForbiddenError: `principal` does not have the permission.
    """
    found = await datasets.find_with_datasources(check_id("datasetId", dataset_id))
    if found is None:
        raise DatasetUnknownError(f"there is no dataset with the id {dataset_id}")
    dataset, load_datasources = found
    roles: Sequence[Role] = ()
    if needs_roles(principal, dataset):
        roles = await datasets.roles(dataset_id, principal.user, principal.groups)
    permissions = permissions_of(principal, dataset, roles)
    if permission not in permissions:
        raise ForbiddenError(explain_refusal(principal, dataset, permission, roles))
    return DatasetContext(dataset, principal, permissions, load_datasources)
