"""Make, find, rename and delete datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from headwater.domain.dataset import Dataset, NewDataset, check_name
from headwater.domain.datasource import Datasource
from headwater.domain.errors import DatasetUnknown, Forbidden
from headwater.domain.ids import check_id
from headwater.domain.users import Principal
from headwater.service.headwater import Headwater


class Opened(NamedTuple):
    """A dataset that the asking user may use, and its datasources."""

    dataset: Dataset
    datasources: Sequence[Datasource]


class Described(NamedTuple):
    """A dataset and the ids of its datasources."""

    dataset: Dataset
    datasource_ids: Sequence[str]


async def open_dataset(hw: Headwater, who: Principal, dataset_id: str) -> Opened:
    """Find a dataset that `who` may use; every operation on a dataset begins here.

    Raises:
        MalformedRequest: not the form of an id.
        DatasetUnknown: there is none of this id.
        Forbidden: it belongs to somebody else.
    """
    found = await hw.catalog.dataset_with_datasources(check_id("datasetId", dataset_id))
    if found is None:
        raise DatasetUnknown(f"there is no dataset with the id {dataset_id}")
    opened = Opened(*found)
    if not who.may_use(opened.dataset.owner):
        raise Forbidden(f"the dataset {dataset_id} belongs to another user")
    return opened


async def create(hw: Headwater, who: Principal, new: NewDataset) -> Dataset:
    """Make a dataset of the asking user's.

    Raises:
        MalformedRequest: the name has not the contract's form.
        NameTaken: the user has one of this name.
        DatasetUnknown, Forbidden: the parent is not there, or not the user's.
    """
    check_name(new.name)
    if new.parent_id is not None:
        check_id("parentDatasetId", new.parent_id)
        await open_dataset(hw, who, new.parent_id)
    return await hw.catalog.add_dataset(who.user, new)


async def describe(hw: Headwater, who: Principal, dataset_id: str) -> Described:
    """Find one dataset. Raises as `open_dataset`."""
    dataset, datasources = await open_dataset(hw, who, dataset_id)
    return Described(dataset, [datasource.id for datasource in datasources])


async def describe_all(hw: Headwater, owner: str | None, limit: int | None = None, offset: int = 0) -> list[Described]:
    """Find the datasets of one owner, the oldest first; `owner` None means everybody's.

    Args:
        hw: the service.
        owner: whose.
        limit: the most to answer, None for all.
        offset: how many to pass over.
    """
    datasets = await hw.catalog.datasets(owner, limit, offset)
    ids = await hw.catalog.datasource_ids([dataset.id for dataset in datasets])
    return [Described(dataset, ids.get(dataset.id, [])) for dataset in datasets]


async def rename(hw: Headwater, who: Principal, dataset_id: str, name: str) -> None:
    """Give a dataset another name. Raises as `open_dataset` and `create`."""
    await open_dataset(hw, who, dataset_id)
    if not await hw.catalog.rename_dataset(dataset_id, check_name(name)):
        raise DatasetUnknown(f"there is no dataset with the id {dataset_id}")


async def delete(hw: Headwater, who: Principal, dataset_id: str) -> None:
    """Delete a dataset with its datasources, their secrets and its watermark. Raises as `open_dataset`.

    Nothing in the bucket is touched.
    """
    await open_dataset(hw, who, dataset_id)
    await hw.catalog.delete_dataset(dataset_id)
