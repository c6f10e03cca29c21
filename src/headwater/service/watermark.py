"""Set the watermark of a dataset (contract.md#watermark)."""

from __future__ import annotations

from headwater.auth.permissions import DatasetContext
from headwater.domain.errors import DatasourceUnknownError
from headwater.domain.window import check_seconds
from headwater.service.context import ServiceContext


async def set_watermark(ctx: ServiceContext, dataset: DatasetContext, seconds: object) -> None:
    """Set the watermark, to an earlier time too. It is durable when this returns.

    Args:
        ctx: the service.
        dataset: the dataset.
        seconds: Unix seconds, as decoded from JSON.

    Raises:
        MalformedRequestError: `seconds` is not a whole number between 0 and the end of year 9999.
        DatasourceUnknownError: no datasource is configured whose files could have been processed.
    """
    watermark = check_seconds("processedUntilTimestamp", seconds)
    if not await ctx.catalog.datasets.set_watermark(dataset.id, watermark, int(ctx.now())):
        raise DatasourceUnknownError("this dataset has no datasource to process; configure one first")
