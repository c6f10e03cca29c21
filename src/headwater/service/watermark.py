"""Remember until when a dataset's files were processed (contract, section 6)."""

from __future__ import annotations

from headwater.domain.errors import DatasourceUnknown
from headwater.domain.window import check_seconds
from headwater.service.datasets import Opened
from headwater.service.headwater import Headwater


async def set_watermark(hw: Headwater, dataset: Opened, seconds: object) -> None:
    """Set the watermark, also to an earlier time; durable when this returns.

    Raises:
        MalformedRequest: not whole seconds between 0 and the year 9999.
        DatasourceUnknown: nothing is configured from which files could have been processed.
    """
    if not await hw.catalog.set_watermark(dataset.id, check_seconds("processedUntilTimestamp", seconds)):
        raise DatasourceUnknown("this dataset has no datasource to process; configure one first")
