"""A dataset on a folder of files, listed through the service with a clock that tests set."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headwater.auth.permissions import DatasetContext
from headwater.catalog.feed.feeds import FeedSummary
from headwater.domain.dataset import NewDataset
from headwater.domain.feed import FeedMode
from headwater.service.admin import create_dataset, find_dataset
from headwater.service.configure import put_datasource
from headwater.service.context import ServiceContext, open_context
from headwater.service.feed import set_feed, summarize_feed
from headwater.service.listing.pages import ListingRequest, SamplesPage, list_samples, split_listing
from headwater.service.watermark import set_watermark
from headwater.settings import Settings

NOW = 1_700_000_000
RELEVANT = ".lightly/relevant.txt"


@dataclass
class Served:
    """A dataset on a folder. `now` is the server's time."""

    ctx: ServiceContext
    dataset_id: str
    folder: Path
    now: int = NOW

    def put(self, name: str, modified: int = NOW - 1000, data: bytes = b"x") -> None:
        """Write a file that has this time."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (modified, modified))

    async def dataset(self) -> DatasetContext:
        """Return the dataset as the catalog has it now."""
        return await find_dataset(self.ctx, self.dataset_id)

    async def page(self, **request: Any) -> SamplesPage:
        """Return one page."""
        return await list_samples(self.ctx, await self.dataset(), ListingRequest(**request))

    async def rest(self, cursor: str, folder: str = "") -> list[str]:
        """Return the names on all pages after a cursor."""
        names: list[str] = []
        while True:
            page = await self.page(cursor=cursor, folder=folder)
            names += [each.file_name for each in page.samples]
            if not page.has_more:
                return names
            cursor = page.cursor

    async def names(self, **request: Any) -> list[str]:
        """Return the names on all pages of a listing."""
        page = await self.page(**request)
        names = [each.file_name for each in page.samples]
        return names + (await self.rest(page.cursor, request.get("folder", "")) if page.has_more else [])

    async def rest_but_last(self) -> str:
        """Begin a listing of everything; return the cursor of its last page, which holds the samples after eight."""
        first = await self.page()
        return (await self.page(cursor=first.cursor)).cursor

    async def poll(self) -> list[str]:
        """List everything new as the published client does, and set the watermark to the end of the window."""
        dataset, end = await self.dataset(), self.now
        names = await self.names(start=dataset.dataset.watermark + 1, end=end)
        await set_watermark(self.ctx, dataset, end)
        return names

    async def shards(self, count: int) -> list[str]:
        """Split a listing of everything; return the cursors."""
        return (await split_listing(self.ctx, await self.dataset(), ListingRequest(), count)).cursors

    async def choose(self, feed: FeedMode) -> None:
        """Choose how the dataset lists raw samples."""
        await set_feed(self.ctx, await self.dataset(), feed)

    async def summary(self) -> FeedSummary | None:
        """Return what there is to know about the feed."""
        return await summarize_feed(self.ctx, await self.dataset())

    async def summary_of_index(self) -> FeedSummary:
        """Return what there is to know about the feed, which must exist."""
        summary = await self.summary()
        assert summary is not None
        return summary

    async def count(self) -> int:
        """Return how many samples the dataset has."""
        return (await self.dataset()).dataset.n_samples


@asynccontextmanager
async def serving(folder: Path, **settings: str) -> AsyncIterator[Served]:
    """Serve a dataset on an empty folder, in pages of four files."""
    files = folder / "files"
    files.mkdir()
    given = {"data_dir": str(folder / "data"), "local_root": str(files), "page_size": "4", **settings}
    loaded = Settings.load({f"HEADWATER_{name.upper()}": value for name, value in given.items()})
    async with open_context(loaded) as opened:
        dataset = await create_dataset(opened, "ada", NewDataset(name="served"))
        served = Served(opened, dataset.id, files)
        served.ctx = replace(opened, now=lambda: served.now + 0.7)
        await put_datasource(served.ctx, await served.dataset(), {"type": "LOCAL", "fullPath": ""})
        yield served
