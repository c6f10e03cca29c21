"""How commands show results to people: tables, fields, sizes, times. Text from outside is escaped here."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TextIO

from headwater.cli.output import note
from headwater.domain.text import visible

_GAP = "  "
_MIN_CUT_WIDTH = 10
_DEFAULT_WIDTH = 80
_WIDTH_FOR_TIMES = 80
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        heading: its heading.
        right: align the cells to the right, as numbers are.
        cut: the cells may be cut if the terminal is too narrow.
        optional: leave the column out if the terminal is too narrow. The last such column goes first.
    """

    heading: str
    right: bool = False
    cut: bool = False
    optional: bool = False


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print a result as a table that fits the terminal. In a pipe, lines have any length and nothing is left out.

    Args:
        columns: the columns.
        rows: the cells; None is an empty cell.
        empty: the message to print to stderr if there are no rows.
    """
    lines = [[_shown(cell) for cell in row] for row in rows]
    if not lines:
        note(empty)
        return
    width = terminal_width()
    if width is not None:
        columns, lines = _without_optional(columns, lines, width)
    widths = _widths(columns, lines)
    fitting = widths if width is None else _fit(columns, widths, width)
    for line in [[column.heading for column in columns], *lines]:
        cells = map(_cell, columns, line, fitting)
        print(_GAP.join(cells).rstrip())
    if fitting != widths:
        note("text that ends in … was cut to fit the terminal; --json shows all of it")


def print_fields(fields: Iterable[tuple[str, object]], file: TextIO | None = None) -> None:
    """Print the properties of one thing, each on a line: its name, then its value. None is not shown.

    Args:
        fields: the names and values.
        file: where they are printed; stdout by default.
    """
    shown = [(name, _shown(value)) for name, value in fields if value is not None]
    width = max(len(name) for name, _ in shown)
    for name, value in shown:
        print(f"{name:<{width}}{_GAP}{value}".rstrip(), file=file)


def terminal_width() -> int | None:
    """Return the number of columns of the terminal that results are printed to; None if they go elsewhere."""
    return shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns if sys.stdout.isatty() else None


def format_time(seconds: float) -> str:
    """Return a time in Unix seconds as text for people, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def time_cell(seconds: float, dates_below: int = _WIDTH_FOR_TIMES) -> str:
    """Return a time for a table: with seconds in a pipe, with minutes at a terminal, as a date at a narrow one.

    Args:
        seconds: the time in Unix seconds.
        dates_below: the number of columns below which a terminal is narrow.
    """
    width = terminal_width()
    if width is None:
        return format_time(seconds)
    return format_time(seconds)[: len("2020-01-01") if width < dates_below else len("2020-01-01 00:00")]


def format_second(seconds: int) -> str:
    """Return a second as a number that other commands take, and as a time."""
    return f"{seconds} ({format_time(seconds)})"


def format_bytes(count: int) -> str:
    """Return a number of bytes for people, such as `512 B`, `1.5 KiB` or `340 MiB`."""
    size, unit = float(count), 0
    while round(size) >= 1024 and unit + 1 < len(_UNITS):
        size, unit = size / 1024, unit + 1
    digits = 1 if unit and round(size, 1) < 10 else 0
    return f"{size:,.{digits}f} {_UNITS[unit]}"


def format_count(count: int, noun: str) -> str:
    """Return a number with its noun, such as `1 file` or `1,200 files`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _shown(value: object) -> str:
    return "" if value is None else visible(str(value))


def _without_optional(
    columns: Sequence[Column], lines: list[list[str]], width: int
) -> tuple[Sequence[Column], list[list[str]]]:
    """Return columns and cells without the optional columns for which there is no room."""
    kept = list(range(len(columns)))
    for number in reversed(range(len(columns))):
        natural = _widths([columns[each] for each in kept], [[line[each] for each in kept] for line in lines])
        if _total(natural) <= width:
            break
        if columns[number].optional:
            kept.remove(number)
    return [columns[each] for each in kept], [[line[each] for each in kept] for line in lines]


def _fit(columns: Sequence[Column], widths: list[int], width: int) -> list[int]:
    """Return widths that fit, if they can: the widest column that may be cut gives first."""
    widths = list(widths)
    while _total(widths) > width:
        wide = [each for each, column in enumerate(columns) if column.cut and widths[each] > _MIN_CUT_WIDTH]
        if not wide:
            break
        widths[max(wide, key=lambda each: widths[each])] -= 1
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _widths(columns: Sequence[Column], lines: Sequence[Sequence[str]]) -> list[int]:
    from rich.cells import cell_len

    return [
        max(len(column.heading), *(cell_len(line[number]) for line in lines)) for number, column in enumerate(columns)
    ]


def _cell(column: Column, text: str, width: int) -> str:
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) > width:
        text = set_cell_size(text, width - 1) + "…"
    padding = " " * (width - cell_len(text))
    return padding + text if column.right else text + padding
