"""What is read when metrics are asked for: readiness, the progress of datasets, and what is in use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from headwater.catalog.database import limit_waits
from headwater.domain.errors import HeadwaterError
from headwater.net.threads import thread_usage
from headwater.observability.metrics import DatasetProgress, Snapshot
from headwater.observability.work import Usage
from headwater.service.context import ServiceContext

CATALOG_SECONDS = 2.0
"""How long the answer waits for the catalog. Prometheus gives a scrape 10 seconds by default."""

_FromCatalog = tuple[bool, list[DatasetProgress], bool]


class Scraper:
    """Reads snapshots of a service.

    A catalog that hangs delays a snapshot by `CATALOG_SECONDS`, and is not asked again until it has answered.

    Args:
        ctx: the service.
        usage: returns the use of what the service does not know: connections, transfers.
    """

    def __init__(self, ctx: ServiceContext, usage: Callable[[], Iterable[Usage]]) -> None:
        self._ctx = ctx
        self._usage = usage
        self._reading: asyncio.Task[_FromCatalog] | None = None

    async def snapshot(self) -> Snapshot:
        """Return how things are now. If the catalog does not answer, the server is not ready and has no datasets."""
        if self._reading is None or self._reading.done():
            self._reading = self._ctx.background.start("read metrics", self._read())
        done, _ = await asyncio.wait((self._reading,), timeout=CATALOG_SECONDS)
        ready, datasets, left_out = (False, [], False) if not done else self._reading.result()
        usage = [self._ctx.limiter.usage(), *self._usage()]
        usage += [each._replace(limit=_label(each.limit)) for each in thread_usage()]
        return Snapshot(self._ctx.now(), ready, datasets, left_out, usage)

    async def _read(self) -> _FromCatalog:
        most = self._ctx.settings.metrics_max_datasets
        with limit_waits(CATALOG_SECONDS):
            try:
                await self._ctx.catalog.ping()
                found = await self._ctx.catalog.datasets.progress(most + 1) if most else []
            except HeadwaterError:
                return False, [], False
        progress = [
            DatasetProgress(each.id, each.watermark or None, None if each.ended_at is None else each.ended_at / 1000)
            for each in found[:most]
        ]
        return True, progress, len(found) > most


def _label(threads: str) -> str:
    """Return the label for threads by their name."""
    return f"threads_{threads.removeprefix('headwater-').replace('-', '_')}"
