"""Remember until when a dataset's files were processed (contract, section 6)."""

from __future__ import annotations

from headwater.domain.errors import DatasourceUnknown
from headwater.domain.users import Principal
from headwater.domain.window import check_seconds
from headwater.service.datasets import open_dataset
from headwater.service.headwater import Headwater


async def get_watermark(hw: Headwater, who: Principal, dataset_id: str) -> int:
    """Answer the watermark in whole Unix seconds; 0 until it is set. Raises as `open_dataset`."""
    return (await open_dataset(hw, who, dataset_id)).dataset.watermark


async def set_watermark(hw: Headwater, who: Principal, dataset_id: str, seconds: object) -> None:
    """Set the watermark, also to an earlier time; durable when this returns.

    Raises:
        MalformedRequest: not whole seconds between 0 and the year 9999.
        DatasourceUnknown: nothing is configured from which files could have been processed.
    """
    await open_dataset(hw, who, dataset_id)
    if not await hw.catalog.set_watermark(dataset_id, check_seconds("processedUntilTimestamp", seconds)):
        raise DatasourceUnknown("this dataset has no datasource to process; configure one first")
