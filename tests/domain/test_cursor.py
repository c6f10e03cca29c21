"""Cursors: opaque, URL-safe, authenticated, bound (contract.md#lists-and-time-windows)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.domain.cursor import Cursor, CursorSigner
from headwater.domain.errors import MalformedRequestError
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
    st.none() | st.text(st.characters(codec="utf-8"), max_size=30),
    st.sampled_from(["", ".lightly/metadata/", ".lightly/predictions/a task/"]),
    keys,
    st.sampled_from(["", "/"]),
    st.none() | st.just(".lightly/relevant.txt"),
    st.none() | st.integers(0),
    st.integers(0),
)


@given(cursors)
def test_what_was_sealed_is_opened_again(cursor: Cursor) -> None:
    text = SIGNER.seal(cursor)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert SIGNER.open(text, cursor.dataset, cursor.location, cursor.folder) == cursor


def test_any_changed_character_is_refused() -> None:
    text = SIGNER.seal(CURSOR)
    others = [text + "=", text + "==", text + "A", text[:-1]]
    others += [text[:-1] + last for last in string.ascii_letters + string.digits + "-_+/" if last != text[-1]]
    for changed in others:
        with pytest.raises(MalformedRequestError, match="not a cursor of this server"):
            SIGNER.open(changed, CURSOR.dataset, CURSOR.location)
    for index, character in enumerate(text):
        changed = text[:index] + ("A" if character != "A" else "B") + text[index + 1 :]
        with pytest.raises(MalformedRequestError, match="not a cursor of this server"):
            SIGNER.open(changed, CURSOR.dataset, CURSOR.location)


@given(st.text(max_size=100))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequestError, match="not a cursor of this server"):
        SIGNER.open(text, CURSOR.dataset, CURSOR.location)


def test_another_dataset_and_a_moved_datasource_are_told_apart() -> None:
    text = SIGNER.seal(CURSOR)
    with pytest.raises(MalformedRequestError, match="another dataset"):
        SIGNER.open(text, "6" * 24, CURSOR.location)
    with pytest.raises(MalformedRequestError, match="moved to other data"):
        SIGNER.open(text, CURSOR.dataset, "elsewhere")


def test_a_cursor_outlives_a_rotation_of_keys_until_the_old_one_goes() -> None:
    text = SIGNER.seal(CURSOR)
    assert CursorSigner([OTHER_KEY, KEY]).open(text, CURSOR.dataset, CURSOR.location) == CURSOR
    with pytest.raises(MalformedRequestError):
        CursorSigner([OTHER_KEY]).open(text, CURSOR.dataset, CURSOR.location)


def test_a_cursor_of_an_older_server_goes_on() -> None:
    """As version 1 wrote them: the fields that came later are as if nothing had been said."""
    fields = [1, CURSOR.dataset, CURSOR.location, 3, 9, "a/b.png", False, 2, "m"]
    payload = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    mac = hmac.digest(KEY, payload, hashlib.sha256)
    text = base64.urlsafe_b64encode(mac + payload).rstrip(b"=").decode()
    assert SIGNER.open(text, CURSOR.dataset, CURSOR.location) == CURSOR._replace(unreadable=2, marker="m")


def test_a_cursor_holds_only_what_differs() -> None:
    """So that the listing of raw samples has cursors as short as ever."""
    assert len(SIGNER.seal(CURSOR)) < len(SIGNER.seal(CURSOR._replace(relevant=".lightly/a"))) - 15


def test_a_listing_of_another_folder_is_told_apart() -> None:
    text = SIGNER.seal(CURSOR._replace(folder=".lightly/metadata/"))
    assert SIGNER.open(text, CURSOR.dataset, CURSOR.location, ".lightly/metadata/").folder == ".lightly/metadata/"
    with pytest.raises(MalformedRequestError, match=r"a listing of .lightly/metadata/, and this one is of raw samples"):
        SIGNER.open(text, CURSOR.dataset, CURSOR.location)
    with pytest.raises(MalformedRequestError, match=r"a listing of raw samples, and this one is of .lightly/metadata/"):
        SIGNER.open(SIGNER.seal(CURSOR), CURSOR.dataset, CURSOR.location, ".lightly/metadata/")
