"""Which folder was meant by a path that does not exist."""

from __future__ import annotations

import time

import pytest

from headwater.domain.nearby import similar_names


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("stret", ["street", "streets"]),
        ("Street", ["street", "streets"]),
        ("street ", ["street", "streets"]),
        ("my-street", ["street", "streets"]),
        ("night", []),
        ("", []),
    ],
)
def test_similar_names_are_suggested(wanted: str, expected: list[str]) -> None:
    """A mistyped folder was verified with four times yes and no word about the right one."""
    assert similar_names([wanted], ["archive", "street", "streets", "x"]) == expected


def test_a_path_with_a_name_too_many_leads_to_the_name_after_it() -> None:
    """The bucket was typed again at the beginning of the path."""
    assert similar_names(["my-bucket", "street"], ["archive", "street"]) == ["street"]


def test_long_names_are_compared_fast() -> None:
    began = time.perf_counter()
    similar_names(["a" * 1000] * 3, [f"{number}" + "a" * 1000 for number in range(1000)])
    assert time.perf_counter() - began < 2
