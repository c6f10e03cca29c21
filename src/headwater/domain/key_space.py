"""How many keys are where, estimated from a few pages of a listing.

What is known of a listing are runs: all keys after one text up to another. Between two runs is a gap. Keys are treated
as paths in a tree that branches at each character. A gap after a key contains what branches off to the right of it: at
each depth there may be more siblings, each about as large as the child that contains the key. How many there are is
learned from nodes whose children are all known, for each kind of node (`name_shapes.node_kind`). A kind of node about
which nothing is known is assumed to have every child that its kind of character allows, so that what is unknown looks
large and is probed next.

All texts are sort texts (`key_order.sort_text`), without the prefix of the listing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from headwater.domain.name_shapes import (
    ALPHABETS,
    MAX_CHILDREN,
    common_prefix_length,
    following_characters,
    node_kind,
    shape_of,
)

_MAX_WEIGHT = 1e15


@dataclass(slots=True)
class _NodeStatistics:
    """What is known about the nodes of one kind.

    Attributes:
        closed: for each number of children, how many nodes are known to have exactly that many.
        chars: the characters by which children are reached.
        most: the most children that were seen of a node that may have more.
    """

    closed: list[int] = field(default_factory=lambda: [0] * (MAX_CHILDREN + 1))
    chars: set[str] = field(default_factory=set)
    most: int = 0

    def expected(self, seen: int) -> float | None:
        """Return how many children a node has in which a page ends; None if no such node is known.

        It is the mean over nodes with at least `seen` children, weighted by their number of children: a page ends in a
        node as often as the node has children.
        """
        counts = self.closed[seen:]
        met = sum(number * count for number, count in enumerate(counts, seen))
        return sum(number * number * count for number, count in enumerate(counts, seen)) / met if met else None


class Block(NamedTuple):
    """The keys after `start` up to the next block.

    Attributes:
        start: where the block begins.
        weight: the estimated number of keys.
        inner: the kind of node that contains them.
    """

    start: str
    weight: float
    inner: str


@dataclass(slots=True)
class _Run:
    """All keys after `start` up to `end`. `end` is None if no keys follow; `shape` is the shape of `end`."""

    start: str
    keys: list[str]
    end: str | None
    shape: str


@dataclass(slots=True)
class Gap:
    """What is between two runs.

    Attributes:
        after: the end of the run before the gap.
        before: the start of the run after the gap; None if there is none.
        blocks: the estimated content, in order.
        weight: the estimated number of keys.
        possible: the number of keys if every possible name existed.
        unknown_depths: the depths of `after` about which nothing is known, the deepest first.
        expectations: the depths at which fewer keys are expected than are possible, the deepest first, and how many
            fewer.
    """

    after: str
    before: str | None
    blocks: list[Block]
    weight: float
    possible: float
    unknown_depths: list[int]
    expectations: list[tuple[int, float]]


class KeySpace:
    """What is known about a listing so far.

    Args:
        top: a character after all others: `text + top` is after all keys that begin with `text`.

    Attributes:
        seen: all keys that were seen, in order.
    """

    def __init__(self, top: str) -> None:
        self._top = top
        self._runs: list[_Run] = []
        self.seen: list[str] = []
        self._known: defaultdict[str, _NodeStatistics] = defaultdict(_NodeStatistics)

    def add(self, start: str, keys: list[str], end: str | None) -> None:
        """Add the keys that exist after `start` up to `end`. What is already known is not changed.

        Args:
            start: where the page began.
            keys: the keys on the page, sorted.
            end: where the page ended; None if the listing ended.
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
        shape = "" if end is None else shape_of(end)
        self._runs.insert(index, _Run(start, keys, end, shape))

    def _learn(self, start: str, keys: list[str]) -> None:
        """Learn from the nodes that a run contains completely."""
        if not keys:
            return
        opened = common_prefix_length(start, keys[0]) + 1
        children = [1] * (len(keys[0]) + 1)
        previous, shape, shared = keys[0], shape_of(keys[0]), 0
        for key in keys[1:]:
            if key == previous:  # different keys can have the same sort text
                continue
            alike = common_prefix_length(previous, key)
            # Nodes with a single key say nothing about nodes in which a page ends.
            for depth in range(max(alike + 1, opened), shared + 1):
                self._close(previous, shape, depth, children[depth])
            opened = min(opened, alike + 1)
            children[alike] += 1
            children[alike + 1 :] = [1] * (len(key) - alike)
            shape = shape_of(key)
            chars = self._known[node_kind(shape, alike)].chars
            if len(chars) < MAX_CHILDREN:
                chars.update(key[alike], previous[alike : alike + 1])
            previous, shared = key, alike

    def _learn_closed(self, run: _Run, start: str, first: str | None, end: str | None) -> None:
        """Learn from the nodes around the end of a run that have no more children, because `first` comes next."""
        if run.end is None or (first is None and end is not None):
            return
        ends = 0 if first is None else common_prefix_length(run.end, first) + 1
        for depth in range(ends, min(common_prefix_length(run.end, start), len(start) - 2) + 1):
            children = min(self._children(run.end[:depth])[0], MAX_CHILDREN)
            if children and not self._hides(run.end[:depth], run):
                self._close(run.end, run.shape, depth, children)

    def _close(self, key: str, shape: str, depth: int, children: int) -> None:
        children = min(children, MAX_CHILDREN)
        context = node_kind(shape, depth)
        self._known[context].closed[children] += 1
        if shape[depth - 1 : depth] == "0":
            self._known[f"{context}{key[depth - 1]}="].closed[children] += 1

    def _expected(self, key: str, shape: str, depth: int, children: int) -> float | None:
        """Return how many children a node should have if `children` of them were seen; None if it is unknown.

        After a digit, nodes after the same digit decide if there are any: in dates and times, 0 is followed by ten
        digits, and 1, 2 or 3 by fewer.
        """
        context = node_kind(shape, depth)
        expected = None
        if shape[depth - 1 : depth] == "0":
            expected = self._known[f"{context}{key[depth - 1]}="].expected(children)
        return self._known[context].expected(children) if expected is None else expected

    def _hides(self, node: str, last: _Run) -> bool:
        """Return whether gaps before the end of the run `last` may hide children of a node between those seen."""
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
        """Return how many children of a node were seen, and how many of them up to the character `upto`."""
        seen, all_of_them, some = self.seen, 0, 0
        at = bisect_left(seen, node)
        while at < len(seen) and seen[at].startswith(node) and all_of_them < MAX_CHILDREN:
            if len(seen[at]) == len(node):
                at += 1
                continue
            char = seen[at][len(node)]
            all_of_them += 1
            some += char <= upto
            at = bisect_left(seen, node + char + "\U0010ffff", at)
        return all_of_them, some

    def gaps(self) -> list[Gap]:
        """Return all gaps in order, with their estimated content."""
        gaps: list[Gap] = []
        starts: list[str] = []
        weights: list[float] = [0.0]  # the keys before each run, and before the end of the last one
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
        """Return the known and estimated number of keys of a node, up to the end of the last of these runs."""
        index = bisect_left(starts, node)
        size = weights[-1] - weights[index]
        if index:
            keys = self._runs[index - 1].keys
            size += len(keys) - bisect_left(keys, node)
        return size

    def _gap(self, run: _Run, before: str | None, starts: list[str], weights: list[float]) -> Gap:
        after = run.end
        assert after is not None
        lowest = 0 if before is None else common_prefix_length(after, before)
        deepest = len(after) - 1
        if len(run.keys) > 1:
            deepest = min(deepest, common_prefix_length(run.keys[-2], run.keys[-1]))
        blocks: list[Block] = []
        unknown_depths: list[int] = []
        expectations: list[tuple[int, float]] = []
        weight = possible = 0.0
        for depth in range(deepest, lowest - 1, -1):
            node, char, context = after[:depth], after[depth], self._known[node_kind(run.shape, depth)]
            bound = before[depth] if before is not None and depth == lowest else None
            candidates, step = following_characters(char, bound, run.shape[depth], context.chars)
            unknown = len(candidates)
            if bound is not None:
                candidates = [other for other in candidates if other < bound]
            if not candidates:
                continue
            children, so_far = self._children(node, char)
            expected = self._expected(after, run.shape, depth, max(children, 1))
            if step > 1:
                more = len(candidates) * max(1.0, step * self._density(run, node))
                if expected is not None and children < MAX_CHILDREN / 2:
                    more = min(more, expected - children)
            elif expected is None:
                more = float(len(candidates))
                context.most = max(context.most, children)
                if context.most <= 1:
                    unknown_depths.append(depth)
            else:
                free = max(unknown - (children - so_far), 1)
                more = max(0.0, min(1.0, (expected - children) / free)) * len(candidates)
            size = self._average(run, node, depth, starts, weights) + weight
            child = min(size / self._in_run(run, node), _MAX_WEIGHT)
            if expected is not None and more < len(candidates) / 2:
                expectations.append((depth, child * (len(candidates) - more)))
            possible = min(possible + len(candidates) * max(child, possible), _MAX_WEIGHT)
            if more <= 0.01:
                continue
            each = child * more / len(candidates)
            blocks += [Block(node + other, each, node_kind(run.shape, depth + 1)) for other in candidates]
            weight += child * more
        return Gap(after, before, blocks, weight, possible, unknown_depths, expectations)

    def _in_run(self, run: _Run, node: str) -> int:
        """Return how many children of a node a run has, at least 1."""
        if not run.keys or not run.keys[-1].startswith(node):
            return 1
        at, number = bisect_left(run.keys, node), 0
        while at < len(run.keys) and number < MAX_CHILDREN:
            number += 1
            at = bisect_left(run.keys, run.keys[at][: len(node) + 1] + "\U0010ffff", at)
        return max(number, 1)

    def _density(self, run: _Run, node: str) -> float:
        """Return the share of characters that have children, out of all between a node's first and last in a run."""
        number = self._in_run(run, node)
        if number < 2:
            return 0.0
        first = run.keys[bisect_left(run.keys, node + "\0")][len(node)]
        return number / (ord(run.keys[-1][len(node)]) - ord(first) + 1) if number < MAX_CHILDREN else 1.0

    def _average(self, run: _Run, node: str, depth: int, starts: list[str], weights: list[float]) -> float:
        """Return the weight so far of the children of a node that the run has."""
        if self._in_run(run, node) > 1:
            return float(len(run.keys) - bisect_left(run.keys, node))
        assert run.end is not None
        return self._size(run.end[: depth + 1], starts, weights)

    def divide(self, blocks: list[Block], largest: float) -> list[Block]:
        """Return the blocks, with those larger than `largest` divided into what they are estimated to consist of."""
        divided: list[Block] = []
        for block in blocks:
            chars = self._branches(block.inner) if block.weight > largest else []
            if not chars:
                divided.append(block)
                continue
            kind = block.inner[-1] if block.inner[-1] in ALPHABETS else shape_of(chars[-1])
            inner = block.inner + kind
            pieces = [Block(block.start + char, block.weight / len(chars), inner) for char in chars]
            pieces[0] = pieces[0]._replace(start=block.start)
            divided += self.divide(pieces, largest)
        return divided

    def _branches(self, inner: str) -> list[str]:
        """Return the characters by which nodes of a kind branch, as far as known; empty if they do not branch."""
        context = self._known.get(inner)
        expected = context.expected(2) if context else None
        if context is None or expected is None:
            return []
        chars = sorted(context.chars)
        return chars if 2 <= len(chars) < MAX_CHILDREN and expected >= len(chars) / 2 else []

    def split(self, gap: Gap, pieces: int) -> list[str]:
        """Return texts in a gap that divide it into about `pieces` pieces of equal weight."""
        each = gap.weight / pieces
        chosen: list[str] = []
        passed, goal = 0.0, each / 2
        for block in self.divide(gap.blocks, each):
            if passed + block.weight / 2 >= goal:
                chosen.append(block.start)
                while goal <= passed + block.weight / 2:
                    goal += each
            passed += block.weight
        return chosen[:pieces]

    def jump(self, gap: Gap, depth: int) -> str:
        """Return the text after all keys that have the first `depth + 1` characters of `gap.after`."""
        return gap.after[: depth + 1] + self._top

    def split_points(self, shards: int) -> list[str]:
        """Return at most `shards - 1` texts, ascending, between shards of similar weight.

        Each is a key that was seen, which is the last of its shard, or a text in a gap. After none of them is the
        listing known to be empty.
        """
        gaps = {gap.after: gap for gap in self.gaps()}
        total = len(self.seen) + sum(gap.weight for gap in gaps.values())
        each = total / shards
        positions: list[str] = []
        passed_at: list[float] = []
        passed = 0.0
        for run in self._runs:
            positions += run.keys
            passed_at += [passed + number for number in range(1, len(run.keys) + 1)]
            passed += len(run.keys)
            gap = None if run.end is None else gaps.get(run.end)
            for block in self.divide(gap.blocks, each / 4) if gap else ():
                positions.append(block.start)
                passed_at.append(passed)
                passed += block.weight
        while passed_at and passed_at[-1] >= passed:
            positions.pop()
            passed_at.pop()
        split_points: list[str] = []
        for number in range(1, shards):
            goal = number * each
            index = bisect_left(passed_at, goal)
            if index == len(positions) or (index and goal - passed_at[index - 1] < passed_at[index] - goal):
                index -= 1
            if index >= 0 and positions[index] > (split_points[-1] if split_points else ""):
                split_points.append(positions[index])
        return split_points
