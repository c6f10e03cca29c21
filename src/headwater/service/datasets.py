"""Create, find, rename and delete datasets (contract.md#datasets)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headwater.auth.permissions import DatasetContext, open_dataset
from headwater.domain.audit import AuditAction
from headwater.domain.dataset import Dataset, NewDataset, check_name, may_begin_name
from headwater.domain.errors import DatasetUnknownError, NameTakenError
from headwater.domain.ids import check_id
from headwater.domain.permissions import Permission
from headwater.domain.sharing import Visibility
from headwater.domain.users import Principal
from headwater.service.audit import audit_entry, dataset_entry
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
        own: return the datasets that the principal owns.
        shared: return datasets of other users that are shared with the principal, or with a group of it.
        team: return datasets of other users that are shared with a group of the principal.
        limit: the maximum number of datasets, applied last; None for all.
        offset: how many datasets to skip, applied after `newest`.
        newest: keep only this many of the datasets that were created last; None for all.
    """

    own: bool = True
    shared: bool = False
    team: bool = False
    limit: int | None = None
    offset: int = 0
    newest: int | None = None

    @property
    def asks_for_others(self) -> bool:
        """Whether the filter says anything about datasets of other users."""
        return self.shared or self.team


def visibility_of(principal: Principal, dataset_filter: DatasetFilter) -> Visibility:
    """Return which datasets a principal finds with a filter."""
    return Visibility(
        user=principal.user,
        groups=principal.groups,
        own=dataset_filter.own,
        direct=dataset_filter.shared,
        by_group=dataset_filter.asks_for_others,
        all_others=principal.is_admin and dataset_filter.asks_for_others,
        dataset_id=principal.dataset_id,
    )


def dataset_unknown(dataset_id: str) -> DatasetUnknownError:
    """Return the error for a dataset that does not exist, or no longer exists."""
    return DatasetUnknownError(f"there is no dataset with the id {dataset_id}")


async def create_dataset(ctx: ServiceContext, principal: Principal, new: NewDataset) -> Dataset:
    """Create a dataset that the principal owns.

    Raises:
        MalformedRequestError: the name does not have the documented form.
        NameTakenError: the principal has a dataset with this name.
        DatasetUnknownError: the parent does not exist.
        ForbiddenError: the token is too limited, or the parent belongs to another user.
    """
    principal.check_unlimited("create datasets")
    check_name(new.name)
    if new.parent_id is not None:
        check_id("parentDatasetId", new.parent_id)
        await open_dataset(ctx.catalog.datasets, principal, new.parent_id, Permission.READ)
    entry = audit_entry(principal, AuditAction.DATASET_CREATE, name=new.name)
    return await ctx.catalog.datasets.add(principal.user, new, lambda made: replace(entry, dataset_id=made.id))


async def summarize_dataset(ctx: ServiceContext, dataset: DatasetContext) -> DatasetSummary:
    """Return the dataset with the ids of its datasources."""
    ids = await ctx.catalog.datasources.ids([dataset.id])
    return DatasetSummary(dataset.dataset, ids[dataset.id])


async def list_datasets(
    ctx: ServiceContext, principal: Principal, dataset_filter: DatasetFilter
) -> list[DatasetSummary]:
    """Return the datasets that the filter selects, oldest first. To an admin, all datasets count as shared."""
    found = await ctx.catalog.datasets.list(
        visibility_of(principal, dataset_filter),
        dataset_filter.limit,
        dataset_filter.offset,
        newest=dataset_filter.newest,
    )
    return await _summaries(ctx, found)


async def find_datasets_by_name(
    ctx: ServiceContext, principal: Principal, name: str, *, exact: bool, dataset_filter: DatasetFilter
) -> list[DatasetSummary]:
    """Return the datasets that the filter selects and that have a name, oldest first.

    Args:
        ctx: the service.
        principal: who asks.
        name: the name or a prefix of it; letter case matters. A text that no name can begin with finds nothing.
        exact: compare the whole name instead of a prefix.
        dataset_filter: which of them to return.
    """
    if not may_begin_name(name):
        return []
    found = await ctx.catalog.datasets.list(
        visibility_of(principal, dataset_filter),
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
    anybodys = dataset_filter if dataset_filter.asks_for_others else DatasetFilter(shared=True)
    visibility = visibility_of(principal, anybodys)
    usable = await ctx.catalog.datasets.list_by_ids(visibility, [check_id("datasetIds", each) for each in ids])
    if dataset_filter.newest is not None:
        usable = usable[max(0, len(usable) - dataset_filter.newest) :]
    usable = usable[dataset_filter.offset :]
    return await _summaries(ctx, usable if dataset_filter.limit is None else usable[: dataset_filter.limit])


async def list_child_datasets(ctx: ServiceContext, dataset: DatasetContext) -> list[DatasetSummary]:
    """Return the children of a dataset that its principal may use, oldest first."""
    visibility = visibility_of(dataset.principal, DatasetFilter(shared=True))
    return await _summaries(ctx, await ctx.catalog.datasets.list_children(visibility, dataset.id))


async def rename_dataset(ctx: ServiceContext, dataset: DatasetContext, name: str) -> None:
    """Rename a dataset.

    Raises:
        MalformedRequestError: the name does not have the documented form.
        NameTakenError: the owner has another dataset with this name. The text does not say so to others.
        DatasetUnknownError: the dataset was deleted in the meantime.
    """
    before = dataset.dataset
    entry = dataset_entry(dataset, AuditAction.DATASET_RENAME, before=before.name, name=name)
    try:
        renamed = await ctx.catalog.datasets.rename(
            dataset.id, check_name(name), entry if name != before.name else None
        )
    except NameTakenError:
        if dataset.principal.is_admin or dataset.principal.user == before.owner:
            raise
        raise NameTakenError("name: this dataset cannot have this name; choose another") from None
    if not renamed:
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
    entry = dataset_entry(dataset, AuditAction.DATASET_DELETE, name=dataset.dataset.name, owner=dataset.dataset.owner)
    await ctx.catalog.datasets.delete(dataset.id, entry)


async def _summaries(ctx: ServiceContext, datasets: Sequence[Dataset]) -> list[DatasetSummary]:
    ids = await ctx.catalog.datasources.ids([dataset.id for dataset in datasets])
    return [DatasetSummary(dataset, ids[dataset.id]) for dataset in datasets]
