"""How commands speak: results on stdout, everything else on stderr, exit codes that mean something."""

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

NO, USAGE, NOT_FOUND, REFUSED, LATER, NO_START = 1, 2, 3, 4, 5, 6

EXIT_CODES_HELP = (
    "Exit codes: 0 done · 1 failed, or the answer is no · 2 wrong usage or malformed input · 3 not found · "
    "4 the storage refuses · 5 unavailable, try again later · 6 cannot start: a setting, key or catalog"
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def exit_code_of(error: HeadwaterError) -> int:
    """The exit code that an error ends a command with."""
    if isinstance(error, StartupError):
        return NO_START
    if error.status == 503:
        return LATER
    if isinstance(error, NotFoundError):
        return NOT_FOUND
    if isinstance(error, StoreError):
        return REFUSED
    return USAGE if isinstance(error, MalformedRequestError) else NO


def fail(message: str) -> None:
    """Say what went wrong."""
    print(f"headwater: {message}", file=sys.stderr)


def note(message: str) -> None:
    """Say something to the person at the terminal that is not part of the result."""
    print(message, file=sys.stderr)


def print_json(value: Any) -> None:
    """Print a result for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print a result for people. Into a pipe it is never cut to a width."""
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


def moment(seconds: float) -> str:
    """A time for people, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
