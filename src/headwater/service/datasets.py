"""Create, find, rename and delete datasets (contract.md#datasets)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headwater.auth.permissions import DatasetContext, open_dataset
from headwater.domain.dataset import Dataset, NewDataset, check_name, may_begin_name
from headwater.domain.errors import DatasetUnknownError
from headwater.domain.ids import check_id
from headwater.domain.permissions import Permission
from headwater.domain.users import Principal
from headwater.service.context import ServiceContext


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A dataset with the ids of its datasources."""

    dataset: Dataset
    datasource_ids: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFilter:
    """Which of the datasets that a query finds are returned.

    Attributes:
        other_users: return datasets that other users share. There are none: sharing does not exist.
        limit: the maximum number of datasets, applied last; None for all.
        offset: how many datasets to skip, applied after `newest`.
        newest: keep only this many of the datasets that were created last; None for all.
    """

    other_users: bool = False
    limit: int | None = None
    offset: int = 0
    newest: int | None = None


def dataset_unknown(dataset_id: str) -> DatasetUnknownError:
    """Return the error for a dataset that does not exist, or no longer exists."""
    return DatasetUnknownError(f"there is no dataset with the id {dataset_id}")


async def create_dataset(ctx: ServiceContext, principal: Principal, new: NewDataset) -> Dataset:
    """Create a dataset that the principal owns.

    Raises:
        MalformedRequestError: the name does not have the documented form.
        NameTakenError: the principal has a dataset with this name.
        DatasetUnknownError: the parent does not exist.
        ForbiddenError: the parent belongs to another user.
    """
    check_name(new.name)
    if new.parent_id is not None:
        check_id("parentDatasetId", new.parent_id)
        await open_dataset(ctx.catalog.datasets, principal, new.parent_id, Permission.READ)
    return await ctx.catalog.datasets.add(principal.user, new)


async def summarize_dataset(ctx: ServiceContext, dataset: DatasetContext) -> DatasetSummary:
    """Return the dataset with the ids of its datasources."""
    ids = await ctx.catalog.datasources.ids([dataset.id])
    return DatasetSummary(dataset.dataset, ids[dataset.id])


async def list_datasets(
    ctx: ServiceContext, principal: Principal, dataset_filter: DatasetFilter
) -> list[DatasetSummary]:
    """Return the datasets that the principal owns, oldest first. For an admin too, only its own."""
    if dataset_filter.other_users:
        return []
    found = await ctx.catalog.datasets.list(
        principal.user, dataset_filter.limit, dataset_filter.offset, newest=dataset_filter.newest
    )
    return await _summaries(ctx, found)


async def find_datasets_by_name(
    ctx: ServiceContext, principal: Principal, name: str, *, exact: bool, dataset_filter: DatasetFilter
) -> list[DatasetSummary]:
    """Return the datasets that the principal owns and that have a name, oldest first.

    Args:
        ctx: the service.
        principal: the owner.
        name: the name or a prefix of it; letter case matters. A text that no name can begin with finds nothing.
        exact: compare the whole name instead of a prefix.
        dataset_filter: which of them to return.
    """
    if dataset_filter.other_users or not may_begin_name(name):
        return []
    found = await ctx.catalog.datasets.list(
        principal.user,
        dataset_filter.limit,
        dataset_filter.offset,
        name=name if exact else None,
        prefix=None if exact else name,
        newest=dataset_filter.newest,
    )
    return await _summaries(ctx, found)


async def find_datasets_by_ids(
    ctx: ServiceContext, principal: Principal, ids: Sequence[str], dataset_filter: DatasetFilter
) -> list[DatasetSummary]:
    """Return those of the given datasets that exist and that the principal may use, each once, oldest first.

    Raises:
        MalformedRequestError: an id does not have the form of an id.
    """
    found = await ctx.catalog.datasets.list_by_ids([check_id("datasetIds", each) for each in ids])
    usable = [dataset for dataset in found if principal.may_use(dataset.owner) and not dataset_filter.other_users]
    if dataset_filter.newest is not None:
        usable = usable[max(0, len(usable) - dataset_filter.newest) :]
    usable = usable[dataset_filter.offset :]
    return await _summaries(ctx, usable if dataset_filter.limit is None else usable[: dataset_filter.limit])


async def list_child_datasets(ctx: ServiceContext, dataset: DatasetContext) -> list[DatasetSummary]:
    """Return the children of a dataset that its principal may use, oldest first."""
    found = await ctx.catalog.datasets.list_children(dataset.id)
    return await _summaries(ctx, [child for child in found if dataset.principal.may_use(child.owner)])


async def rename_dataset(ctx: ServiceContext, dataset: DatasetContext, name: str) -> None:
    """Rename a dataset.

    Raises:
        MalformedRequestError: the name does not have the documented form.
        NameTakenError: the owner has another dataset with this name.
        DatasetUnknownError: the dataset was deleted in the meantime.
    """
    if not await ctx.catalog.datasets.rename(dataset.id, check_name(name)):
        raise dataset_unknown(dataset.id)


async def register_upload(ctx: ServiceContext, dataset: DatasetContext) -> None:
    """Set the modification time of a dataset that a client uploads to. Nothing else is stored.

    Raises:
        DatasetUnknownError: the dataset was deleted in the meantime.
    """
    if not await ctx.catalog.datasets.touch(dataset.id):
        raise dataset_unknown(dataset.id)


async def delete_dataset(ctx: ServiceContext, dataset: DatasetContext) -> None:
    """Delete a dataset with its datasources, their secrets and its watermark. Files in its storage stay."""
    await ctx.catalog.datasets.delete(dataset.id)


async def _summaries(ctx: ServiceContext, datasets: Sequence[Dataset]) -> list[DatasetSummary]:
    ids = await ctx.catalog.datasources.ids([dataset.id for dataset in datasets])
    return [DatasetSummary(dataset, ids[dataset.id]) for dataset in datasets]
