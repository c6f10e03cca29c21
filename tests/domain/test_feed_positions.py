"""Positions in the index of a feed are in the order in which the store lists, whatever characters keys have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.feed import FIRST, LAST, boundary_position, found_page, row_position
from headwater.domain.key_order import LAST_UNAMBIGUOUS, Order
from headwater.domain.objects import StoredObject
from tests.stores.memory import by_path, by_utf_8, by_utf_16

CHARACTERS = "/-.0aZé\0\x01\x1f\x7f\u0080\ud7ff\ue000\uffff\uff21🦊\U0010ffff"
KEYS = st.text(st.sampled_from(CHARACTERS), min_size=1, max_size=5) | st.text(
    st.characters(codec="utf-8"), min_size=1, max_size=5
)
STORES = pytest.mark.parametrize(
    ("order", "by"),
    [
        (Order.CODE_POINTS, by_utf_8),
        (Order.UTF16_AMBIGUOUS, by_utf_8),
        (Order.UTF16_AMBIGUOUS, by_utf_16),
        (Order.SLASH_FIRST, by_path),
        (Order.SLASH_FIRST, lambda key: [part.encode("utf-16-be") for part in key.split("/")]),
    ],
    ids=["code points", "UTF-8 if ambiguous", "UTF-16", "by path", "by path in UTF-16"],
)


def has_place(key: str, order: Order) -> bool:
    return order is Order.CODE_POINTS or max(key) <= LAST_UNAMBIGUOUS


@STORES
@given(keys=st.lists(KEYS, max_size=12))
def test_rows_are_sorted_as_the_store_lists(order: Order, by: Callable[[str], Any], keys: list[str]) -> None:
    keys = [key for key in keys if has_place(key, order)]
    assert sorted(keys, key=lambda key: row_position(key, order)) == sorted(keys, key=by)


@STORES
@given(keys=st.sets(KEYS, max_size=12))
def test_each_key_has_its_own_position(order: Order, by: Callable[[str], Any], keys: set[str]) -> None:
    positions = {key: row_position(key, order) for key in keys}
    assert len(set(positions.values())) == len(keys)
    assert all(position > FIRST for position in positions.values())
    assert all((position < LAST) == has_place(key, order) for key, position in positions.items())


@STORES
@given(row=KEYS, key=KEYS)
def test_a_page_ends_after_exactly_the_rows_that_the_store_lists_up_to_its_last_key(
    order: Order, by: Callable[[str], Any], row: str, key: str
) -> None:
    if has_place(row, order):
        assert (row_position(row, order) <= boundary_position(key, order)) == (by(row) <= by(key))


@STORES
@given(row=KEYS, key=KEYS, tail=st.text(st.sampled_from(CHARACTERS), max_size=2))
def test_a_page_that_ends_close_to_a_row_has_it_on_the_right_side(
    order: Order, by: Callable[[str], Any], row: str, key: str, tail: str
) -> None:
    """Unrelated texts seldom share a beginning."""
    key = row + tail if len(key) > 2 else row[:-1] + tail or key
    if has_place(row, order):
        assert (row_position(row, order) <= boundary_position(key, order)) == (by(row) <= by(key))


@pytest.mark.parametrize("order", Order)
def test_no_boundary_is_before_all_keys_or_after_the_last_position(order: Order) -> None:
    assert boundary_position("", order) == FIRST
    for key in ("\0", "a", "🦊", "a🦊", "\U0010ffff" * 3, LAST_UNAMBIGUOUS * 3):
        assert FIRST < boundary_position(key, order) <= LAST


def test_a_page_of_objects_has_their_positions_and_versions() -> None:
    objects = [StoredObject("a/b", 1, 2, "x"), StoredObject("a🦊", 3, 4, None)]
    page = found_page(objects, [7, 8], Order.SLASH_FIRST)
    assert page.positions == [b"a\0b", LAST + "a🦊".encode()]
    assert page.versions == [7, 8]
    assert page.objects == objects
