"""The purposes that the datasources of one dataset serve (contract.md#datasource-config, contract.md#watermark)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.datasource import SECRET_MASK, Datasource, Purpose, parse_config
from headwater.domain.errors import MalformedRequestError, NotFoundError
from headwater.domain.purposes import (
    Reconfigured,
    find_datasource,
    input_datasource,
    lightly_datasource,
    reconfigure,
    remove,
    sort_datasources,
)
from tests.domain.configs import VALID

DATASET = "5" * 24


def _put(stored: Sequence[Datasource], purpose: str, path: str = "a", **more: Any) -> Reconfigured:
    return reconfigure(DATASET, stored, parse_config({**VALID["LOCAL"], "fullPath": path, "purpose": purpose, **more}))


def _shape(stored: Sequence[Datasource]) -> dict[str, str]:
    return {str(source.config.purpose): source.config.full_path for source in stored}


NOTHING: dict[str, str] = {}
WHOLE = {"INPUT_OUTPUT": "whole"}
INPUT = {"INPUT": "input"}
LIGHTLY = {"LIGHTLY": "lightly"}
BOTH = {**INPUT, **LIGHTLY}


def _held(state: Mapping[str, str]) -> tuple[Datasource, ...]:
    stored: tuple[Datasource, ...] = ()
    for purpose, path in state.items():
        stored = _put(stored, purpose, path).datasources
    return stored


@pytest.mark.parametrize(
    ("state", "put", "after"),
    [
        (NOTHING, "INPUT_OUTPUT", {"INPUT_OUTPUT": "new"}),
        (NOTHING, "INPUT", {"INPUT": "new"}),
        (NOTHING, "LIGHTLY", {"LIGHTLY": "new"}),
        (WHOLE, "INPUT_OUTPUT", {"INPUT_OUTPUT": "new"}),
        (WHOLE, "INPUT", {"INPUT": "new", "LIGHTLY": "whole"}),
        (WHOLE, "LIGHTLY", {"INPUT": "whole", "LIGHTLY": "new"}),
        (INPUT, "INPUT_OUTPUT", {"INPUT_OUTPUT": "new"}),
        (INPUT, "INPUT", {"INPUT": "new"}),
        (INPUT, "LIGHTLY", {"INPUT": "input", "LIGHTLY": "new"}),
        (LIGHTLY, "INPUT_OUTPUT", {"INPUT_OUTPUT": "new"}),
        (LIGHTLY, "INPUT", {"INPUT": "new", "LIGHTLY": "lightly"}),
        (LIGHTLY, "LIGHTLY", {"LIGHTLY": "new"}),
        (BOTH, "INPUT_OUTPUT", {"INPUT_OUTPUT": "new"}),
        (BOTH, "INPUT", {"INPUT": "new", "LIGHTLY": "lightly"}),
        (BOTH, "LIGHTLY", {"INPUT": "input", "LIGHTLY": "new"}),
    ],
)
def test_put_replaces_datasources_by_purpose(state: dict[str, str], put: str, after: dict[str, str]) -> None:
    """The table of contract.md#two-datasources-of-one-dataset; only an input that moved resets the watermark."""
    stored = _held(state)
    changed = _put(stored, put, "new")
    assert _shape(changed.datasources) == after
    before, now = input_datasource(stored), input_datasource(changed.datasources)
    elsewhere = (before and before.config.full_path) != (now and now.config.full_path)
    assert changed.input_moved is elsewhere is (put != "LIGHTLY")
    kept = {source.config.full_path: source.id for source in stored}
    assert all(kept.get(source.config.full_path, source.id) == source.id for source in changed.datasources)


@pytest.mark.parametrize(
    ("state", "answers", "serves_input", "serves_lightly"),
    [
        (NOTHING, None, None, None),
        (WHOLE, "whole", "whole", "whole"),
        (INPUT, "input", "input", None),
        (LIGHTLY, "lightly", None, "lightly"),
        (BOTH, "input", "input", "lightly"),
    ],
)
def test_datasource_is_found_by_what_it_serves(
    state: dict[str, str], answers: str | None, serves_input: str | None, serves_lightly: str | None
) -> None:
    stored = _held(state)
    for found, path in (
        (find_datasource(stored), answers),
        (input_datasource(stored), serves_input),
        (lightly_datasource(stored), serves_lightly),
    ):
        assert (found.config.full_path if found else None) == path
    for purpose in Purpose:
        exactly = find_datasource(stored, purpose)
        assert (exactly.config.full_path if exactly else None) == state.get(purpose)


def test_datasources_are_sorted_by_purpose() -> None:
    for stored in (_held(BOTH), _held(BOTH)[::-1]):
        assert [source.config.purpose for source in sort_datasources(stored)] == ["INPUT", "LIGHTLY"]
    assert sort_datasources(()) == []


def test_input_moves_only_if_its_location_changes() -> None:
    first = _put((), "INPUT_OUTPUT", "a")
    assert not _put(first.datasources, "INPUT_OUTPUT", "a/").input_moved
    assert not _put(first.datasources, "LIGHTLY", "b").input_moved
    assert not _put(first.datasources, "INPUT", "a").input_moved
    assert _put(first.datasources, "INPUT", "b").input_moved
    assert _put(first.datasources, "INPUT_OUTPUT", "b").input_moved
    only_lightly = _put((), "LIGHTLY", "b").datasources
    assert not _put(only_lightly, "LIGHTLY", "c").input_moved


def test_id_stays_with_purpose_and_location() -> None:
    first = _put((), "INPUT_OUTPUT", "a").datasources[0]
    assert _put((first,), "INPUT_OUTPUT", "a//").datasources[0].id == first.id
    for purpose, left in (("INPUT", "LIGHTLY"), ("LIGHTLY", "INPUT")):
        new, rest = _put((first,), purpose, "b").datasources
        assert (rest.config.purpose, rest.id) == (left, first.id)
        assert new.id != first.id


@pytest.mark.parametrize("purpose", Purpose)
def test_new_credentials_for_the_same_location_keep_the_id(purpose: Purpose) -> None:
    config = {**VALID["S3"], "purpose": purpose}
    stored = reconfigure(DATASET, (), parse_config(config)).datasources
    renewed = reconfigure(DATASET, stored, parse_config({**config, "s3AccessKeyId": "X", "s3SecretAccessKey": "Y"}))
    assert renewed.datasources[0].id == stored[0].id
    assert renewed.datasources[0].config.secret == "Y"


def test_no_move_reuses_an_id() -> None:
    """What is bound to an id, such as a redirected read URL, would otherwise work again after two moves."""
    stored: tuple[Datasource, ...] = ()
    seen: set[str] = set()
    for path in ("a", "b", "a", "b"):
        stored = _put(stored, "INPUT_OUTPUT", path).datasources
        assert stored[0].id not in seen
        seen.add(stored[0].id)
    split = _put(stored, "INPUT", "c").datasources
    whole = _put(split, "INPUT_OUTPUT", "b").datasources[0]
    assert whole.id not in {*seen, *(source.id for source in split)}


def test_masked_secret_comes_from_the_datasource_that_get_returns() -> None:
    stored = reconfigure(DATASET, (), parse_config(VALID["S3"])).datasources
    for purpose in Purpose:
        again = parse_config({**stored[0].config.to_wire(), "purpose": purpose})
        assert reconfigure(DATASET, stored, again).datasources[0].config.secret == "test-secret"
    with pytest.raises(MalformedRequestError):
        reconfigure(DATASET, (), parse_config({**VALID["S3"], "s3SecretAccessKey": SECRET_MASK}))


@given(st.lists(st.tuples(st.sampled_from(list(Purpose)), st.sampled_from("abc")), max_size=8))
def test_no_purpose_is_served_twice(puts: list[tuple[Purpose, str]]) -> None:
    stored: tuple[Datasource, ...] = ()
    for purpose, path in puts:
        stored = _put(stored, purpose, path).datasources
        held = sorted(str(source.config.purpose) for source in stored)
        assert held in (["INPUT_OUTPUT"], ["INPUT"], ["LIGHTLY"], ["INPUT", "LIGHTLY"])
        assert stored[0].config.full_path == path
        assert stored[0].config.purpose is purpose


def test_removed_purpose_is_served_by_nothing() -> None:
    """A LIGHTLY datasource that was set once could never be removed; only deleting the dataset ended it."""
    source, lightly = _put(_put((), "LIGHTLY", "b").datasources, "INPUT", "a").datasources
    assert remove((source, lightly), Purpose.LIGHTLY) == Reconfigured((source,), input_moved=False, removed=lightly)
    assert remove((source, lightly), Purpose.INPUT) == Reconfigured((lightly,), input_moved=True, removed=source)
    assert remove((source,), Purpose.INPUT) == Reconfigured((), input_moved=True, removed=source)
    with pytest.raises(NotFoundError, match="no LIGHTLY datasource"):
        remove((source,), Purpose.LIGHTLY)


@pytest.mark.parametrize(("purpose", "left"), [(Purpose.LIGHTLY, Purpose.INPUT), (Purpose.INPUT, Purpose.LIGHTLY)])
def test_datasource_for_both_purposes_stays_for_the_other(purpose: Purpose, left: Purpose) -> None:
    """A dataset with one datasource for both could not become one that is never written to, under the same id."""
    both = _put((), "INPUT_OUTPUT", "a").datasources
    done = remove(both, purpose)
    assert [(each.id, each.config.purpose) for each in done.datasources] == [(both[0].id, left)]
    assert (done.removed, done.input_moved) == (None, purpose is Purpose.INPUT)


def test_put_tells_which_datasource_it_removed() -> None:
    """A PUT of INPUT_OUTPUT deleted the LIGHTLY datasource, and nobody was told."""
    source, lightly = _put(_put((), "LIGHTLY", "b").datasources, "INPUT", "a").datasources
    assert _put((source, lightly), "INPUT_OUTPUT", "c").removed == lightly
    assert _put((source, lightly), "LIGHTLY", "c").removed is None
    assert _put((source,), "INPUT_OUTPUT", "c").removed is None
