"""Cursors: opaque, URL-safe, authenticated, bound (contract, section 4)."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.cursor import Cursor, CursorSigner
from headwater.domain.errors import MalformedRequest
from headwater.domain.window import Window

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
SIGNER = CursorSigner([KEY])
CURSOR = Cursor("5" * 24, "place", Window(3, 9), "a/b.png")

keys = st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=300)
cursors = st.builds(
    Cursor,
    st.just("5" * 24),
    st.just("place"),
    st.builds(Window, st.integers(0), st.integers(0)),
    keys,
    st.booleans(),
    st.integers(0),
)


@given(cursors)
def test_what_was_sealed_is_opened_again(cursor: Cursor) -> None:
    text = SIGNER.seal(cursor)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert SIGNER.open(text, cursor.dataset, cursor.place) == cursor


def test_any_changed_character_is_refused() -> None:
    text = SIGNER.seal(CURSOR)
    others = [text + "=", text + "==", text + "A", text[:-1]]
    others += [text[:-1] + last for last in string.ascii_letters + string.digits + "-_+/" if last != text[-1]]
    for changed in others:
        with pytest.raises(MalformedRequest, match="not a cursor of this server"):
            SIGNER.open(changed, CURSOR.dataset, CURSOR.place)
    for index, character in enumerate(text):
        changed = text[:index] + ("A" if character != "A" else "B") + text[index + 1 :]
        with pytest.raises(MalformedRequest, match="not a cursor of this server"):
            SIGNER.open(changed, CURSOR.dataset, CURSOR.place)


@given(st.text(max_size=100))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequest, match="not a cursor of this server"):
        SIGNER.open(text, CURSOR.dataset, CURSOR.place)


def test_another_dataset_and_a_moved_datasource_are_told_apart() -> None:
    text = SIGNER.seal(CURSOR)
    with pytest.raises(MalformedRequest, match="another dataset"):
        SIGNER.open(text, "6" * 24, CURSOR.place)
    with pytest.raises(MalformedRequest, match="moved to other data"):
        SIGNER.open(text, CURSOR.dataset, "elsewhere")


def test_a_cursor_outlives_a_rotation_of_keys_until_the_old_one_goes() -> None:
    text = SIGNER.seal(CURSOR)
    assert CursorSigner([OTHER_KEY, KEY]).open(text, CURSOR.dataset, CURSOR.place) == CURSOR
    with pytest.raises(MalformedRequest):
        CursorSigner([OTHER_KEY]).open(text, CURSOR.dataset, CURSOR.place)
