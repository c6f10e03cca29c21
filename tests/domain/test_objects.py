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
KEYS = (
    st.sampled_from(["a.png", "1 a.png"])
    | st.text(min_size=1, max_size=4)
    | st.text("0123456789 -", min_size=1, max_size=8)
)
OBJECTS = st.builds(StoredObject, KEYS, NUMBERS, NUMBERS, TEXTS, TEXTS)


@pytest.mark.parametrize(
    "change",
    [{"key": "b"}, {"size": 6}, {"modified": 1_700_000_001}, {"etag": "other"}, {"etag": None}, {"generation": "1"}],
    ids=str,
)
def test_every_component_changes_the_version(change: dict[str, Any]) -> None:
    assert version_of(FOUND._replace(**change)) != version_of(FOUND)


def test_a_generation_stands_in_for_the_etag() -> None:
    replaced = [FOUND._replace(generation=generation) for generation in ("1", "2", "")]
    assert len({version_of(found) for found in replaced}) == 3
    for found in replaced:
        assert version_of(found._replace(etag="other")) == version_of(found)


@given(OBJECTS, OBJECTS)
@example(StoredObject("a.png", 1, 2, "3 4"), StoredObject("a.png", 1, 2, "3", "4"))
@example(StoredObject("a.png", 12, 3, ""), StoredObject("a.png", 1, 23, None))
@example(StoredObject("a.png", 1, 2, "2 x"), StoredObject("a.png", 1, 22, "x"))
@example(StoredObject("ba", 1, 2, "c"), StoredObject("a", 1, 2, "cb"))
@example(StoredObject("1 a", 1, 2, ""), StoredObject("a", 1, 2, "1 "))
def test_versions_are_equal_only_if_all_components_are(one: StoredObject, other: StoredObject) -> None:
    """The key is one of them on purpose: equal versions in the same order then mean equal objects (`match_page`)."""

    def components(found: StoredObject) -> tuple[object, ...]:
        return (
            found.key,
            found.size,
            found.modified,
            (found.etag or "") if found.generation is None else found.generation,
        )

    assert (version_of(one) == version_of(other)) == (components(one) == components(other))


@given(OBJECTS)
def test_a_version_fits_into_a_signed_64_bit_column(found: StoredObject) -> None:
    assert -(2**63) <= version_of(found) < 2**63


@pytest.mark.parametrize(
    ("found", "version"),
    [
        (StoredObject("a.png", 0, 0, None), -6270188329790836453),
        (StoredObject("a.png", 5, 1_700_000_000, "etag"), 8544619440907441564),
        (StoredObject("a.png", 5, 1_700_000_000, "etag", "1700000000000001"), -8792120640732254595),
        (StoredObject("a.png", 5, 1_700_000_000, "é🦊"), 8658081285382867900),
    ],
)
def test_stored_versions_stay_valid(found: StoredObject, version: int) -> None:
    """Feeds store versions: other ones in the next release, or in another process, would hand out everything again."""
    assert version_of(found) == version
