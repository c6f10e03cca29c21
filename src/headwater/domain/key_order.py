"""Shards: parts of a listing between two keys, and the orders that stores list in (contract.md#shards).

A bound belongs to the shard before it: the next one begins strictly after it, as every listing that goes on after a
key does, so that the two share no key and leave none out.
"""

from __future__ import annotations

from enum import StrEnum

from headwater.domain.objects import Key

LAST_UNAMBIGUOUS = "\ud7ff"
"""The last character before those that UTF-16 writes otherwise than UTF-8: up to here both order alike."""

_SLASH_FIRST = {ord("/"): 0} | {code: code + 1 for code in range(ord("/"))}
_UP_TO_SLASH = {moved: code for code, moved in _SLASH_FIRST.items()}


class Order(StrEnum):
    """How a store orders keys, as far as bounds need to know it. The values stand in cursors."""

    CODE_POINTS = ""
    """By code points, which is the order of UTF-8 bytes."""

    UTF16_AMBIGUOUS = "b"
    """By code points up to U+D7FF; all else after those, in an order that bounds do not look at (UTF-8 or UTF-16)."""

    SLASH_FIRST = "/"
    """As `BASIC`, and `/` before every other character: a folder's files before `folder-2` and `folder.txt`."""


def sort_text(text: str, order: str) -> str:
    """Turn a key or bound into text that Python compares as the store does (`Order`).

    The same for all characters that `BASIC` and `SLASH_FIRST` do not tell apart.
    """
    if order == Order.CODE_POINTS:
        return text
    if text > LAST_UNAMBIGUOUS or not text.isascii():
        text = "".join(min(char, "\ud800") for char in text)
    return text.translate(_SLASH_FIRST) if order == Order.SLASH_FIRST else text


def key_of_sort_text(text: str, order: str) -> str:
    """Turn what `ordered` gave back into a key; only of characters up to U+D7FF."""
    return text.translate(_UP_TO_SLASH) if order == Order.SLASH_FIRST else text


def past(key: Key, until: Key, order: str) -> bool:
    """Whether a key lies behind a shard that ends with `until`, a bound, which is in it where there is such a key.

    Args:
        key: as the store listed it.
        until: the bound, as `cut` gave it.
        order: that of the store, as `cut` gave it.
    """
    return sort_text(key, order) > sort_text(until, order)
