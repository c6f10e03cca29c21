"""The shapes of names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.name_shapes import HASH, MIXED, shape_of


def test_a_long_name_without_digits_has_a_shape_at_once() -> None:
    """The pattern looked ahead from each character: this took minutes, and blocked the whole server."""
    name = "p" * 300_000
    assert shape_of(name) == "a" * len(name)


@given(st.text("0a", min_size=6, max_size=12))
def test_a_hash_has_digits_and_letters(name: str) -> None:
    assert shape_of(f"{name}/") == (HASH * len(name) if {"0", "a"} <= set(name) else name) + "\0"


@given(st.text("0xX", min_size=8, max_size=14))
def test_a_mixed_name_has_digits_and_letters_of_both_cases(name: str) -> None:
    mixed = {"0", "x", "X"} <= set(name)
    assert shape_of(name) == (MIXED * len(name) if mixed else name.replace("x", "a").replace("X", "A"))
