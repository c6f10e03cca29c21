"""Configure where a dataset's files lie. Form is checked, no store is contacted."""

from __future__ import annotations

from headwater.domain.datasource import Datasource, Purpose, parse_config
from headwater.domain.errors import DatasourceUnknown
from headwater.domain.purposes import answered, reconfigure
from headwater.service.datasets import Opened, unknown
from headwater.service.headwater import Headwater


async def get_datasource(hw: Headwater, dataset: Opened, purpose: Purpose | None = None) -> Datasource:
    """Answer the datasource of a dataset, of one purpose or of the first that there is.

    Raises:
        DatasourceUnknown: none is configured.
    """
    found = answered(await hw.catalog.datasources(dataset.id), purpose)
    if found is None:
        raise DatasourceUnknown(
            "this dataset has no datasource yet; configure one first"
            if purpose is None
            else f"this dataset has no datasource with the purpose {purpose}"
        )
    return found


async def put_datasource(hw: Headwater, dataset: Opened, raw: object) -> Datasource:
    """Configure a datasource and answer it; durable when this returns. What fails changes nothing.

    The watermark starts again at 0 where the input moves to other data (contract, section 6).

    Args:
        hw: the service.
        dataset: the dataset.
        raw: the config as a decoded JSON body.

    Raises:
        MalformedRequest: the config has not the documented form, or a mask stands where a secret is needed.
    """
    config = parse_config(raw)
    after = await hw.catalog.change_datasources(dataset.id, lambda stored: reconfigure(dataset.id, stored, config))
    if after is None:
        raise unknown(dataset.id)
    return after.datasources[0]
