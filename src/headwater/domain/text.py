"""Text from outside: what can be stored, and what can be shown."""

from __future__ import annotations


def is_unicode(text: str) -> bool:
    """Whether this can be written as UTF-8: lone surrogates, from JSON or undecodable arguments, cannot."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def is_storable(text: str) -> bool:
    """Whether this can be stored, and be part of a name: Unicode without NUL characters."""
    return "\0" not in text and is_unicode(text)


def visible(text: str) -> str:
    """A text as it may be shown: control characters and backslashes escaped. Names from buckets are strangers'."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(
        character if character.isprintable() and character != "\\" else character.encode("unicode_escape").decode()
        for character in text
    )
