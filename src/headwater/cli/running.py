"""Open the service for one command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from headwater.cli.output import note

if TYPE_CHECKING:
    from headwater.service.context import ServiceContext

DatasetRef = Annotated[str, typer.Argument(metavar="DATASET", help="The id or name of a dataset.")]

Result = TypeVar("Result")


def run(work: Callable[[ServiceContext], Awaitable[Result]], *, contacts_store: bool = False) -> Result:
    """Return the result of `work`, called with the service that the settings in the environment describe.

    Args:
        work: the work.
        contacts_store: whether it may contact a store.
    """
    import asyncio

    from headwater.net.proxies import warn_about_proxies
    from headwater.observability.logs import log_to_stderr
    from headwater.service.context import open_context
    from headwater.settings import Settings

    settings = Settings.load()

    async def inside() -> Result:
        async with open_context(settings) as ctx:
            return await work(ctx)

    log_to_stderr()
    if contacts_store:
        warn_about_proxies()
    if settings.database_url is None and not settings.folder.exists():
        note(f"setting up a new data folder: {settings.folder}")
    return asyncio.run(inside())
