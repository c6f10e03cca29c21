"""The orders in which stores list keys.

Split points of shards are chosen and compared in the order of the store (contract.md#shards).
"""

from __future__ import annotations

from enum import StrEnum

LAST_UNAMBIGUOUS = "\ud7ff"
"""The last character that UTF-8 and UTF-16 order alike. They differ on characters after it."""

_SLASH_FIRST = {ord("/"): 0} | {code: code + 1 for code in range(ord("/"))}
_SLASH_IN_PLACE = {moved: code for code, moved in _SLASH_FIRST.items()}


class Order(StrEnum):
    """How a store orders keys, as precisely as split points need it. The values are stored in cursors."""

    CODE_POINTS = ""
    """By code point, which is the order of UTF-8 bytes."""

    UTF16_AMBIGUOUS = "b"
    """By code point up to U+D7FF. Keys with later characters come after those, in the order of UTF-8 or of UTF-16."""

    SLASH_FIRST = "/"
    """As `UTF16_AMBIGUOUS`, with `/` before every other character: `folder/a` before `folder-2` and `folder.txt`."""


def sort_text(key: str, order: str) -> str:
    """Return text that Python compares as a store with this order compares `key`.

    Keys that `UTF16_AMBIGUOUS` and `SLASH_FIRST` cannot tell apart have the same text.
    """
    if order == Order.CODE_POINTS:
        return key
    if key > LAST_UNAMBIGUOUS or not key.isascii():
        key = "".join(min(char, "\ud800") for char in key)
    return key.translate(_SLASH_FIRST) if order == Order.SLASH_FIRST else key


def key_of_sort_text(text: str, order: str) -> str:
    """Return the key of a sort text. Only for characters up to U+D7FF."""
    return text.translate(_SLASH_IN_PLACE) if order == Order.SLASH_FIRST else text


def just_before(key: str) -> str:
    """Return a text that is less than `key` and, in practice, greater than every key before it."""
    code = ord(key[-1]) - 1
    if code < 1:
        return key[:-1]
    return f"{key[:-1]}{LAST_UNAMBIGUOUS if 0xD800 <= code <= 0xDFFF else chr(code)}{LAST_UNAMBIGUOUS}"
