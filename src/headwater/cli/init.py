"""`headwater init`: make or upgrade the catalog without starting a server."""

from __future__ import annotations

from headwater.cli.output import note
from headwater.cli.running import run


def init() -> None:
    """Create or upgrade the catalog.

    Makes the data folder, the key and the catalog of a new installation, or upgrades the catalog of an earlier version.
    The server does so, too, when it starts. Stop all servers of an earlier version first. Running it again changes
    nothing.
    """
    from headwater.service.context import ServiceContext, Setup

    async def work(ctx: ServiceContext) -> str:
        return ctx.catalog.name

    note(f"the catalog is ready: {run(work, Setup.UPGRADE)}")
