"""Set the watermark of a dataset (contract.md#watermark)."""

from __future__ import annotations

from headwater.auth.permissions import DatasetContext
from headwater.domain.audit import AuditAction
from headwater.domain.errors import DatasourceUnknownError
from headwater.domain.window import check_seconds
from headwater.service.audit import dataset_entry
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
    before, entry = dataset.dataset.watermark, None
    if watermark < before:  # each poll sets it forward; only what makes clients process files again is recorded
        entry = dataset_entry(dataset, AuditAction.WATERMARK_BACK, before=before, watermark=watermark)
    if not await ctx.catalog.datasets.set_watermark(dataset.id, watermark, int(ctx.now()), entry):
        raise DatasourceUnknownError("this dataset has no datasource to process; configure one first")
