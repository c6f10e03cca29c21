"""The orders of stores, and on which side of a split point a key is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.key_order import LAST_UNAMBIGUOUS, Order, just_before, key_of_sort_text, sort_text
from headwater.domain.key_range import KeyRange
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
@given(key=keys, point=basic)
def test_a_key_is_past_a_split_point_if_the_store_lists_it_later(
    order: Order, by: Callable[[str], Any], key: str, point: str
) -> None:
    assert KeyRange(last_key=point, order=order).is_past_end(key) == (by(key) > by(point))


@given(key=keys, point=keys)
def test_any_text_can_be_a_split_point_in_the_order_of_code_points(key: str, point: str) -> None:
    assert KeyRange(last_key=point, order=Order.CODE_POINTS).is_past_end(key) == (key.encode() > point.encode())


@given(text=basic, order=st.sampled_from(Order))
def test_a_sort_text_is_turned_back_into_its_key(text: str, order: Order) -> None:
    assert key_of_sort_text(sort_text(text, order), order) == text


def test_a_split_point_is_in_the_shard_that_it_ends() -> None:
    """A key at a split point could be in two shards, or in none."""
    assert not KeyRange(last_key="a", order=Order.SLASH_FIRST).is_past_end("a")
    assert KeyRange(last_key="a", order=Order.SLASH_FIRST).is_past_end("a/b")
    assert KeyRange(last_key="a", order=Order.CODE_POINTS).is_past_end("a\0")


def test_ambiguous_characters_come_after_all_others() -> None:
    assert KeyRange(last_key=LAST_UNAMBIGUOUS, order=Order.UTF16_AMBIGUOUS).is_past_end("\ue000")
    assert KeyRange(last_key=LAST_UNAMBIGUOUS, order=Order.UTF16_AMBIGUOUS).is_past_end("🦊")


@given(one=keys, other=keys)
def test_just_before_is_less_than_the_key_and_greater_than_keys_before_it(one: str, other: str) -> None:
    assert just_before(one) < one
    if other < one and max(other) < LAST_UNAMBIGUOUS:
        assert other <= just_before(one)
