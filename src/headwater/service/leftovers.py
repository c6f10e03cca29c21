"""Delete the temporary files of uploads that were killed, in the folders whose files this server writes itself."""

from __future__ import annotations

import asyncio
import time

import structlog

from headwater.domain.errors import StoreUnavailableError
from headwater.service.context import ServiceContext
from headwater.stores.local.files import LocalFiles
from headwater.stores.local.root import Parts
from headwater.stores.local.runtime import LocalFileRoot

SWEEP_SECONDS = 24 * 3600.0
"""The pause between two rounds. The first one begins when the server starts."""

MIN_AGE_SECONDS = 24 * 3600.0
"""Age of a file after which no upload can still write to it: one that sends nothing for 30 seconds is abandoned. A day
allows for clocks of file servers that are wrong."""

REST = 9.0
"""How much longer a round rests than it works, so that it takes at most a tenth of a disk's time."""

MIN_REST_SECONDS = 0.001

MAX_FOLDERS = 100_000
"""Folders that wait to be looked at. If there are more, some are left out of the round."""

MAX_FAILURES = 3
"""Folders that may fail to answer until a round ends: each may keep a thread."""

log = structlog.get_logger(__name__)


async def sweep_leftovers(ctx: ServiceContext) -> None:
    """Delete what killed uploads left behind, in round after round, until cancelled."""
    while True:
        for root in ctx.stores.local_file_roots:
            removed = await remove_leftovers(root, time.time() - MIN_AGE_SECONDS)
            if removed:
                log.info("temporary_files_removed", files=removed)
        await asyncio.sleep(SWEEP_SECONDS)


async def remove_leftovers(root: LocalFileRoot, before: float) -> int:
    """Look at all folders under a root, slowly; return how many files were deleted.

    Args:
        root: the root.
        before: only files that were last written before this time, in Unix seconds, are deleted.
    """
    files = LocalFiles(root)
    waiting: list[Parts] = [()]
    removed = failures = 0
    while waiting and failures < MAX_FAILURES:
        began = time.monotonic()
        try:
            found = await files.remove_leftovers(waiting.pop(), before)
        except StoreUnavailableError:
            failures += 1
            continue
        removed += found.removed
        waiting += found.folders[: MAX_FOLDERS - len(waiting)]
        await asyncio.sleep(max(MIN_REST_SECONDS, REST * (time.monotonic() - began)))
    return removed
