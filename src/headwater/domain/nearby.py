"""Which of the folders that exist a person may have meant."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

MAX_NAMES = 3
"""How many names are suggested."""

_LEAST_RATIO = 0.6
_LONGEST = 60
"""Characters that are compared: the time grows with the square of the length."""

_COMPARED = 20
"""How many names are compared exactly."""


def similar_names(wanted: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the names that are most like what was wanted, the best first; at most `MAX_NAMES`, and none if none is.

    Args:
        wanted: the name that does not exist, and the names after it in the same path: one of these may be meant if the
            path has a name too many at its beginning.
        names: the names that exist there.
    """
    compared = [_Wanted(each) for each in wanted]

    def rate(name: str, *, exact: bool) -> tuple[float, str]:
        return -max(each.likeness(name, exact=exact) for each in compared), name

    # An upper limit, which takes little time, says which of a thousand names are worth a comparison.
    rough = sorted(rate(name, exact=False) for name in names)
    rated = sorted(rate(name, exact=True) for _, name in rough[:_COMPARED])
    return [name for rank, name in rated[:MAX_NAMES] if -rank >= _LEAST_RATIO]


class _Wanted:
    """A name that others are compared with."""

    def __init__(self, name: str) -> None:
        self._name = _reduced(name)
        # What it computes for the second text serves all comparisons.
        self._matcher = SequenceMatcher(b=self._name)

    def likeness(self, name: str, *, exact: bool) -> float:
        one, other = self._name, _reduced(name)
        if one == other:
            return 2.0
        if len(min(one, other, key=len)) >= 3 and (one.endswith(other) or other.endswith(one)):
            return 1.0
        self._matcher.set_seq1(other)
        return self._matcher.ratio() if exact else self._matcher.quick_ratio()


def _reduced(name: str) -> str:
    return name.strip().casefold()[:_LONGEST]
