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
    # An upper limit, which takes little time, says which of a thousand names are worth a comparison.
    rough = sorted(((_most(wanted, name), name) for name in names), key=lambda each: (-each[0], each[1]))
    rated = [(max(_likeness(each, name) for each in wanted), name) for _, name in rough[:_COMPARED]]
    rated.sort(key=lambda each: (-each[0], each[1]))
    return [name for ratio, name in rated[:MAX_NAMES] if ratio >= _LEAST_RATIO]


def _most(wanted: Sequence[str], name: str) -> float:
    return max(_likeness(each, name, exact=False) for each in wanted)


def _likeness(wanted: str, name: str, *, exact: bool = True) -> float:
    one, other = wanted.strip().casefold()[:_LONGEST], name.strip().casefold()[:_LONGEST]
    if one == other:
        return 2.0
    if len(min(one, other, key=len)) >= 3 and (one.endswith(other) or other.endswith(one)):
        return 1.0
    matcher = SequenceMatcher(None, one, other)
    return matcher.ratio() if exact else matcher.quick_ratio()
