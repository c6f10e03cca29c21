"""`headwater watermark`: the time until which the files of a dataset were processed."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from headwater.cli.format import format_second, format_time
from headwater.cli.on_dataset import get_dataset, run_on_dataset
from headwater.cli.output import CLOCK_TOLERANCE_SECONDS, Json, note, print_json
from headwater.cli.running import DatasetRef
from headwater.domain.errors import MalformedRequestError

if TYPE_CHECKING:
    from headwater.auth.permissions import DatasetContext
    from headwater.service.context import ServiceContext

app = typer.Typer(help="How far a dataset was processed.", no_args_is_help=True, rich_markup_mode=None)


def parse_time(name: str, text: str) -> int:
    """Return a time in Unix seconds, given as Unix seconds or in ISO 8601. Without a time zone it is in UTC.

    Args:
        name: the name of the option or argument, for error texts.
        text: the time as given.

    Raises:
        MalformedRequestError: `text` has neither form.
    """
    from headwater.domain.times import parse_iso_seconds
    from headwater.domain.window import check_seconds, parse_seconds

    if text.isascii() and text.isdigit():
        return parse_seconds(name, text)
    try:
        seconds = parse_iso_seconds(text)
    except ValueError:
        raise MalformedRequestError(
            f"{name}: expected Unix seconds such as 1577836800, or a time such as 2020-01-01T00:00:00Z"
        ) from None
    return check_seconds(name, seconds)


@app.command("get")
def get(ref: DatasetRef, json: Json = False) -> None:
    """Print the watermark.

    It is the second until which files were processed, in Unix seconds; 0 if it was never set. At a terminal, it is
    also printed as a time, on stderr.
    """

    seconds = get_dataset(ref).watermark
    if json:
        print_json({"processedUntilTimestamp": seconds})
    else:
        print(seconds)
        if sys.stderr.isatty():
            note(format_time(seconds) if seconds else "not set")


@app.command("set")
def set_(
    ref: DatasetRef,
    when: Annotated[str, typer.Argument(metavar="TIME", help="Unix seconds, or a time such as 2020-01-01T00:00:00Z.")],
) -> None:
    """Set the watermark.

    An earlier time than before lets files be processed again.
    """
    from headwater.service.watermark import set_watermark

    seconds = parse_time("TIME", when)

    async def work(ctx: ServiceContext, dataset: DatasetContext) -> None:
        await set_watermark(ctx, dataset, seconds)

    run_on_dataset(ref, work)
    note(f"processed until {format_second(seconds)}")
    if seconds > time.time() + CLOCK_TOLERANCE_SECONDS:
        note(
            "this is in the future: new files are listed after that time, or in a day, whichever is earlier. To undo "
            "it, set the watermark back and run `headwater feed reset`"
        )
