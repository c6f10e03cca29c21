"""Values that must be one of a few: what an error says about another one."""

from __future__ import annotations

from collections.abc import Iterable

_MAX_COMPARED_LENGTH = 64
"""Longer text is no misspelled choice, and comparing it takes long."""
_MAX_SUGGESTIONS = 3
_SIMILARITY = 0.6


def similar(given: str, choices: Iterable[str], limit: int = 1) -> list[str]:
    """Return the choices that `given` resembles, the most similar one first.

    Args:
        given: the value that is no choice. It is compared without regard to letter case.
        choices: the values that are expected.
        limit: the most choices to return.
    """
    from difflib import get_close_matches

    if not 0 < len(given) <= _MAX_COMPARED_LENGTH:
        return []
    by_folded = {choice.casefold(): choice for choice in choices}
    folded = given.strip().casefold()
    close = [folded] if folded in by_folded else get_close_matches(folded, by_folded, limit, _SIMILARITY)
    return [by_folded[each] for each in close]


def suggest(given: object, choices: Iterable[str]) -> str | None:
    """Return the question `did you mean …?` with the choices that `given` resembles; None if it resembles none.

    Args:
        given: the value that is no choice. It is compared without regard to letter case, and not repeated.
        choices: the values that are expected.
    """
    close = similar(given, choices, _MAX_SUGGESTIONS) if isinstance(given, str) else []
    if not close:
        return None
    *first, last = close
    return f"did you mean {', '.join(first) + ' or ' if first else ''}{last}?"


def with_suggestion(text: str, given: object, choices: Iterable[str]) -> str:
    """Return a text about a value that is no choice, with what `suggest` returns behind it in brackets, if anything."""
    suggestion = suggest(given, choices)
    return f"{text} ({suggestion})" if suggestion else text


def expected_one_of(choices: Iterable[str], given: object) -> str:
    """Return the text of an error about a value that is none of the choices."""
    choices = list(choices)
    return with_suggestion(f"expected one of {', '.join(choices)}", given, choices)
