"""Compile gitignore patterns so that matching takes bounded time, whatever pattern a user writes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

_unsupported_class = re.compile(r"\[[^\]]*(?:\[|--|&&|~~|\|\|)").search
"""Finds what pathspec reads as gitignore's `[[:alpha:]]`, or Python as an operation on sets."""

_CLASS = r"\[\^?\]?(?:\\.|[^\]\\])*\]"
_ONE_CHARACTER = rf"(?:\\.|(?:\(\?!/\))?{_CLASS}(?![*+])|[^\\\[\](){{}}*+?.|^$/])"
"""Matches the part of a regular expression of pathspec's that matches one character, and no `/`."""

_classes = re.compile(rf"\\.|{_CLASS}")
_stars = re.compile(r"(?:\[\^/\]\*){2,}")
_star_before_star = re.compile(rf"\[\^/\]\*({_ONE_CHARACTER}+)(?=\[\^/\]\*)")


def compile_pattern(text: str) -> GitIgnoreSpecPattern | None:
    """Return a compiled gitignore pattern; None if `text` is no pattern that can be used."""
    from pathspec.patterns.gitignore import GitIgnorePatternError
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    if _unsupported_class(text):
        return None
    try:
        regex, include = GitIgnoreSpecPattern.pattern_to_regex(text)
        return None if regex is None else GitIgnoreSpecPattern(re.compile(_without_backtracking(regex)), include)
    except (GitIgnorePatternError, re.error):
        return None


def _without_backtracking(regex: str) -> str:
    """Return a regular expression that matches the same, and tries only the first position for the `x` of `*x*`.

    The second star matches whatever the first one could have matched, so the result is the same. Trying every position
    would make a pattern such as `*a*a*a*b`, which a user may write, take practically forever. This only holds if `x`
    matches no `/`, so a class such as `[!a]` does not match one, as in git.
    """
    regex = _classes.sub(_not_slash, regex)
    return _star_before_star.sub(r"(?>[^/]*?\1)", _stars.sub("[^/]*", regex))


def _not_slash(found: re.Match[str]) -> str:
    text = found[0]
    return text if text.startswith("\\") or text == "[^/]" else f"(?!/){text}"
