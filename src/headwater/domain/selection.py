"""What a relevant-filenames file selects (contract.md#relevant-filenames)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from headwater.domain.gitignore import PatternList, Pause, no_pause
from headwater.domain.objects import Key
from headwater.domain.sorted_names import BLOCK_NAMES, SortedNames

PATTERN_BYTES, PREFIX_BYTES = 1024, 256
"""Memory that a pattern and a prefix take besides their text, approximately."""


class Selection:
    """The keys that a relevant-filenames file selects: some by name, others by prefix.

    Args:
        names: all names in the file.
        rules: for each prefix in the file, the patterns of its lines, which exclude keys; none if the prefix selects
            everything. Lines with the same patterns share one list.

    Attributes:
        names: the names that begin with none of `prefixes`.
        prefixes: the shortest prefixes, in ascending order. None begins with another.
    """

    def __init__(self, names: SortedNames, rules: Mapping[str, Collection[PatternList]]) -> None:
        self.prefixes: list[str] = []
        self._rules: dict[str, Collection[PatternList]] = {}
        whole: str | None = None
        for prefix in sorted(rules):
            if whole is not None and prefix.startswith(whole):
                continue
            if not rules[prefix]:
                whole = prefix
            if not self.prefixes or not prefix.startswith(self.prefixes[-1]):
                self.prefixes.append(prefix)
            self._rules[prefix] = rules[prefix]
        self._lengths = sorted({len(prefix) for prefix in self._rules})
        self.names, self._names_in_prefixes = self._separate(names)

    @property
    def has_patterns(self) -> bool:
        """Whether `selects` has to match patterns, which can take some time."""
        return any(self._rules.values())

    @property
    def overhead_bytes(self) -> int:
        """Memory that prefixes and patterns take besides their text, approximately."""
        lists = {each for patterns in self._rules.values() for each in patterns}
        return len(self._rules) * PREFIX_BYTES + sum(map(len, lists)) * PATTERN_BYTES

    def selects(self, key: Key, pause: Pause = no_pause) -> bool:
        """Return whether any line of the file selects a key.

        Args:
            key: the key.
            pause: called before each pattern that is matched. Each pattern is matched at most once.
        """
        excluding: set[PatternList] = set()
        for length in self._lengths:
            if length > len(key):
                break
            patterns = self._rules.get(key[:length])
            if patterns is None:
                continue
            if not patterns:
                return True
            for each in patterns:
                if each not in excluding and not each.excludes(key, pause):
                    return True
                excluding.add(each)
        return key in self.names or key in self._names_in_prefixes

    def _separate(self, names: SortedNames) -> tuple[SortedNames, SortedNames]:
        """Return the names in no prefix, and the names in prefixes with patterns. Other names are selected anyway."""
        if not self.prefixes:
            return names, SortedNames()
        ranges = [(names.index(prefix), names.end_of_prefix(prefix)) for prefix in self.prefixes]

        def outside() -> Iterator[bytes]:
            begin = 0
            for first, last in [*ranges, (len(names), len(names))]:
                for at in range(begin, first, BLOCK_NAMES):
                    yield from (name.encode() for name in names.part(at, min(at + BLOCK_NAMES, first)))
                begin = last

        inside: list[Key] = []
        for prefix, (first, last) in zip(self.prefixes, ranges, strict=True):
            if self._rules[prefix]:
                inside += names.part(first, last)
        return SortedNames(outside()), SortedNames(name.encode() for name in inside)
