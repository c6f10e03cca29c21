"""Versions of objects: what an exact feed remembers of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headwater.domain.objects import StoredObject, version_of

FOUND = StoredObject("a.png", 5, 1_700_000_000, "etag")

TEXTS = st.none() | st.text(max_size=4) | st.text("0123456789 -", max_size=8)
NUMBERS = st.integers(0, 200)
OBJECTS = st.builds(StoredObject, st.just("a.png"), NUMBERS, NUMBERS, TEXTS, TEXTS)


@pytest.mark.parametrize(
    "change",
    [{"size": 6}, {"modified": 1_700_000_001}, {"etag": "other"}, {"etag": None}, {"generation": "1"}],
    ids=str,
)
def test_every_component_changes_the_version(change: dict[str, Any]) -> None:
    assert version_of(FOUND._replace(**change)) != version_of(FOUND)


def test_a_generation_stands_in_for_the_etag() -> None:
    replaced = [FOUND._replace(generation=generation) for generation in ("1", "2", "")]
    assert len({version_of(found) for found in replaced}) == 3
    for found in replaced:
        assert version_of(found._replace(etag="other")) == version_of(found)


def test_the_key_is_not_part_of_the_version() -> None:
    assert version_of(FOUND._replace(key="b.png")) == version_of(FOUND)


@given(OBJECTS, OBJECTS)
@example(StoredObject("a.png", 1, 2, "3 4"), StoredObject("a.png", 1, 2, "3", "4"))
@example(StoredObject("a.png", 12, 3, ""), StoredObject("a.png", 1, 23, None))
@example(StoredObject("a.png", 1, 2, "2 x"), StoredObject("a.png", 1, 22, "x"))
def test_versions_are_equal_only_if_all_components_are(one: StoredObject, other: StoredObject) -> None:
    def components(found: StoredObject) -> tuple[object, ...]:
        return found.size, found.modified, (found.etag or "") if found.generation is None else found.generation

    assert (version_of(one) == version_of(other)) == (components(one) == components(other))


@given(OBJECTS)
def test_a_version_fits_into_a_signed_64_bit_column(found: StoredObject) -> None:
    assert -(2**63) <= version_of(found) < 2**63


@pytest.mark.parametrize(
    ("found", "version"),
    [
        (StoredObject("a.png", 0, 0, None), -8436425132669894135),
        (StoredObject("a.png", 5, 1_700_000_000, "etag"), 1756100839888692232),
        (StoredObject("a.png", 5, 1_700_000_000, "etag", "1700000000000001"), 5048148236633006049),
        (StoredObject("a.png", 5, 1_700_000_000, "é🦊"), -1401560252057880206),
    ],
)
def test_stored_versions_stay_valid(found: StoredObject, version: int) -> None:
    """Feeds store versions: other ones in the next release, or in another process, would hand out everything again."""
    assert version_of(found) == version
