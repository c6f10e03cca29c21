"""How many keys lie where, guessed from a few pages of a listing.

A listing is known in runs: all keys after one text up to another. Between two runs is a gap. Keys are read as paths of
a tree that branches at each character, and a gap as what branches off to the right of the key that it follows: at each
depth of that key some siblings may come, each about as large as the child that the key is in. How many there are is
learned from nodes whose children are all known, told apart by the shape of what is before them: `class_0120/img_001`
and `class_0733/img_204` lead to nodes of one shape. A shape of which nothing is known is taken to have all the children
that its kind of character allows, so that ignorance looks heavy and attracts the next probe.

All texts here are `domain.shards.ordered`, without what all keys begin with.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from string import ascii_lowercase, ascii_uppercase, digits
from typing import NamedTuple

_KINDS = (
    *(("0", "9"), ("A", "Z"), ("a", "z"), ("\x80", "\u07ff"), ("\u0800", "\u33ff"), ("\u3400", "\u9fff")),
    *(("\ua000", "\ud7ff"), ("\ue000", "\ufffd"), ("\U00010000", "\U0001efff"), ("\U0001f000", "\U0001fffd")),
    ("\U00020000", "\U0010fffd"),
)
"""First and last of the characters that stand for each other in names: digits, letters, scripts."""

_SPREAD = 16
"""Characters of a script that are tried, of all that there are between two."""

_SLASH, _HASH, _MIXED = "\0", "\1", "\2"
"""Stand in shapes for `/`, for the digits of a hash, and for what is made of digits and letters of both cases."""

_HEX_NAME = re.compile(r"[0-9a-f]{6,}")
_MIXED_NAME = re.compile(r"[0-9A-Za-z]{8,}")
_ALPHABETS = {
    _HASH: digits + "abcdef",
    _MIXED: digits + ascii_uppercase + ascii_lowercase,
}
_SHAPES = str.maketrans(
    {"/": _SLASH}
    | dict.fromkeys("123456789", "0")
    | dict.fromkeys(ascii_uppercase, "A")
    | dict.fromkeys(ascii_lowercase, "a")
)

_MOST_CHILDREN = 64
"""Children of a node that are counted; those of alphabets, not of scripts."""

_HUGE = 1e15


def _shape(text: str) -> str:
    """A text of the same length, with one character for each kind."""
    if not text.isascii():
        text = "".join(char if char < "\x80" else "u" for char in text)
    text = _HEX_NAME.sub(_shape_of_hash, text)
    text = _MIXED_NAME.sub(_shape_of_mixed, text)
    return text.translate(_SHAPES)


# What such names hold is looked at once for each: an expression that looks ahead does so again at each character, and
# a long name without a digit then holds up the server.
def _shape_of_hash(found: re.Match[str]) -> str:
    name = found[0]
    return name if name.isalpha() or name.isdigit() else _HASH * len(name)


def _shape_of_mixed(found: re.Match[str]) -> str:
    name = found[0]
    if name.isalpha() or name.islower() or name.isupper() or name.isdigit():
        return name
    return _MIXED * len(name)


def common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    for index, (char, twin) in enumerate(zip(one, other, strict=False)):
        if char != twin:
            return index
    return min(len(one), len(other))


def _context(shape: str, depth: int) -> str:
    """What a node is told apart by: the depth of its folder, and the shape of the name so far."""
    return f"{shape.count(_SLASH, 0, depth)}:{shape[shape.rfind(_SLASH, 0, depth) + 1 : depth]}"


def _candidates(char: str, before: str | None, kind: str, known: set[str]) -> tuple[list[str], int]:
    """Characters after `char` that siblings may have, each standing for so many: of scripts, only those to `before`."""
    found = {other for other in known if other > char} if len(known) < _MOST_CHILDREN else set()
    step = 1
    if kind in _ALPHABETS:
        found.update(other for other in _ALPHABETS[kind] if other > char)
    else:
        for first, last in _KINDS:
            if first <= char <= last:
                if char > "\x7f" and before is not None and before <= last:
                    last = chr(ord(before) - 1)
                between = ord(last) - ord(char)
                if char > "\x7f" and between > 2 * _SPREAD:
                    step = between // _SPREAD
                    found = set()
                found.update(map(chr, range(ord(char) + step, ord(last) + 1, step)))
    return sorted(found), step


@dataclass(slots=True)
class _Context:
    """What is known of nodes of one shape: how many had so many children, and which.

    `most` is how many were seen of a node that may have more.
    """

    closed: list[int] = field(default_factory=lambda: [0] * (_MOST_CHILDREN + 1))
    chars: set[str] = field(default_factory=set)
    most: int = 0

    def expected(self, seen: int) -> float | None:
        """How many children a node has in which a page ends; None where no such node is known.

        Of nodes that have at least as many, the mean by which each counts as often as it has children: so often it is
        met.
        """
        counts = self.closed[seen:]
        met = sum(number * count for number, count in enumerate(counts, seen))
        return sum(number * number * count for number, count in enumerate(counts, seen)) / met if met else None


class Block(NamedTuple):
    """Keys after `start` up to the next block, guessed to be so many. `inner` is the shape of what is in it."""

    start: str
    weight: float
    inner: str


@dataclass(slots=True)
class _Run:
    """All keys after `start` up to `end`; `end` is None where nothing comes any more."""

    start: str
    keys: list[str]
    end: str | None
    shape: str


@dataclass(slots=True)
class Gap:
    """What is between two runs.

    `after` is the end of the one and `before` the start of the other, None at the end of all. `blocks` are in order.
    `ignorant` holds the depths of `after` of which nothing is known, `trusting` those at which less is expected than
    could be, with how much less; the deepest first. `possible` is the weight if all that could be were there.
    """

    after: str
    before: str | None
    blocks: list[Block]
    weight: float
    possible: float
    ignorant: list[int]
    trusting: list[tuple[int, float]]


class KeySpace:
    """What is known of a listing so far.

    Args:
        top: a character behind all others, for texts that are after all that begins with another.

    Attributes:
        seen: all keys that were seen, in order.
    """

    def __init__(self, top: str) -> None:
        self._top = top
        self._runs: list[_Run] = []
        self.seen: list[str] = []
        self._known: defaultdict[str, _Context] = defaultdict(_Context)

    def add(self, start: str, keys: list[str], end: str | None) -> None:
        """Take in all keys after `start` up to `end`; what was known of them before stays as it was.

        Args:
            start: of what was looked at.
            keys: those that there are, sorted.
            end: None where the listing ends with them.
        """
        starts = [run.start for run in self._runs]
        index = bisect_right(starts, start)
        before = self._runs[index].start if index < len(starts) else None
        if index:
            known = self._runs[index - 1].end
            if known is None or (end is not None and end <= known):
                return
            start = max(start, known)
        keys = [key for key in keys if key > start and (before is None or key <= before)]
        if before is not None and (end is None or end > before):
            end = before
        if end is not None and end < start:
            end = start
        at = bisect_left(self.seen, start)
        self.seen[at:at] = keys
        self._learn(start, keys)
        if index:
            self._learn_closed(
                self._runs[index - 1], start, keys[0] if keys else before if end == before else None, end
            )
        shape = "" if end is None else _shape(end)
        self._runs.insert(index, _Run(start, keys, end, shape))

    def _learn(self, start: str, keys: list[str]) -> None:
        """Learn from the nodes that lie within a run."""
        if not keys:
            return
        opened = common(start, keys[0]) + 1
        children = [1] * (len(keys[0]) + 1)
        previous, shape, shared = keys[0], _shape(keys[0]), 0
        for key in keys[1:]:
            if key == previous:  # as ordered text
                continue
            alike = common(previous, key)
            # Nodes of a single key tell nothing of those that a page ends in.
            for depth in range(max(alike + 1, opened), shared + 1):
                self._close(previous, shape, depth, children[depth])
            opened = min(opened, alike + 1)
            children[alike] += 1
            children[alike + 1 :] = [1] * (len(key) - alike)
            shape = _shape(key)
            chars = self._known[_context(shape, alike)].chars
            if len(chars) < _MOST_CHILDREN:
                chars.update(key[alike], previous[alike : alike + 1])
            previous, shared = key, alike

    def _learn_closed(self, run: _Run, start: str, first: str | None, end: str | None) -> None:
        """Learn from the nodes above the end of a run that turned out to have no more: a probe found `first` next."""
        if run.end is None or (first is None and end is not None):
            return
        ends = 0 if first is None else common(run.end, first) + 1
        for depth in range(ends, min(common(run.end, start), len(start) - 2) + 1):
            children = min(self._children(run.end[:depth])[0], _MOST_CHILDREN)
            if children and not self._hides(run.end[:depth], run):
                self._close(run.end, run.shape, depth, children)

    def _close(self, key: str, shape: str, depth: int, children: int) -> None:
        children = min(children, _MOST_CHILDREN)
        context = _context(shape, depth)
        self._known[context].closed[children] += 1
        if shape[depth - 1 : depth] == "0":
            self._known[f"{context}{key[depth - 1]}="].closed[children] += 1

    def _expected(self, key: str, shape: str, depth: int, children: int) -> float | None:
        """How many children a node should have, of which so many were seen.

        After a digit that is told by nodes after the same digit, if there are any: in dates and times 0 leads to ten
        others, and 1, 2 or 3 to fewer.
        """
        context = _context(shape, depth)
        expected = None
        if shape[depth - 1 : depth] == "0":
            expected = self._known[f"{context}{key[depth - 1]}="].expected(children)
        return self._known[context].expected(children) if expected is None else expected

    def _hides(self, node: str, last: _Run) -> bool:
        """Whether there may be children of a node in gaps between those that were seen, before the end of a run."""
        depth, end = len(node), ""
        for run in self._runs[max(0, bisect_left(self._runs, node, key=lambda run: run.start) - 1) :]:
            inside = end.startswith(node) and run.start.startswith(node) and min(len(end), len(run.start)) > depth
            if inside and ord(run.start[depth]) - ord(end[depth]) > 1:
                return True
            if run is last or run.end is None:
                return False
            end = run.end
        return False

    def _children(self, node: str, upto: str = "\U0010ffff") -> tuple[int, int]:
        """How many children of a node were seen, and how many of them up to a character."""
        seen, all_of_them, some = self.seen, 0, 0
        at = bisect_left(seen, node)
        while at < len(seen) and seen[at].startswith(node) and all_of_them < _MOST_CHILDREN:
            if len(seen[at]) == len(node):
                at += 1
                continue
            char = seen[at][len(node)]
            all_of_them += 1
            some += char <= upto
            at = bisect_left(seen, node + char + "\U0010ffff", at)
        return all_of_them, some

    def gaps(self) -> list[Gap]:
        """All gaps, in order, with what is guessed of them."""
        gaps: list[Gap] = []
        starts: list[str] = []
        weights: list[float] = [0.0]  # before each run, and at the end of the last
        for index, run in enumerate(self._runs):
            starts.append(run.start)
            before = self._runs[index + 1].start if index + 1 < len(self._runs) else None
            weights.append(weights[-1] + len(run.keys))
            if run.end is None or run.end == before:
                continue
            gap = self._gap(run, before, starts, weights)
            gaps.append(gap)
            weights[-1] += gap.weight
        return gaps

    def _size(self, node: str, starts: list[str], weights: list[float]) -> float:
        """What is known and guessed of a node up to the end of the last of these runs."""
        index = bisect_left(starts, node)
        size = weights[-1] - weights[index]
        if index:
            keys = self._runs[index - 1].keys
            size += len(keys) - bisect_left(keys, node)
        return size

    def _gap(self, run: _Run, before: str | None, starts: list[str], weights: list[float]) -> Gap:
        after = run.end
        assert after is not None
        lowest = 0 if before is None else common(after, before)
        deepest = len(after) - 1
        if len(run.keys) > 1:
            deepest = min(deepest, common(run.keys[-2], run.keys[-1]))
        blocks: list[Block] = []
        ignorant: list[int] = []
        trusting: list[tuple[int, float]] = []
        weight = possible = 0.0
        for depth in range(deepest, lowest - 1, -1):
            node, char, context = after[:depth], after[depth], self._known[_context(run.shape, depth)]
            bound = before[depth] if before is not None and depth == lowest else None
            candidates, step = _candidates(char, bound, run.shape[depth], context.chars)
            unknown = len(candidates)
            if bound is not None:
                candidates = [other for other in candidates if other < bound]
            if not candidates:
                continue
            children, so_far = self._children(node, char)
            expected = self._expected(after, run.shape, depth, max(children, 1))
            if step > 1:
                more = len(candidates) * max(1.0, step * self._density(run, node))
                if expected is not None and children < _MOST_CHILDREN / 2:
                    more = min(more, expected - children)
            elif expected is None:
                more = float(len(candidates))
                context.most = max(context.most, children)
                if context.most <= 1:
                    ignorant.append(depth)
            else:
                free = max(unknown - (children - so_far), 1)
                more = max(0.0, min(1.0, (expected - children) / free)) * len(candidates)
            size = self._average(run, node, depth, starts, weights) + weight
            child = min(size / self._in_run(run, node), _HUGE)
            if expected is not None and more < len(candidates) / 2:
                trusting.append((depth, child * (len(candidates) - more)))
            possible = min(possible + len(candidates) * max(child, possible), _HUGE)
            if more <= 0.01:
                continue
            each = child * more / len(candidates)
            blocks += [Block(node + other, each, _context(run.shape, depth + 1)) for other in candidates]
            weight += child * more
        return Gap(after, before, blocks, weight, possible, ignorant, trusting)

    def _in_run(self, run: _Run, node: str) -> int:
        """How many children of a node a run has; 1 at least."""
        if not run.keys or not run.keys[-1].startswith(node):
            return 1
        at, number = bisect_left(run.keys, node), 0
        while at < len(run.keys) and number < _MOST_CHILDREN:
            number += 1
            at = bisect_left(run.keys, run.keys[at][: len(node) + 1] + "\U0010ffff", at)
        return max(number, 1)

    def _density(self, run: _Run, node: str) -> float:
        """What part of the characters between the first and the last that a run has below a node have children."""
        number = self._in_run(run, node)
        if number < 2:
            return 0.0
        first = run.keys[bisect_left(run.keys, node + "\0")][len(node)]
        return number / (ord(run.keys[-1][len(node)]) - ord(first) + 1) if number < _MOST_CHILDREN else 1.0

    def _average(self, run: _Run, node: str, depth: int, starts: list[str], weights: list[float]) -> float:
        """The weight, so far, of the children of a node that the run has."""
        if self._in_run(run, node) > 1:
            return float(len(run.keys) - bisect_left(run.keys, node))
        assert run.end is not None
        return self._size(run.end[: depth + 1], starts, weights)

    def parts(self, blocks: list[Block], largest: float) -> list[Block]:
        """Divide blocks that are larger than so much into what they are guessed to consist of."""
        parts: list[Block] = []
        for block in blocks:
            chars = self._parted(block.inner) if block.weight > largest else []
            if not chars:
                parts.append(block)
                continue
            kind = block.inner[-1] if block.inner[-1] in _ALPHABETS else _shape(chars[-1])
            inner = block.inner + kind
            divided = [Block(block.start + char, block.weight / len(chars), inner) for char in chars]
            divided[0] = divided[0]._replace(start=block.start)
            parts += self.parts(divided, largest)
        return parts

    def _parted(self, inner: str) -> list[str]:
        """The characters by which what has this shape branches, as far as is known; none where it does not."""
        context = self._known.get(inner)
        expected = context.expected(2) if context else None
        if context is None or expected is None:
            return []
        chars = sorted(context.chars)
        return chars if 2 <= len(chars) < _MOST_CHILDREN and expected >= len(chars) / 2 else []

    def split(self, gap: Gap, pieces: int) -> list[str]:
        """Choose texts in a gap that divide it into about so many pieces of equal weight."""
        each = gap.weight / pieces
        chosen: list[str] = []
        passed, goal = 0.0, each / 2
        for block in self.parts(gap.blocks, each):
            if passed + block.weight / 2 >= goal:
                chosen.append(block.start)
                while goal <= passed + block.weight / 2:
                    goal += each
            passed += block.weight
        return chosen[:pieces]

    def jump(self, gap: Gap, depth: int) -> str:
        """The text after all that begins like `gap.after` down to a depth."""
        return gap.after[: depth + 1] + self._top

    def bounds(self, shards: int) -> list[str]:
        """Texts between shards of similar weight; ascending, at most one fewer than shards.

        Each is a key that was seen, which ends its shard, or a text in a gap. None is known to have nothing behind it.
        """
        gaps = {gap.after: gap for gap in self.gaps()}
        total = len(self.seen) + sum(gap.weight for gap in gaps.values())
        each = total / shards
        places: list[str] = []
        passed_at: list[float] = []
        passed = 0.0
        for run in self._runs:
            places += run.keys
            passed_at += [passed + number for number in range(1, len(run.keys) + 1)]
            passed += len(run.keys)
            gap = None if run.end is None else gaps.get(run.end)
            for block in self.parts(gap.blocks, each / 4) if gap else ():
                places.append(block.start)
                passed_at.append(passed)
                passed += block.weight
        while passed_at and passed_at[-1] >= passed:
            places.pop()
            passed_at.pop()
        bounds: list[str] = []
        for number in range(1, shards):
            goal = number * each
            index = bisect_left(passed_at, goal)
            if index == len(places) or (index and goal - passed_at[index - 1] < passed_at[index] - goal):
                index -= 1
            if index >= 0 and places[index] > (bounds[-1] if bounds else ""):
                bounds.append(places[index])
        return bounds
