"""Open the service for the length of one command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from headwater.domain.users import Principal

if TYPE_CHECKING:
    from headwater.domain.dataset import Dataset
    from headwater.service.headwater import Headwater

OPERATOR = Principal("operator", admin=True)
"""Whoever may run commands on the catalog is its operator."""

DatasetRef = Annotated[str, typer.Argument(metavar="DATASET", help="A dataset's id, or its name.")]

Result = TypeVar("Result")


def run(work: Callable[[Headwater], Awaitable[Result]]) -> Result:
    """Do some work on the service as the environment's settings describe it."""
    import asyncio

    from headwater.logs import log_to_stderr
    from headwater.service.headwater import open_headwater
    from headwater.settings import Settings

    async def inside() -> Result:
        async with open_headwater(Settings.load()) as hw:
            return await work(hw)

    log_to_stderr()
    return asyncio.run(inside())


async def find_dataset(hw: Headwater, ref: str) -> Dataset:
    """Find a dataset by its id or by a name that only one dataset has.

    Raises:
        DatasetUnknown: there is none.
        MalformedRequest: several users have one of this name.
    """
    from headwater.domain.errors import DatasetUnknown, MalformedRequest
    from headwater.domain.ids import is_id

    if is_id(ref) and (dataset := await hw.catalog.dataset(ref)):
        return dataset
    match await hw.catalog.datasets_named(ref):
        case [dataset]:
            return dataset
        case []:
            raise DatasetUnknown(f"there is no dataset with the id or name {ref!r}; `headwater dataset list` shows all")
        case several:
            owners = ", ".join(f"{dataset.id} of {dataset.owner}" for dataset in several)
            raise MalformedRequest(f"several datasets are called {ref!r}; give an id: {owners}")
