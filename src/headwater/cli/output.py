"""The output of commands: results go to stdout, everything else to stderr, and exit codes tell the outcome."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from headwater.domain.errors import (
    CatalogDamagedError,
    CatalogUnavailableError,
    HeadwaterError,
    MalformedRequestError,
    NotFoundError,
    StartupError,
    StoreError,
)

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

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def exit_code_of(error: HeadwaterError) -> int:
    """Return the exit code of a command that failed with this error."""
    if isinstance(error, StartupError | CatalogDamagedError):
        return EXIT_CANNOT_START
    if error.status == 503:
        return EXIT_UNAVAILABLE
    if isinstance(error, NotFoundError):
        return EXIT_NOT_FOUND
    if isinstance(error, StoreError):
        return EXIT_STORE_REFUSES
    return EXIT_USAGE if isinstance(error, MalformedRequestError) else EXIT_FAILURE


def text_of(error: HeadwaterError) -> str:
    """Return the text of an error for the operator, with the cause that responses of the server leave out."""
    if not isinstance(error, CatalogUnavailableError) or error.__cause__ is None:
        return error.message
    from headwater.catalog.database import describe_error

    return f"{error.message} ({describe_error(error)})"


def fail(message: str) -> None:
    """Print an error to stderr."""
    print(f"headwater: {message}", file=sys.stderr)


def note(message: str) -> None:
    """Print a message to stderr that is not part of the result."""
    print(message, file=sys.stderr)


def confirm(question: str, yes: bool) -> None:
    """Ask a question at a terminal, and abort the command if the answer is no. With `--yes`, do not ask."""
    if not yes and sys.stdin.isatty():
        typer.confirm(question, abort=True)


def print_json(value: Any) -> None:
    """Print a result as JSON, for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False))
