"""Configure where a dataset's files lie. Form is checked, no store is contacted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headwater.domain.datasource import Datasource, Purpose, parse_config
from headwater.domain.errors import DatasourceUnknown
from headwater.domain.purposes import answered, in_order, input_of, lightly_of, reconfigure
from headwater.service.datasets import Opened, unknown
from headwater.service.headwater import Headwater

NONE_YET = "this dataset has no datasource yet; configure one first"
"""What is said wherever a datasource is needed and there is none at all."""


async def get_datasource(hw: Headwater, dataset: Opened, purpose: Purpose | None = None) -> Datasource:
    """Answer the datasource of a dataset, of one purpose or of the first that there is.

    Raises:
        DatasourceUnknown: none is configured.
    """
    found = answered(await hw.catalog.datasources(dataset.id), purpose)
    if found is None:
        raise DatasourceUnknown(
            NONE_YET if purpose is None else f"this dataset has no datasource with the purpose {purpose}"
        )
    return found


async def get_datasources(hw: Headwater, dataset: Opened) -> list[Datasource]:
    """Answer all datasources of a dataset, the one first that `get_datasource` answers; none is an answer too."""
    return in_order(await hw.catalog.datasources(dataset.id))


async def input_datasource(hw: Headwater, dataset: Opened) -> Datasource:
    """The datasource from which raw samples come.

    Raises:
        DatasourceUnknown: there is none; the text says what to configure.
    """
    return await _side(
        hw,
        dataset,
        input_of,
        "this dataset has a datasource of the purpose LIGHTLY alone, and files are listed from one of the purpose "
        "INPUT; configure that too",
    )


async def lightly_datasource(hw: Headwater, dataset: Opened) -> Datasource:
    """The datasource where everything below `.lightly/` is read and written.

    Raises:
        DatasourceUnknown: there is none; the text says what to configure.
    """
    return await _side(
        hw,
        dataset,
        lightly_of,
        "this dataset has a datasource of the purpose INPUT alone, and what lies below .lightly/ is in one of the "
        "purpose LIGHTLY; configure that too, or one of the purpose INPUT_OUTPUT, which is both",
    )


async def _side(
    hw: Headwater, dataset: Opened, choose: Callable[[Sequence[Datasource]], Datasource | None], other_alone: str
) -> Datasource:
    """The datasource that serves one side; `other_alone` is said where there is one for the other side alone."""
    stored = await hw.catalog.datasources(dataset.id)
    found = choose(stored)
    if found is None:
        raise DatasourceUnknown(other_alone if stored else NONE_YET)
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
