"""The purposes that the datasources of one dataset serve (contract.md#datasource-config, contract.md#watermark)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from headwater.domain.datasource import Datasource, DatasourceConfig, Purpose
from headwater.domain.errors import NotFoundError
from headwater.domain.ids import new_id

_SEARCH_ORDER = (Purpose.INPUT_OUTPUT, Purpose.INPUT, Purpose.LIGHTLY)
_OTHER_PURPOSE = {Purpose.INPUT: Purpose.LIGHTLY, Purpose.LIGHTLY: Purpose.INPUT}


class Reconfigured(NamedTuple):
    """The result of configuring or removing a datasource.

    Attributes:
        datasources: all datasources of the dataset afterwards. If one was configured, it is first.
        input_moved: whether raw samples now come from other data.
        removed: the datasource that was deleted without one for its purpose in its place; None if there is none.
        lost_watermark: the watermark before, if it was reset to 0 because of `input_moved`; else 0.
    """

    datasources: tuple[Datasource, ...]
    input_moved: bool
    removed: Datasource | None = None
    lost_watermark: int = 0


def find_datasource(datasources: Sequence[Datasource], purpose: Purpose | None = None) -> Datasource | None:
    """Return the datasource with this purpose; without a purpose, the first of INPUT_OUTPUT, INPUT, LIGHTLY.

    Args:
        datasources: the datasources of one dataset, at most one for each purpose.
        purpose: the exact purpose, or None.
    """
    by_purpose = {datasource.config.purpose: datasource for datasource in datasources}
    order = _SEARCH_ORDER if purpose is None else (purpose,)
    return next((by_purpose[each] for each in order if each in by_purpose), None)


def input_datasource(datasources: Sequence[Datasource]) -> Datasource | None:
    """Return the datasource that raw samples come from; None if there is none."""
    return find_datasource(datasources, Purpose.INPUT_OUTPUT) or find_datasource(datasources, Purpose.INPUT)


def lightly_datasource(datasources: Sequence[Datasource]) -> Datasource | None:
    """Return the datasource that holds everything under `.lightly/`; None if there is none."""
    return find_datasource(datasources, Purpose.INPUT_OUTPUT) or find_datasource(datasources, Purpose.LIGHTLY)


def sort_datasources(datasources: Sequence[Datasource]) -> list[Datasource]:
    """Return the datasources of one dataset in the order in which `find_datasource` looks for them."""
    return sorted(datasources, key=lambda datasource: _SEARCH_ORDER.index(datasource.config.purpose))


def reconfigure(dataset_id: str, stored: Sequence[Datasource], config: DatasourceConfig) -> Reconfigured:
    """Return the datasources of a dataset after a datasource was configured.

    A config for INPUT_OUTPUT replaces all datasources. A config for INPUT or LIGHTLY replaces the datasource with its
    purpose; a datasource for INPUT_OUTPUT then serves only the other purpose. A masked secret is replaced by that of
    the datasource that the config was most likely read from: the one with the same purpose, else the one that
    `find_datasource` returns without a purpose.

    The id of a datasource stays the same while its purpose and location do, even if the credentials or the spelling
    of the path change. A datasource that moves gets a new id, and ids are never used again. What is bound to the
    location of raw samples, or of `.lightly/`, is bound to an origin (`Datasource`), so that it ends with a move of
    exactly these.

    Args:
        dataset_id: the dataset.
        stored: its present datasources.
        config: the config to store.

    Raises:
        MalformedRequestError: the config holds the mask, and no stored secret can replace it.
    """
    purpose = config.purpose
    replaced = find_datasource(stored, purpose)
    for_both = find_datasource(stored, Purpose.INPUT_OUTPUT)
    origin = replaced or find_datasource(stored)
    config = config.with_secret_of(origin.config if origin else None)
    same = replaced if replaced and replaced.config.location == config.location else None
    new = Datasource(same.id if same else new_id(), dataset_id, config)
    removed = None
    if purpose is Purpose.INPUT_OUTPUT:
        left: list[Datasource] = []
        removed = find_datasource(stored, Purpose.LIGHTLY)
    else:
        other = _OTHER_PURPOSE[purpose]
        left = [datasource for datasource in stored if datasource.config.purpose is other]
        if for_both is not None:
            left = [replace(for_both, config=for_both.config.model_copy(update={"purpose": other}))]
    after = tuple(_with_origins(stored, (new, *left), datasource) for datasource in (new, *left))
    moved = not _same_location(input_datasource(stored), input_datasource(after))
    return Reconfigured(after, moved, removed)


def remove(stored: Sequence[Datasource], purpose: Purpose) -> Reconfigured:
    """Return the datasources of a dataset after nothing serves a purpose any more.

    A datasource for INPUT_OUTPUT then serves only the other purpose. Without an INPUT datasource, the watermark starts
    again at 0, as after a move.

    Args:
        stored: the present datasources of the dataset.
        purpose: INPUT or LIGHTLY.

    Raises:
        NotFoundError: no datasource serves the purpose.
    """
    other = _OTHER_PURPOSE[purpose]
    if (input_datasource if purpose is Purpose.INPUT else lightly_datasource)(stored) is None:
        raise NotFoundError(f"this dataset has no {purpose} datasource")
    left = [datasource for datasource in stored if datasource.config.purpose is not purpose]
    after = [replace(datasource, config=datasource.config.model_copy(update={"purpose": other})) for datasource in left]
    return Reconfigured(
        tuple(_with_origins(stored, after, datasource) for datasource in after),
        input_moved=purpose is Purpose.INPUT,
        removed=find_datasource(stored, purpose),
    )


def _with_origins(stored: Sequence[Datasource], after: Sequence[Datasource], datasource: Datasource) -> Datasource:
    """Return one of the datasources afterwards with its origins: those of its predecessors at the same location."""
    input_before, lightly_before = input_datasource(stored), lightly_datasource(stored)
    input_origin = lightly_origin = None
    if datasource is input_datasource(after) and input_before and _same_location(input_before, datasource):
        input_origin = input_before.input_origin or input_before.id
    if datasource is lightly_datasource(after) and lightly_before and _same_location(lightly_before, datasource):
        lightly_origin = lightly_before.lightly_origin or lightly_before.id
    return replace(
        datasource,
        input_origin=None if input_origin == datasource.id else input_origin,
        lightly_origin=None if lightly_origin == datasource.id else lightly_origin,
    )


def _same_location(one: Datasource | None, other: Datasource | None) -> bool:
    return (one and one.config.location) == (other and other.config.location)
