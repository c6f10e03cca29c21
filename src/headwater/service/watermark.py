"""Set the watermark of a dataset (contract.md#watermark)."""

from __future__ import annotations

from dataclasses import replace

from headwater.auth.permissions import DatasetContext
from headwater.domain.audit import AuditAction, AuditEntry
from headwater.domain.errors import DatasourceUnknownError
from headwater.domain.window import check_seconds
from headwater.service.audit import dataset_entry
from headwater.service.context import ServiceContext

_AHEAD_SECONDS = 3600
"""How far a watermark may be in the future without being recorded in the audit log."""


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
    now = int(ctx.now())
    changed = dataset_entry(dataset, AuditAction.WATERMARK_BACK, watermark=watermark)

    def entry(before: int) -> AuditEntry | None:
        # Each poll sets it forward. Only what makes clients process files again, or miss them, is recorded.
        if watermark < before:
            return replace(changed, details={"before": before, **changed.details})
        return replace(changed, action=AuditAction.WATERMARK_AHEAD) if watermark > now + _AHEAD_SECONDS else None

    if not await ctx.catalog.datasets.set_watermark(dataset.id, watermark, now, entry):
        raise DatasourceUnknownError("this dataset has no datasource to process; configure one first")
