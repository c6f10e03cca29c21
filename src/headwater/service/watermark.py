"""Remember until when a dataset's files were processed (contract.md#watermark)."""

from __future__ import annotations

from headwater.auth.permissions import DatasetContext
from headwater.domain.errors import DatasourceUnknownError
from headwater.domain.window import check_seconds
from headwater.service.context import ServiceContext


async def set_watermark(ctx: ServiceContext, dataset: DatasetContext, seconds: object) -> None:
    """Set the watermark, also to an earlier time; durable when this returns.

    Raises:
        MalformedRequestError: not whole seconds between 0 and the year 9999.
        DatasourceUnknownError: nothing is configured from which files could have been processed.
    """
    if not await ctx.catalog.datasets.set_watermark(dataset.id, check_seconds("processedUntilTimestamp", seconds)):
        raise DatasourceUnknownError("this dataset has no datasource to process; configure one first")
