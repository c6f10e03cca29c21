"""Gitignore patterns, compiled so that matching takes bounded time, whatever pattern a user writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
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


Pause = Callable[[], None]
"""Called between the steps of long work. It may raise, which ends the work."""

_FOLDER_GROUP = "ps_d"
"""The group of pathspec's regular expressions that matches the `/` after a folder which a pattern matches."""


def no_pause() -> None:
    """Do not pause."""


class PatternList:
    """The patterns of one line, in their order. The last one that matches a key decides.

    It decides as `pathspec.GitIgnoreSpec` does, which has no way to pause within its patterns.

    Args:
        patterns: without duplicates.
    """

    def __init__(self, patterns: Sequence[GitIgnoreSpecPattern]) -> None:
        self._last_first = [
            (each.regex.search, bool(each.include)) for each in reversed(patterns) if each.regex is not None
        ]

    def __len__(self) -> int:
        return len(self._last_first)

    def excludes(self, key: str, pause: Pause) -> bool:
        """Return whether the patterns exclude a key.

        Args:
            key: the key.
            pause: called before each pattern.
        """
        path = key.removeprefix("/") if key.startswith("/") else key.removeprefix("./")
        by_folder: bool | None = None
        for search, excludes in self._last_first:
            pause()
            found = search(path)
            if found is None:
                continue
            if not found.groupdict().get(_FOLDER_GROUP):
                return excludes
            # A pattern that matches a folder of the path gives way to one that matches the path itself.
            if by_folder is None:
                by_folder = excludes
        return bool(by_folder)


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
