"""Make, find, rename and delete datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, NewType

from headwater.domain.dataset import Dataset, NewDataset, check_name, may_begin_name
from headwater.domain.errors import DatasetUnknown, Forbidden, MalformedRequest
from headwater.domain.ids import check_id, is_id
from headwater.domain.text import is_unicode
from headwater.domain.users import Principal
from headwater.service.headwater import Headwater


class Described(NamedTuple):
    """A dataset and the ids of its datasources."""

    dataset: Dataset
    datasource_ids: Sequence[str]


class Wanted(NamedTuple):
    """Which of the datasets that a query finds are asked for (contract, section 8).

    `others` asks for what other people have shared, or one's team has: nothing, until sharing exists. `newest` keeps
    so many of those made last; of them `offset` are passed over, and at most `limit` answered. None stands for all.
    """

    others: bool = False
    limit: int | None = None
    offset: int = 0
    newest: int | None = None


Opened = NewType("Opened", Dataset)
"""A dataset that whoever asks may use. Only `open_dataset` and, for the operator, `find_dataset` make one."""


async def open_dataset(hw: Headwater, who: Principal, dataset_id: str) -> Opened:
    """Find a dataset that `who` may use. Every operation on a dataset begins here, and takes what this answers.

    Raises:
        MalformedRequest: not the form of an id.
        DatasetUnknown: there is none of this id.
        Forbidden: it belongs to somebody else.
    """
    dataset = await hw.catalog.dataset(check_id("datasetId", dataset_id))
    if dataset is None:
        raise unknown(dataset_id)
    if not who.may_use(dataset.owner):
        raise Forbidden(f"the dataset {dataset_id} belongs to another user")
    return Opened(dataset)


async def find_dataset(hw: Headwater, ref: str) -> Opened:
    """Find a dataset for the operator, who may use all, by its id or by a name that only one dataset has.

    Raises:
        DatasetUnknown: there is none.
        MalformedRequest: several users have one of this name.
    """
    if is_id(ref) and (dataset := await hw.catalog.dataset(ref)):
        return Opened(dataset)
    match await hw.catalog.datasets(None, name=ref) if is_unicode(ref) else []:
        case [dataset]:
            return Opened(dataset)
        case []:
            raise DatasetUnknown(f"there is no dataset with the id or name {ref!r}; `headwater dataset list` shows all")
        case several:
            owners = ", ".join(f"{dataset.id} of {dataset.owner}" for dataset in several)
            raise MalformedRequest(f"several datasets are called {ref!r}; give an id: {owners}")


def unknown(dataset_id: str) -> DatasetUnknown:
    """The error of a dataset that is not there, or not any more."""
    return DatasetUnknown(f"there is no dataset with the id {dataset_id}")


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


async def describe(hw: Headwater, dataset: Opened) -> Described:
    """Find what a dataset is answered with."""
    ids = await hw.catalog.datasource_ids([dataset.id])
    return Described(dataset, ids[dataset.id])


async def describe_all(hw: Headwater, who: Principal, wanted: Wanted) -> list[Described]:
    """Find the asking user's datasets, the oldest first. An operator's token asks for its user's too."""
    if wanted.others:
        return []
    found = await hw.catalog.datasets(who.user, wanted.limit, wanted.offset, newest=wanted.newest)
    return await _described(hw, found)


async def describe_named(hw: Headwater, who: Principal, name: str, *, exact: bool, wanted: Wanted) -> list[Described]:
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
    found = await hw.catalog.datasets(
        who.user,
        wanted.limit,
        wanted.offset,
        name=name if exact else None,
        prefix=None if exact else name,
        newest=wanted.newest,
    )
    return await _described(hw, found)


async def describe_ids(hw: Headwater, who: Principal, ids: Sequence[str], wanted: Wanted) -> list[Described]:
    """Find those of these datasets that there are and that `who` may use, each once, the oldest first.

    Raises:
        MalformedRequest: one has not the form of an id.
    """
    found = await hw.catalog.datasets_of_ids([check_id("datasetIds", each) for each in ids])
    usable = [dataset for dataset in found if who.may_use(dataset.owner) and not wanted.others]
    if wanted.newest is not None:
        usable = usable[max(0, len(usable) - wanted.newest) :]
    usable = usable[wanted.offset :]
    return await _described(hw, usable if wanted.limit is None else usable[: wanted.limit])


async def describe_children(hw: Headwater, who: Principal, dataset: Opened) -> list[Described]:
    """Find the datasets made as children of this one that `who` may use, the oldest first."""
    found = await hw.catalog.children(dataset.id)
    return await _described(hw, [child for child in found if who.may_use(child.owner)])


async def _described(hw: Headwater, datasets: Sequence[Dataset]) -> list[Described]:
    ids = await hw.catalog.datasource_ids([dataset.id for dataset in datasets])
    return [Described(dataset, ids[dataset.id]) for dataset in datasets]


async def rename(hw: Headwater, dataset: Opened, name: str) -> None:
    """Give a dataset another name.

    Raises:
        MalformedRequest: the name has not the contract's form.
        NameTaken: its owner has another one of this name.
    """
    if not await hw.catalog.rename_dataset(dataset.id, check_name(name)):
        raise unknown(dataset.id)


async def note_upload(hw: Headwater, dataset: Opened) -> None:
    """Take note that a client uploads to a dataset: it counts as modified now. Nothing else of it is kept."""
    if not await hw.catalog.touch_dataset(dataset.id):
        raise unknown(dataset.id)


async def delete(hw: Headwater, dataset: Opened) -> None:
    """Delete a dataset with its datasources, their secrets and its watermark. Nothing in the bucket is touched."""
    await hw.catalog.delete_dataset(dataset.id)
