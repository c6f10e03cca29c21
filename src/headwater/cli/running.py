"""Open the service for the length of one command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from headwater.cli.output import note

if TYPE_CHECKING:
    from headwater.service.context import ServiceContext

DatasetRef = Annotated[str, typer.Argument(metavar="DATASET", help="A dataset's id, or its name.")]

Result = TypeVar("Result")


def run(work: Callable[[ServiceContext], Awaitable[Result]]) -> Result:
    """Do some work on the service as the environment's settings describe it."""
    import asyncio

    from headwater.observability.logs import log_to_stderr
    from headwater.service.context import open_context
    from headwater.settings import Settings

    settings = Settings.load()

    async def inside() -> Result:
        async with open_context(settings) as ctx:
            return await work(ctx)

    log_to_stderr()
    if settings.database_url is None and not settings.folder.exists():
        note(f"setting up a new data folder: {settings.folder}")
    return asyncio.run(inside())
