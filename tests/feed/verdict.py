"""Which versions were lost, and which were handed out twice?

A version is *lost* if it stands at the end and was in no acknowledged window. It was handed out *twice* if it was in
more than one acknowledged window.

A response names files, not versions. What is known is which versions of a file the bucket served while the request was
in flight. In a sequential history that is one version. In a concurrent history it may be several. Then a fault is
reported only if no choice among them explains all responses without a fault: the verdict never accuses wrongly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import NamedTuple


class Handout(NamedTuple):
    """A file in a response, and the versions of it that can be meant."""

    key: str
    possible: frozenset[int]


class Faults(NamedTuple):
    """The versions, as (key, version), that were lost or handed out twice."""

    lost: list[tuple[str, int]]
    twice: list[tuple[str, int]]


def judge(windows: Sequence[Iterable[Handout]], standing: Mapping[str, int]) -> Faults:
    """Return the faults of one consumer.

    Args:
        windows: what each acknowledged window contained.
        standing: the versions that stand at the end, by key.
    """
    of_key: dict[str, set[tuple[int, frozenset[int]]]] = defaultdict(set)
    for number, window in enumerate(windows):
        for handout in window:
            of_key[handout.key].add((number, handout.possible))
    faults = Faults([], [])
    for key in sorted(of_key.keys() | standing.keys()):
        handouts = sorted(of_key[key], key=lambda one: (len(one[1]), one[0], sorted(one[1])))
        lost, twice = _Choice(handouts, standing.get(key)).best
        faults.lost.extend((key, version) for version in lost)
        faults.twice.extend((key, version) for version in twice)
    return faults


class _Choice:
    """The choice of a version for each handout of one key, with as few faults as possible."""

    def __init__(self, handouts: Sequence[tuple[int, Set[int]]], standing: int | None) -> None:
        self._handouts = handouts
        self._standing = standing
        self._windows: dict[int, list[int]] = defaultdict(list)
        self._fewest = len(handouts) + 2
        self.best: tuple[list[int], list[int]] = ([], [])
        self._choose(0)

    def _choose(self, index: int) -> None:
        twice = [version for version, windows in self._windows.items() if len(set(windows)) > 1]
        if len(twice) >= self._fewest:
            return
        if index == len(self._handouts):
            is_lost = self._standing is not None and not self._windows.get(self._standing)
            lost = [self._standing] if is_lost and self._standing is not None else []
            if len(lost) + len(twice) < self._fewest:
                self._fewest, self.best = len(lost) + len(twice), (lost, sorted(twice))
            return
        window, possible = self._handouts[index]
        for version in sorted(possible):
            self._windows[version].append(window)
            self._choose(index + 1)
            self._windows[version].pop()
            if self._fewest == 0:
                return
