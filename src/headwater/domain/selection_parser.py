"""Parse relevant-filenames files (contract.md#relevant-filenames).

A file is UTF-8 text with one name on each line, relative to the datasource's root. A line with `*` is a prefix up to
the first `*`, optionally followed by gitignore patterns, separated by blanks, which exclude keys; `!` includes them
again. A key is selected if any line selects it.

    subdir/image_1.png
    other/*
    subdir/* subdir/image_4* !subdir/image_41.png
"""

from __future__ import annotations

import codecs
import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from headwater.domain.errors import RelevantFilenamesInvalidError
from headwater.domain.gitignore import PatternList, Pause, compile_pattern, no_pause
from headwater.domain.selection import Selection
from headwater.domain.sorted_names import SortedNames
from headwater.domain.text import visible

if TYPE_CHECKING:
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

MAX_FILE_BYTES = 16 * 2**20

MAX_PREFIXES = 100_000
"""The most lines with `*`. Each costs a listing at least one request."""

MAX_PATTERNS = 10_000
"""The most patterns. A list of patterns that several lines have counts once."""

MAX_LINE_CHARACTERS = 65_536

MAX_NAME_BYTES = 4096
"""The longest name or prefix, as UTF-8. No store has longer names (PATH_MAX of Linux)."""

MAX_DOUBLE_STARS = 2
"""The most parts `**` of a pattern besides its last part. Each multiplies matching time by the length of the name."""

_MAX_SHOWN_CHARACTERS = 100

_outside_root = re.compile(r"^/|(?:^|(?<=/))\.\.?(?:/|$)|\0", re.MULTILINE).search
_tokens = re.compile(r"(?:\\.|[^ \t])+").findall


class SelectionParser:
    """Parses a file in chunks of any size.

    Args:
        file: the name of the file, for error texts.
        pause: called before each pattern that is compiled.
    """

    def __init__(self, file: str, pause: Pause = no_pause) -> None:
        self._file = file
        self._pause = pause
        self._size = 0
        self._line = 1
        self._rest = b""
        self._runs: list[SortedNames] = []
        self._rules: dict[str, dict[PatternList, None]] = {}
        self._whole_prefixes: set[str] = set()
        self._lists: dict[tuple[str, ...], PatternList] = {}
        self._compiled: dict[str, GitIgnoreSpecPattern] = {}
        self._prefixes = 0
        self._patterns = 0

    def feed(self, chunk: bytes) -> None:
        """Parse the next bytes.

        Raises:
            RelevantFilenamesInvalidError: the file is too large, or a line cannot be used; the text names the line.
        """
        self._size += len(chunk)
        check_file_size(self._file, self._size)
        lines, line_break, rest = (self._rest + chunk).rpartition(b"\n")
        self._rest = rest
        if line_break:
            self._read_lines(lines)
        if len(rest) > 4 * MAX_LINE_CHARACTERS:  # a character has at most four bytes
            raise self._too_long(self._line)

    def finish(self) -> Selection:
        """Parse the last line, and return the selection.

        Raises:
            RelevantFilenamesInvalidError: as `feed`.
        """
        self._read_lines(self._rest)
        runs, self._runs, self._rest = self._runs, [], b""
        merged = heapq.merge(*(run.packed() for run in runs))
        return Selection(runs[0] if len(runs) == 1 else SortedNames(_distinct(merged)), self._rules)

    def _read_lines(self, raw: bytes) -> None:
        """Parse complete lines, of which the last one has no line break."""
        if self._line == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            line = self._line + raw.count(b"\n", 0, error.start)
            raise self._invalid(line, "not UTF-8; save the file as UTF-8") from None
        if "\r" in text:
            text = text.replace("\r\n", "\n").removesuffix("\r")
        if (bad := _outside_root(text)) is not None:
            line = self._line + text.count("\n", 0, bad.start())
            raise self._invalid(line, _explain_outside_root(text.split("\n")[line - self._line], bad.group()))
        lines = text.split("\n")
        if len(max(lines, key=len)) > MAX_NAME_BYTES // 4:
            self._check_lengths(lines)
        if "*" in text:
            for number, each in enumerate(lines, self._line):
                if "*" in each:
                    self._read_prefix(number, each)
            lines = [line for line in lines if "*" not in line]
        names = {line.encode() for line in lines if line and not line.isspace()}
        if names:
            self._runs.append(SortedNames(sorted(names)))
        self._line += text.count("\n") + 1

    def _check_lengths(self, lines: Sequence[str]) -> None:
        for number, line in enumerate(lines, self._line):
            if len(line) > MAX_LINE_CHARACTERS or len(line.partition("*")[0].encode()) > MAX_NAME_BYTES:
                raise self._too_long(number)

    def _read_prefix(self, number: int, line: str) -> None:
        prefix, _, rest = line.partition("*")
        if rest and rest[0] not in " \t":
            raise self._invalid(number, _advise_prefix(prefix, rest))
        if prefix in self._whole_prefixes:
            return
        self._prefixes += 1
        if self._prefixes > MAX_PREFIXES:
            raise self._invalid(
                number, f"more than {MAX_PREFIXES} lines with '*'; write shorter prefixes, with patterns after them"
            )
        # Of equal patterns only the last one can decide.
        patterns: tuple[str, ...] = tuple(dict.fromkeys(reversed(_tokens(rest))))[::-1]
        if not patterns:
            self._whole_prefixes.add(prefix)
            self._rules[prefix] = {}
            return
        compiled = self._lists.get(patterns)
        if compiled is None:
            compiled = self._lists[patterns] = self._compile(number, patterns)
        self._rules.setdefault(prefix, {})[compiled] = None

    def _compile(self, number: int, patterns: tuple[str, ...]) -> PatternList:
        self._patterns += len(patterns)
        if self._patterns > MAX_PATTERNS:
            raise self._invalid(number, f"more than {MAX_PATTERNS} patterns in the file; write more general ones")
        for text in patterns:
            if text not in self._compiled:
                self._pause()
                self._compiled[text] = self._compile_one(number, text)
        return PatternList([self._compiled[text] for text in patterns])

    def _compile_one(self, number: int, text: str) -> GitIgnoreSpecPattern:
        parts = text.removeprefix("!").split("/")
        if any(part in (".", "..") for part in parts):
            raise self._invalid(number, f"the pattern {_shown(text)} has a part '.' or '..'; write it from the root on")
        if parts[:-1].count("**") > MAX_DOUBLE_STARS:
            raise self._invalid(number, f"the pattern {_shown(text)} has more than {MAX_DOUBLE_STARS} parts '**'")
        compiled = compile_pattern(text)
        if compiled is None:
            raise self._invalid(
                number,
                f"{_shown(text)} is no gitignore pattern that can be used; put a backslash before a blank, '#', '!', "
                f"'[' or backslash that stands for itself",
            )
        return compiled

    def _too_long(self, line: int) -> RelevantFilenamesInvalidError:
        return self._invalid(
            line,
            f"too long: a name has at most {MAX_NAME_BYTES} bytes, and a line with patterns at most "
            f"{MAX_LINE_CHARACTERS} characters; write one name on each line",
        )

    def _invalid(self, line: int, reason: str) -> RelevantFilenamesInvalidError:
        return RelevantFilenamesInvalidError(f"{visible(self._file)}, line {line}: {reason}")


def check_file_size(file: str, size: int) -> None:
    """Raise RelevantFilenamesInvalidError if a relevant-filenames file is too large.

    Args:
        file: the name of the file, for the error text.
        size: in bytes.
    """
    if size > MAX_FILE_BYTES:
        raise RelevantFilenamesInvalidError(
            f"{visible(file)}: {size} bytes or more, and a relevant-filenames file has at most {MAX_FILE_BYTES} bytes "
            f"({MAX_FILE_BYTES // 2**20} MiB); write prefixes such as folder/* instead of names, or several files"
        )


def _distinct(names: Iterable[bytes]) -> Iterator[bytes]:
    last = None
    for name in names:
        if name != last:
            yield name
            last = name


def _explain_outside_root(line: str, found: str) -> str:
    if found == "\0":
        return "a NUL character"
    wrong = "begins with '/'" if line.startswith("/") else "has a part '.' or '..'"
    return f"{_shown(line)} {wrong}; write the name relative to the datasource's root, such as folder/image.png"


def _advise_prefix(prefix: str, rest: str) -> str:
    """Return what to write instead of `prefix*rest`, if `rest` does not begin with a blank."""
    end = rest.lstrip("*")
    (end, *_) = _tokens(end) if end and end[0] not in " \t" else [""]
    if "/" in end:
        escaped = re.sub(r"[\\\[?# \t]", r"\\\g<0>", prefix)
        included = f" * !/{escaped}*{end}"
    else:
        included = f" * !*{end}" if end else ""
    return (
        f"after the first '*' expected a blank or the end of the line: what is before it is a prefix. For "
        f"names such as {_shown(f'{prefix}*{rest}')} write {_shown(f'{prefix}*{included}')}"
    )


def _shown(text: str) -> str:
    text = text if len(text) <= _MAX_SHOWN_CHARACTERS else text[:_MAX_SHOWN_CHARACTERS] + "…"
    return f"'{text if text.isprintable() else visible(text)}'"  # backslashes stay as written: users may copy the text
