"""How the datasources of one dataset share its purposes (contract.md#datasource-config, contract.md#watermark)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from headwater.domain.datasource import Datasource, DatasourceConfig, Purpose
from headwater.domain.ids import new_id

_ANSWER_ORDER = (Purpose.INPUT_OUTPUT, Purpose.INPUT, Purpose.LIGHTLY)
_OTHER = {Purpose.INPUT: Purpose.LIGHTLY, Purpose.LIGHTLY: Purpose.INPUT}


class Reconfigured(NamedTuple):
    """What a PUT makes of a dataset's datasources.

    `datasources` are all that there are afterwards, the one that was put first. `input_moved` says whether raw
    samples now come from other data.
    """

    datasources: tuple[Datasource, ...]
    input_moved: bool


def answered(datasources: Sequence[Datasource], purpose: Purpose | None = None) -> Datasource | None:
    """The datasource that a GET answers.

    Args:
        datasources: those of one dataset, at most one for each purpose.
        purpose: exactly this one; None asks for INPUT_OUTPUT, else INPUT, else LIGHTLY.
    """
    held = {datasource.config.purpose: datasource for datasource in datasources}
    order = _ANSWER_ORDER if purpose is None else (purpose,)
    return next((held[wanted] for wanted in order if wanted in held), None)


def input_datasource(datasources: Sequence[Datasource]) -> Datasource | None:
    """The datasource from which raw samples come."""
    return answered(datasources, Purpose.INPUT_OUTPUT) or answered(datasources, Purpose.INPUT)


def lightly_datasource(datasources: Sequence[Datasource]) -> Datasource | None:
    """The datasource where everything below `.lightly/` is read and written."""
    return answered(datasources, Purpose.INPUT_OUTPUT) or answered(datasources, Purpose.LIGHTLY)


def in_order(datasources: Sequence[Datasource]) -> list[Datasource]:
    """All datasources of one dataset, the one that GET answers first."""
    return sorted(datasources, key=lambda datasource: _ANSWER_ORDER.index(datasource.config.purpose))


def reconfigure(dataset_id: str, stored: Sequence[Datasource], config: DatasourceConfig) -> Reconfigured:
    """Put a config in its purpose's place.

    INPUT_OUTPUT replaces whatever was there. INPUT or LIGHTLY replaces the one of its purpose, and leaves an
    INPUT_OUTPUT serving the other purpose. A masked secret is taken from the datasource that the config was
    most likely read from: the one of the same purpose, else the one that GET answers.

    The id stays while purpose and place stay the same, whatever the credentials and the spelling of the path. A
    datasource that moves gets a new one, and no move brings an old one back: what is bound to an id ends for good.

    Raises:
        MalformedRequestError: the config holds the mask and no stored secret may stand in for it.
    """
    purpose = config.purpose
    replaced = answered(stored, purpose)
    whole = answered(stored, Purpose.INPUT_OUTPUT)
    origin = replaced or answered(stored)
    config = config.with_secret_of(origin.config if origin else None)
    same = replaced if replaced and replaced.config.location == config.location else None
    new = Datasource(same.id if same else new_id(), dataset_id, config)
    if purpose is Purpose.INPUT_OUTPUT:
        left: list[Datasource] = []
    else:
        other = _OTHER[purpose]
        left = [datasource for datasource in stored if datasource.config.purpose is other]
        if whole is not None:
            left = [replace(whole, config=whole.config.model_copy(update={"purpose": other}))]
    after = (new, *left)
    before = input_datasource(stored)
    now = input_datasource(after)
    moved = (before.config.location if before else None) != (now.config.location if now else None)
    return Reconfigured(after, moved)
