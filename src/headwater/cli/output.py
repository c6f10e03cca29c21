"""The output of commands: results go to stdout, everything else to stderr, and exit codes tell the outcome."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from headwater.domain.errors import (
    HeadwaterError,
    MalformedRequestError,
    NotFoundError,
    StartupError,
    StoreError,
)
from headwater.domain.text import visible

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_NOT_FOUND = 3
EXIT_STORE_REFUSES = 4
EXIT_UNAVAILABLE = 5
EXIT_CANNOT_START = 6
EXIT_INTERRUPTED = 130

EXIT_CODES_HELP = (
    "Exit codes: 0 success; 1 failed, or the answer is no; 2 wrong usage or malformed input; 3 not found; "
    "4 the storage refuses; 5 unavailable, try again later; 6 cannot start: a setting, key or catalog is unusable; "
    "130 interrupted"
)

CLOCK_TOLERANCE_SECONDS = 60
"""How far in the future a watermark or a promise may be without a remark: clocks differ."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def exit_code_of(error: HeadwaterError) -> int:
    """Return the exit code of a command that failed with this error."""
    if isinstance(error, StartupError):
        return EXIT_CANNOT_START
    if error.status == 503:
        return EXIT_UNAVAILABLE
    if isinstance(error, NotFoundError):
        return EXIT_NOT_FOUND
    if isinstance(error, StoreError):
        return EXIT_STORE_REFUSES
    return EXIT_USAGE if isinstance(error, MalformedRequestError) else EXIT_FAILURE


def fail(message: str) -> None:
    """Print an error to stderr."""
    print(f"headwater: {message}", file=sys.stderr)


def note(message: str) -> None:
    """Print a message to stderr that is not part of the result."""
    print(message, file=sys.stderr)


def print_json(value: Any) -> None:
    """Print a result as JSON, for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print a result as a table, for people. In a pipe, lines have any length.

    Args:
        columns: the headings.
        rows: the cells; None is an empty cell.
        empty: the message to print to stderr if there are no rows.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column == "ID")
    for row in rows:
        table.add_row(*(Text("" if cell is None else visible(str(cell)), overflow="fold") for cell in row))
    if not table.row_count:
        note(empty)
        return
    console = Console() if sys.stdout.isatty() else Console(width=10_000)
    if sys.stdout.isatty():
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def format_time(seconds: float) -> str:
    """Return a time in Unix seconds as text for people, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
