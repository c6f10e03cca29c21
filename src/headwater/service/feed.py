"""How a dataset lists raw samples, and what operators can see and do about its feed (docs/exact-feed.md)."""

from __future__ import annotations

import asyncio

import structlog

from headwater.auth.permissions import DatasetContext
from headwater.catalog.feed.feeds import FeedSummary
from headwater.domain.audit import AuditAction
from headwater.domain.dataset import Dataset
from headwater.domain.errors import CatalogUnavailableError
from headwater.domain.feed import FeedMode
from headwater.service.audit import dataset_entry
from headwater.service.context import ServiceContext
from headwater.service.datasets import dataset_unknown

SWEEP_SECONDS = 300.0
"""How often a server looks for indexes that were dropped and deletes their rows."""

log = structlog.get_logger(__name__)


def feed_mode(ctx: ServiceContext, dataset: Dataset) -> FeedMode:
    """Return how a dataset lists raw samples: as it was told to, or as the setting of the server says."""
    return dataset.feed or ctx.settings.feed


async def set_feed(ctx: ServiceContext, dataset: DatasetContext, feed: FeedMode | None) -> FeedMode:
    """Choose how a dataset lists raw samples, and return the mode that holds.

    Its index is dropped if samples are then listed by date.

    Args:
        ctx: the service.
        dataset: the dataset.
        feed: the mode; None to follow the setting of the server.

    Raises:
        DatasetUnknownError: the dataset was deleted in the meantime.
    """
    effective = feed or ctx.settings.feed
    entry = dataset_entry(dataset, AuditAction.FEED_MODE, feed=feed or "server", effective=effective)
    if not await ctx.catalog.datasets.set_feed(dataset.id, feed, effective, entry):
        raise dataset_unknown(dataset.id)
    return effective


async def summarize_feed(ctx: ServiceContext, dataset: DatasetContext) -> FeedSummary | None:
    """Return what there is to know about the feed of a dataset; None if it has no index."""
    return await ctx.catalog.feed.summary(dataset.id)


async def reset_feed(ctx: ServiceContext, dataset: DatasetContext) -> bool:
    """Drop the index of a dataset; return whether it had one. The next listing begins a new one.

    The new index knows dates only: what arrived late and was not processed yet is not listed after the watermark.
    """
    return await ctx.catalog.feed.drop(dataset.id, dataset_entry(dataset, AuditAction.FEED_RESET))


async def sweep_feeds(ctx: ServiceContext) -> None:
    """Delete the rows of indexes that were dropped, again and again until cancelled."""
    while True:
        try:
            swept = await ctx.catalog.feed.sweep()
            if swept:
                log.info("feeds_swept", feeds=swept)
        except CatalogUnavailableError as error:
            log.warning("feeds_not_swept", reason=error.message)
        await asyncio.sleep(SWEEP_SECONDS)
