"""Configure where a dataset's files lie. Form is checked, no store is contacted."""

from __future__ import annotations

from headwater.domain.datasource import Datasource, Purpose, parse_config
from headwater.domain.errors import DatasetUnknown, DatasourceUnknown
from headwater.domain.purposes import answered, reconfigure
from headwater.domain.users import Principal
from headwater.service.datasets import open_dataset
from headwater.service.headwater import Headwater


async def get_datasource(hw: Headwater, who: Principal, dataset_id: str, purpose: Purpose | None = None) -> Datasource:
    """Answer the datasource of a dataset, of one purpose or of the first that there is.

    Raises:
        DatasourceUnknown: none is configured. Others as `open_dataset`.
    """
    opened = await open_dataset(hw, who, dataset_id)
    found = answered(opened.datasources, purpose)
    if found is None:
        raise DatasourceUnknown(
            "this dataset has no datasource yet; configure one first"
            if purpose is None
            else f"this dataset has no datasource with the purpose {purpose}"
        )
    return found


async def put_datasource(hw: Headwater, who: Principal, dataset_id: str, raw: object) -> Datasource:
    """Configure a datasource and answer it; durable when this returns. What fails changes nothing.

    The watermark starts again at 0 where the input moves to other data (contract, section 6).

    Args:
        hw: the service.
        who: the asking user.
        dataset_id: the dataset.
        raw: the config as a decoded JSON body.

    Raises:
        MalformedRequest: the config has not the documented form, or a mask stands where a secret is needed.
    """
    await open_dataset(hw, who, dataset_id)
    config = parse_config(raw)
    after = await hw.catalog.change_datasources(dataset_id, lambda stored: reconfigure(dataset_id, stored, config))
    if after is None:
        raise DatasetUnknown(f"there is no dataset with the id {dataset_id}")
    return after.datasources[0]
