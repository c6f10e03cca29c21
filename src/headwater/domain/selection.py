"""Files of relevant filenames: which keys a listing is confined to (contract.md#relevant-filenames).

A file is UTF-8 text with one name a line, relative to the datasource's root. A line with `*` is a prefix up to the
first `*`, optionally followed by gitignore patterns, apart by blanks, that take away of it; `!` gives back. A key that
any line selects is selected.

    subdir/image_1.png
    other/*
    subdir/* subdir/image_4* !subdir/image_41.png
"""

from __future__ import annotations

import codecs
import heapq
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from headwater.domain.errors import RelevantFilenamesInvalidError
from headwater.domain.key_order import LAST_UNAMBIGUOUS
from headwater.domain.objects import Key
from headwater.domain.text import visible

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

MOST_BYTES = 16 * 2**20
"""The size of a file at most."""

MOST_PREFIXES = 100_000
"""Lines with `*` at most: each costs a listing at least one request."""

MOST_PATTERNS = 10_000
"""Patterns at most, where a list that other lines repeat counts once: each is compiled, and kept."""

PATTERN_BYTES, PREFIX_BYTES = 1024, 256
"""Memory that a pattern and a prefix take, about, each beyond its text."""

LONGEST_LINE = 65_536
"""Characters."""

LONGEST_NAME = 4096
"""Bytes of UTF-8 in a name or prefix; no kind of storage has longer ones (PATH_MAX of Linux)."""

_BLOCK = 256
"""Names that are held as one piece of bytes, and unpacked together."""

_SHOWN = 100

MOST_STARS = 2
"""Parts `**` of a pattern, not counting the last part: the time to match one grows with the name's length for each."""

_leads_elsewhere = re.compile(r"^/|(?:^|(?<=/))\.\.?(?:/|$)|\0", re.MULTILINE).search
_tokens = re.compile(r"(?:\\.|[^ \t])+").findall
_odd_class = re.compile(r"\[[^\]]*(?:\[|--|&&|~~|\|\|)").search
"""What pathspec takes for gitignore's `[[:alpha:]]`, or Python for operations on sets."""


class SortedNames:
    """Sorted names without duplicates, packed: they take about as much memory as their text.

    Args:
        names: strictly ascending, as UTF-8; none holds a line break.
    """

    def __init__(self, names: Iterable[bytes] = ()) -> None:
        self._firsts: list[bytes] = []
        self._blocks: list[bytes] = []
        self._count = 0
        block: list[bytes] = []
        for name in names:
            block.append(name)
            if len(block) == _BLOCK:
                self._add(block)
                block = []
        if block:
            self._add(block)

    def _add(self, block: list[bytes]) -> None:
        self._firsts.append(block[0])
        self._blocks.append(b"\n".join(block))
        self._count += len(block)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Key:
        return self._block(index // _BLOCK)[index % _BLOCK].decode()

    def __contains__(self, key: object) -> bool:
        if not self._count or not isinstance(key, str):
            return False
        raw = key.encode()
        number = bisect_right(self._firsts, raw) - 1
        return number >= 0 and b"\n" not in raw and raw in self._block(number)

    def packed(self) -> Iterator[bytes]:
        """All of them, unpacked a block at a time."""
        for number in range(len(self._blocks)):
            yield from self._block(number)

    def index(self, bound: Key, *, beyond: bool = False) -> int:
        """How many names are less than a bound; with `beyond` also one that is equal to it."""
        raw = bound.encode()
        number = max(0, bisect_right(self._firsts, raw) - 1)
        if number >= len(self._blocks):
            return 0
        return number * _BLOCK + (bisect_right if beyond else bisect_left)(self._block(number), raw)

    def part(self, begin: int, end: int) -> list[Key]:
        """The names from the index `begin` to before `end`."""
        begin, end = max(begin, 0), min(end, self._count)
        if begin >= end:
            return []
        found: list[bytes] = []
        for number in range(begin // _BLOCK, (end - 1) // _BLOCK + 1):
            found += self._block(number)
        first = begin % _BLOCK
        return [name.decode() for name in found[first : first + end - begin]]

    def _block(self, number: int) -> list[bytes]:
        return self._blocks[number].split(b"\n")


class Selection:
    """What a file names: exact names, and prefixes that contain no other prefix and no exact name of the plan.

    `names` are the exact names that lie below none of the `prefixes`; both are sorted. What a prefix's patterns take
    away, and the names and prefixes below it that give some of it back, is known to `selects` alone.

    Args:
        names: all exact names.
        rules: for each prefix, the patterns of the lines that have it; an empty list selects all of it.
    """

    def __init__(self, names: SortedNames, rules: dict[str, list[GitIgnoreSpec]]) -> None:
        self.prefixes: list[str] = []
        self._rules: dict[str, list[GitIgnoreSpec]] = {}
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
        self.names, self._below = self._apart(names)

    @property
    def has_patterns(self) -> bool:
        """Whether `selects` has patterns to look at, so that it may take a while."""
        return any(self._rules.values())

    @property
    def overhead(self) -> int:
        """Bytes of memory that prefixes and patterns take beyond their text, about."""
        specs = {id(spec): spec for patterns in self._rules.values() for spec in patterns}
        return len(self._rules) * PREFIX_BYTES + sum(len(spec.patterns) for spec in specs.values()) * PATTERN_BYTES

    def selects(self, key: Key) -> bool:
        """Whether any line selects a key."""
        for length in self._lengths:
            if length > len(key):
                break
            patterns = self._rules.get(key[:length])
            # check_file, which tells what the patterns say of a file; a file that they take away is "included".
            if patterns is not None and not (patterns and all(each.check_file(key).include for each in patterns)):
                return True
        return key in self.names or key in self._below

    def _apart(self, names: SortedNames) -> tuple[SortedNames, SortedNames]:
        """Split names into those below no prefix, and those below one with patterns; others are selected anyway."""
        if not self.prefixes:
            return names, SortedNames()
        below: list[Key] = []
        ends = [(names.index(prefix), _end(names, prefix)) for prefix in self.prefixes]

        def outside() -> Iterator[bytes]:
            begin = 0
            for first, last in [*ends, (len(names), len(names))]:
                for at in range(begin, first, _BLOCK):
                    yield from (name.encode() for name in names.part(at, min(at + _BLOCK, first)))
                begin = last

        for prefix, (first, last) in zip(self.prefixes, ends, strict=True):
            if self._rules[prefix]:
                below += names.part(first, last)
        return SortedNames(outside()), SortedNames(name.encode() for name in below)


class SelectionParser:
    """Reads a file as it comes, in chunks of any size.

    Args:
        file: its name, for error texts.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._size = 0
        self._line = 1
        self._rest = b""
        self._runs: list[SortedNames] = []
        self._rules: dict[str, list[GitIgnoreSpec]] = {}
        self._whole: set[str] = set()
        self._specs: dict[tuple[str, ...], GitIgnoreSpec] = {}
        self._prefixes = 0
        self._patterns = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            RelevantFilenamesInvalidError: the file is too large, or a line cannot be used; the text
                names it.
        """
        self._size += len(chunk)
        check_size(self._file, self._size)
        complete, found, rest = (self._rest + chunk).rpartition(b"\n")
        self._rest = rest
        if found:
            self._read(complete)

    def finish(self) -> Selection:
        """Take the last line, and make the plan.

        Raises:
            RelevantFilenamesInvalidError: as `feed`.
        """
        self._read(self._rest)
        runs, self._runs, self._rest = self._runs, [], b""
        names = runs[0] if len(runs) == 1 else SortedNames(_distinct(heapq.merge(*(run.packed() for run in runs))))
        return Selection(names, self._rules)

    def _read(self, raw: bytes) -> None:
        """Read whole lines, without the last line break."""
        if self._line == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            line = self._line + raw.count(b"\n", 0, error.start)
            raise self._refused(line, "not UTF-8; save the file as UTF-8") from None
        if "\r" in text:
            text = text.replace("\r\n", "\n").removesuffix("\r")
        if (bad := _leads_elsewhere(text)) is not None:
            line = self._line + text.count("\n", 0, bad.start())
            raise self._refused(line, _why_elsewhere(text.split("\n")[line - self._line], bad.group()))
        lines = text.split("\n")
        if len(max(lines, key=len)) > LONGEST_NAME // 4:
            self._check_lengths(lines)
        if "*" in text:
            for at, each in enumerate(lines, self._line):
                if "*" in each:
                    self._read_prefix(at, each)
            lines = [line for line in lines if "*" not in line]
        names = {line.encode() for line in lines if line and not line.isspace()}
        if names:
            self._runs.append(SortedNames(sorted(names)))
        self._line += text.count("\n") + 1

    def _check_lengths(self, lines: Sequence[str]) -> None:
        for number, line in enumerate(lines, self._line):
            if len(line) > LONGEST_LINE or len(line.partition("*")[0].encode()) > LONGEST_NAME:
                raise self._refused(
                    number,
                    f"too long: a name has {LONGEST_NAME} bytes at most, and a line with patterns {LONGEST_LINE} "
                    f"characters; write one name a line",
                )

    def _read_prefix(self, number: int, line: str) -> None:
        prefix, _, rest = line.partition("*")
        if rest and rest[0] not in " \t":
            raise self._refused(number, _advice(prefix, rest))
        if prefix in self._whole:
            return
        self._prefixes += 1
        if self._prefixes > MOST_PREFIXES:
            raise self._refused(
                number, f"more than {MOST_PREFIXES} lines with '*'; write shorter prefixes, with patterns after them"
            )
        patterns: tuple[str, ...] = tuple(_tokens(rest))
        if not patterns:
            self._whole.add(prefix)
            self._rules[prefix] = []
            return
        spec = self._specs.get(patterns)
        if spec is None:
            spec = self._specs[patterns] = self._compile(number, patterns)
        self._rules.setdefault(prefix, []).append(spec)

    def _compile(self, number: int, patterns: tuple[str, ...]) -> GitIgnoreSpec:
        from pathspec import GitIgnoreSpec  # slow to import, and few files need it

        self._patterns += len(patterns)
        if self._patterns > MOST_PATTERNS:
            raise self._refused(number, f"more than {MOST_PATTERNS} patterns in the file; write more general ones")
        return GitIgnoreSpec([self._compile_one(number, text) for text in patterns], backend="simple")

    def _compile_one(self, number: int, text: str) -> GitIgnoreSpecPattern:
        from pathspec.patterns.gitignore import GitIgnorePatternError
        from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

        parts = text.removeprefix("!").split("/")
        if any(part in (".", "..") for part in parts):
            raise self._refused(number, f"the pattern {_shown(text)} has a part '.' or '..'; write it from the root on")
        if parts[:-1].count("**") > MOST_STARS:
            raise self._refused(number, f"the pattern {_shown(text)} has more than {MOST_STARS} parts '**'")
        try:
            regex, takes = (None, None) if _odd_class(text) else GitIgnoreSpecPattern.pattern_to_regex(text)
            compiled = None if regex is None else re.compile(_quick(regex))
        except (GitIgnorePatternError, re.error):
            compiled = None
        if compiled is None:
            raise self._refused(
                number,
                f"{_shown(text)} is no gitignore pattern that can be used; put a backslash before a blank, '#', '!', "
                f"'[' or backslash that stands for itself",
            )
        return GitIgnoreSpecPattern(compiled, takes)

    def _refused(self, line: int, why: str) -> RelevantFilenamesInvalidError:
        return RelevantFilenamesInvalidError(f"{visible(self._file)}, line {line}: {why}")


def check_size(file: str, size: int) -> None:
    """Refuse a file that is too large to be held.

    Args:
        file: its name, for the error text.
        size: in bytes.

    Raises:
        RelevantFilenamesInvalidError: it is too large.
    """
    if size > MOST_BYTES:
        raise RelevantFilenamesInvalidError(
            f"{visible(file)}: {size} bytes or more, and a file of relevant filenames has {MOST_BYTES} bytes "
            f"({MOST_BYTES // 2**20} MiB) at most; write prefixes such as folder/* rather than names, or more files"
        )


def just_before(name: str) -> Key:
    """A key that in practice is after all that is before a name, and before the name: where a listing of it begins."""
    code = ord(name[-1]) - 1
    return (
        name[:-1]
        if code < 1
        else f"{name[:-1]}{LAST_UNAMBIGUOUS if 0xD800 <= code <= 0xDFFF else chr(code)}{LAST_UNAMBIGUOUS}"
    )


def _end(names: SortedNames, prefix: str) -> int:
    """The index of the first name after those that begin with a prefix."""
    low, high = names.index(prefix), len(names)
    while low < high:
        middle = (low + high) // 2
        if names[middle].startswith(prefix):
            low = middle + 1
        else:
            high = middle
    return low


def _distinct(names: Iterable[bytes]) -> Iterator[bytes]:
    last = None
    for name in names:
        if name != last:
            yield name
            last = name


_CLASS = r"\[\^?\]?(?:\\.|[^\]\\])*\]"
_ONE = rf"(?:\\.|(?:\(\?!/\))?{_CLASS}(?![*+])|[^\\\[\](){{}}*+?.|^$/])"
"""What matches one character, and no `/`, in a regular expression that pathspec makes."""

_classes = re.compile(rf"\\.|{_CLASS}")
_stars = re.compile(r"(?:\[\^/\]\*){2,}")
_star_before_star = re.compile(rf"\[\^/\]\*({_ONE}+)(?=\[\^/\]\*)")


def _quick(regex: str) -> str:
    """Have a regular expression of pathspec's try one place alone for the `x` of `*x*`: the first.

    The star behind takes whatever the one in front could have, so that it matches the same; but trying every place
    makes a pattern such as `*a*a*a*b` take longer than anyone waits, and whoever writes the file chooses it.
    That holds as long as no `x` matches a `/`, so a class such as `[!a]` does not, as in git.
    """
    regex = _classes.sub(_not_slash, regex)
    return _star_before_star.sub(r"(?>[^/]*?\1)", _stars.sub("[^/]*", regex))


def _not_slash(found: re.Match[str]) -> str:
    text = found[0]
    return text if text.startswith("\\") or text == "[^/]" else f"(?!/){text}"


def _why_elsewhere(line: str, found: str) -> str:
    if found == "\0":
        return "a NUL character"
    wrong = "begins with '/'" if line.startswith("/") else "has a part '.' or '..'"
    return f"{_shown(line)} {wrong}; write the name relative to the datasource's root, such as folder/image.png"


def _advice(prefix: str, rest: str) -> str:
    """What to write instead of `prefix*rest`, where `rest` begins with no blank."""
    end = rest.lstrip("*")
    (end, *_) = _tokens(end) if end and end[0] not in " \t" else [""]
    if "/" in end:
        itself = re.sub(r"[\\\[?# \t]", r"\\\g<0>", prefix)
        given_back = f" * !/{itself}*{end}"
    else:
        given_back = f" * !*{end}" if end else ""
    return (
        f"behind the first '*' expected a blank or the end of the line: what stands before it is a prefix. For "
        f"names such as {_shown(f'{prefix}*{rest}')} write {_shown(f'{prefix}*{given_back}')}"
    )


def _shown(text: str) -> str:
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return f"'{text if text.isprintable() else visible(text)}'"  # a backslash as it is written: it may be copied
