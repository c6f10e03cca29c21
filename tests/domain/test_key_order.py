"""The orders of stores, and which side of a bound a key is on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.key_order import LAST_UNAMBIGUOUS, Order, key_of_sort_text, past, sort_text
from tests.stores.memory import by_path, by_utf_8, by_utf_16

keys = st.text(st.sampled_from("/.-+ 0aé\ud7ff\uff21🦊\x01"), min_size=1, max_size=5)
basic = st.text(st.sampled_from("/.-+ 0aé\ud7ff\x01"), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("order", "by"),
    [
        (Order.CODE_POINTS, by_utf_8),
        (Order.UTF16_AMBIGUOUS, by_utf_8),
        (Order.UTF16_AMBIGUOUS, by_utf_16),
        (Order.SLASH_FIRST, by_path),
    ],
)
@given(key=keys, bound=basic)
def test_a_key_is_past_a_bound_where_the_store_lists_it_later(
    order: Order, by: Callable[[str], Any], key: str, bound: str
) -> None:
    assert past(key, bound, order) == (by(key) > by(bound))


@given(key=keys, bound=keys)
def test_by_code_points_any_text_is_a_bound(key: str, bound: str) -> None:
    assert past(key, bound, Order.CODE_POINTS) == (key.encode() > bound.encode())


@given(text=basic, order=st.sampled_from(Order))
def test_ordered_text_is_turned_back(text: str, order: Order) -> None:
    assert key_of_sort_text(sort_text(text, order), order) == text


def test_a_bound_is_in_the_shard_that_it_ends() -> None:
    """With `until` before the bound, or after it by a character, a key of two shards or of none was possible."""
    assert not past("a", "a", Order.SLASH_FIRST)
    assert past("a/b", "a", Order.SLASH_FIRST)
    assert past("a\0", "a", Order.CODE_POINTS)


def test_what_utf_16_orders_otherwise_is_all_behind_what_it_does_not() -> None:
    assert past("\ue000", LAST_UNAMBIGUOUS, Order.UTF16_AMBIGUOUS)
    assert past("🦊", LAST_UNAMBIGUOUS, Order.UTF16_AMBIGUOUS)
