"""Windows and seconds (contract.md#lists-and-time-windows)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.errors import MalformedRequestError
from headwater.domain.objects import StoredObject
from headwater.domain.samples import select_listed
from headwater.domain.window import LAST_SECOND, Window, check_seconds, parse_seconds

SECONDS = st.integers(0, LAST_SECOND)


def holds(window: Window, modified: int) -> bool:
    """Whether a listing with this window contains a file with this time."""
    return select_listed([StoredObject("a.png", 1, modified, None)], "", window, include_all_files=False) != []


def test_both_ends_are_included() -> None:
    window = Window(10, 20)
    assert [second for second in range(8, 23) if holds(window, second)] == list(range(10, 21))


@given(SECONDS, SECONDS, SECONDS, SECONDS)
def test_adjacent_windows_never_lose_or_repeat_a_file(a: int, b: int, c: int, modified: int) -> None:
    a, b, c = sorted((a, b, c))
    whole, first, second = Window(a, c), Window(a, b), Window(b + 1, c)
    assert holds(whole, modified) == (holds(first, modified) + holds(second, modified))


def test_a_window_that_ends_before_it_begins_is_empty() -> None:
    assert Window(5, 4).is_empty
    assert not Window(5, 5).is_empty


@pytest.mark.parametrize("text", ["", " 1", "1 ", "+1", "-1", "1.0", "1e3", "0x1", "١", "1_000", "True", "1\n"])
def test_text_that_is_not_a_whole_number_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequestError, match="from: expected a whole number"):
        parse_seconds("from", text)


@pytest.mark.parametrize("value", [None, True, False, 1.0, "1", [], {}])
def test_a_body_must_hold_a_whole_number(value: object) -> None:
    with pytest.raises(MalformedRequestError, match="mark: expected a whole number"):
        check_seconds("mark", value)


def test_milliseconds_are_refused_with_a_hint() -> None:
    with pytest.raises(MalformedRequestError, match="milliseconds"):
        parse_seconds("to", "1577836800000")
    with pytest.raises(MalformedRequestError, match="9999"):
        parse_seconds("to", "9" * 20)
    assert parse_seconds("to", str(LAST_SECOND)) == LAST_SECOND
    with pytest.raises(MalformedRequestError, match="negative"):
        check_seconds("to", -1)
