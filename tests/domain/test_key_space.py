"""What is learned of keys: names that are told apart by their shape."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.key_space import _HASH, _MIXED, KeySpace, _shape


def test_a_long_name_without_digits_is_taken_in_at_once() -> None:
    """Each character was looked ahead from, to the name's end: this took minutes, and held up the whole server."""
    name = "p" * 300_000
    space = KeySpace("\U0010ffff")
    space.add("", [name], None)
    assert space.seen == [name]
    assert _shape(name) == "a" * len(name)


@given(st.text("0a", min_size=6, max_size=12))
def test_hashes_have_digits_and_letters(name: str) -> None:
    assert _shape(f"{name}/") == (_HASH * len(name) if {"0", "a"} <= set(name) else name) + "\0"


@given(st.text("0xX", min_size=8, max_size=14))
def test_mixed_names_have_digits_and_letters_of_both_cases(name: str) -> None:
    mixed = {"0", "x", "X"} <= set(name)
    assert _shape(name) == (_MIXED * len(name) if mixed else name.replace("x", "a").replace("X", "A"))
