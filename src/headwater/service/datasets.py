"""Make, find, rename and delete datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from headwater.auth.permissions import DatasetContext, open_dataset
from headwater.domain.dataset import Dataset, NewDataset, check_name, may_begin_name
from headwater.domain.errors import DatasetUnknownError
from headwater.domain.ids import check_id
from headwater.domain.permissions import Permission
from headwater.domain.users import Principal
from headwater.service.context import ServiceContext


class DatasetSummary(NamedTuple):
    """A dataset and the ids of its datasources."""

    dataset: Dataset
    datasource_ids: Sequence[str]


class DatasetFilter(NamedTuple):
    """Which of the datasets that a query finds are asked for (contract.md#datasets).

    `others` asks for what other people have shared, or one's team has: nothing, until sharing exists. `newest` keeps
    so many of those made last; of them `offset` are passed over, and at most `limit` answered. None stands for all.
    """

    others: bool = False
    limit: int | None = None
    offset: int = 0
    newest: int | None = None


def unknown(dataset_id: str) -> DatasetUnknownError:
    """The error of a dataset that is not there, or not any more."""
    return DatasetUnknownError(f"there is no dataset with the id {dataset_id}")


async def create(ctx: ServiceContext, who: Principal, new: NewDataset) -> Dataset:
    """Make a dataset of the asking user's.

    Raises:
        MalformedRequestError: the name has not the contract's form.
        NameTakenError: the user has one of this name.
        DatasetUnknownError, Forbidden: the parent is not there, or not the user's.
    """
    check_name(new.name)
    if new.parent_id is not None:
        check_id("parentDatasetId", new.parent_id)
        await open_dataset(ctx.catalog.datasets, who, new.parent_id, Permission.READ)
    return await ctx.catalog.datasets.add(who.user, new)


async def describe(ctx: ServiceContext, dataset: DatasetContext) -> DatasetSummary:
    """Return the dataset with the ids of its datasources."""
    ids = await ctx.catalog.datasources.ids([dataset.id])
    return DatasetSummary(dataset.dataset, ids[dataset.id])


async def describe_all(ctx: ServiceContext, who: Principal, wanted: DatasetFilter) -> list[DatasetSummary]:
    """Find the asking user's datasets, the oldest first. An operator's token asks for its user's too."""
    if wanted.others:
        return []
    found = await ctx.catalog.datasets.list(who.user, wanted.limit, wanted.offset, newest=wanted.newest)
    return await _described(ctx, found)


async def describe_named(
    ctx: ServiceContext, who: Principal, name: str, *, exact: bool, wanted: DatasetFilter
) -> list[DatasetSummary]:
    """Find the asking user's datasets by name, the oldest first.

    Args:
        hw: the service.
        who: asks.
        name: what no name can be or begin with is no error, and finds nothing.
        exact: whether the whole name is meant, or how it begins. Letter case counts either way.
        wanted: which of them.
    """
    if wanted.others or not may_begin_name(name):
        return []
    found = await ctx.catalog.datasets.list(
        who.user,
        wanted.limit,
        wanted.offset,
        name=name if exact else None,
        prefix=None if exact else name,
        newest=wanted.newest,
    )
    return await _described(ctx, found)


async def describe_ids(
    ctx: ServiceContext, who: Principal, ids: Sequence[str], wanted: DatasetFilter
) -> list[DatasetSummary]:
    """Find those of these datasets that there are and that `who` may use, each once, the oldest first.

    Raises:
        MalformedRequestError: one has not the form of an id.
    """
    found = await ctx.catalog.datasets.list_by_ids([check_id("datasetIds", each) for each in ids])
    usable = [dataset for dataset in found if who.may_use(dataset.owner) and not wanted.others]
    if wanted.newest is not None:
        usable = usable[max(0, len(usable) - wanted.newest) :]
    usable = usable[wanted.offset :]
    return await _described(ctx, usable if wanted.limit is None else usable[: wanted.limit])


async def describe_children(ctx: ServiceContext, dataset: DatasetContext) -> list[DatasetSummary]:
    """Find the datasets made as children of this one that its principal may use, the oldest first."""
    found = await ctx.catalog.datasets.list_children(dataset.id)
    return await _described(ctx, [child for child in found if dataset.principal.may_use(child.owner)])


async def _described(ctx: ServiceContext, datasets: Sequence[Dataset]) -> list[DatasetSummary]:
    ids = await ctx.catalog.datasources.ids([dataset.id for dataset in datasets])
    return [DatasetSummary(dataset, ids[dataset.id]) for dataset in datasets]


async def rename(ctx: ServiceContext, dataset: DatasetContext, name: str) -> None:
    """Give a dataset another name.

    Raises:
        MalformedRequestError: the name has not the contract's form.
        NameTakenError: its owner has another one of this name.
    """
    if not await ctx.catalog.datasets.rename(dataset.id, check_name(name)):
        raise unknown(dataset.id)


async def note_upload(ctx: ServiceContext, dataset: DatasetContext) -> None:
    """Take note that a client uploads to a dataset: it counts as modified now. Nothing else of it is kept."""
    if not await ctx.catalog.datasets.touch(dataset.id):
        raise unknown(dataset.id)


async def delete(ctx: ServiceContext, dataset: DatasetContext) -> None:
    """Delete a dataset with its datasources, their secrets and its watermark. Nothing in the bucket is touched."""
    await ctx.catalog.datasets.delete(dataset.id)
