"""Text from outside: whether it can be stored, and how it is shown."""

from __future__ import annotations

import re

_pieces = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.)|.", re.DOTALL).finditer
_PASTED = " \t\r\n\v\f\u00a0\u200b\u2028\u2029\ufeff"


def is_unicode(text: str) -> bool:
    """Return whether `text` can be encoded as UTF-8. Lone surrogates, from JSON or undecodable arguments, cannot."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def is_storable(text: str) -> bool:
    """Return whether `text` can be stored and be part of a name: Unicode without NUL characters."""
    return "\0" not in text and is_unicode(text)


def visible(text: str) -> str:
    """Return `text` with control characters and backslashes escaped. Names in buckets come from strangers."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(
        character if character.isprintable() and character != "\\" else character.encode("unicode_escape").decode()
        for character in text
    )


def shorten(text: str, length: int, mark: str = "…") -> str:
    """Return `text`, or its beginning and `mark` if it is longer than `length`. No escape of `visible` is divided."""
    if len(text) <= length:
        return text
    end = 0
    for piece in _pieces(text):
        if piece.end() > length - len(mark):
            break
        end = piece.end()
    return text[:end] + mark


def strip_pasted(text: str) -> str:
    """Return `text` without what copying adds at the ends: white space, line breaks, byte order marks."""
    return text.strip(_PASTED)
