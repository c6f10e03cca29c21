"""How the datasources of one dataset share its purposes (contract, sections 5 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.datasource import MASK, Datasource, Purpose, parse_config
from headwater.domain.errors import MalformedRequest
from headwater.domain.purposes import Reconfigured, answered, input_of, reconfigure
from tests.domain.configs import VALID

DATASET = "5" * 24


def _put(stored: Sequence[Datasource], purpose: str, path: str = "a", **more: Any) -> Reconfigured:
    return reconfigure(DATASET, stored, parse_config({**VALID["LOCAL"], "fullPath": path, "purpose": purpose, **more}))


def _shape(stored: Sequence[Datasource]) -> dict[str, str]:
    return {str(source.config.purpose): source.config.full_path for source in stored}


def test_input_output_replaces_whatever_was_there() -> None:
    both = _put(_put((), "INPUT", "a").datasources, "LIGHTLY", "b").datasources
    assert _shape(both) == {"INPUT": "a", "LIGHTLY": "b"}
    assert _shape(_put(both, "INPUT_OUTPUT", "c").datasources) == {"INPUT_OUTPUT": "c"}


@pytest.mark.parametrize(("put", "left"), [("INPUT", "LIGHTLY"), ("LIGHTLY", "INPUT")])
def test_one_purpose_onto_input_output_leaves_that_serving_the_other(put: str, left: str) -> None:
    whole = _put((), "INPUT_OUTPUT", "whole").datasources
    assert _shape(_put(whole, put, "new").datasources) == {put: "new", left: "whole"}


def test_what_get_answers_without_a_purpose() -> None:
    lightly = _put((), "LIGHTLY", "b").datasources
    both = _put(lightly, "INPUT", "a").datasources
    assert answered(()) is None
    assert input_of(lightly) is None
    for stored, path in ((lightly, "b"), (both, "a"), (_put(both, "INPUT_OUTPUT", "c").datasources, "c")):
        found = answered(stored)
        assert found is not None
        assert found.config.full_path == path
    assert answered(both, Purpose.INPUT_OUTPUT) is None


def test_only_the_place_of_the_input_side_counts_as_a_move() -> None:
    first = _put((), "INPUT_OUTPUT", "a")
    assert not _put(first.datasources, "INPUT_OUTPUT", "a/").input_moved
    assert not _put(first.datasources, "LIGHTLY", "b").input_moved
    assert not _put(first.datasources, "INPUT", "a").input_moved
    assert _put(first.datasources, "INPUT", "b").input_moved
    assert _put(first.datasources, "INPUT_OUTPUT", "b").input_moved
    only_lightly = _put((), "LIGHTLY", "b").datasources
    assert not _put(only_lightly, "LIGHTLY", "c").input_moved


def test_an_id_stays_with_its_purpose() -> None:
    first = _put((), "INPUT_OUTPUT", "a").datasources[0]
    assert _put((first,), "INPUT_OUTPUT", "b").datasources[0].id == first.id
    split = _put((first,), "INPUT", "b").datasources
    assert {source.id for source in split} >= {first.id}
    assert len({source.id for source in split}) == 2


def test_a_masked_secret_comes_from_the_datasource_that_get_answers() -> None:
    stored = reconfigure(DATASET, (), parse_config(VALID["S3"])).datasources
    for purpose in Purpose:
        again = parse_config({**stored[0].config.answer(), "purpose": purpose})
        assert reconfigure(DATASET, stored, again).datasources[0].config.secret == "test-secret"
    with pytest.raises(MalformedRequest):
        reconfigure(DATASET, (), parse_config({**VALID["S3"], "s3SecretAccessKey": MASK}))


@given(st.lists(st.tuples(st.sampled_from(list(Purpose)), st.sampled_from("abc")), max_size=8))
def test_no_purpose_is_ever_served_twice(puts: list[tuple[Purpose, str]]) -> None:
    stored: tuple[Datasource, ...] = ()
    for purpose, path in puts:
        stored = _put(stored, purpose, path).datasources
        held = sorted(str(source.config.purpose) for source in stored)
        assert held in (["INPUT_OUTPUT"], ["INPUT"], ["LIGHTLY"], ["INPUT", "LIGHTLY"])
        assert stored[0].config.full_path == path
        assert stored[0].config.purpose is purpose
