"""`headwater watermark`: until when a dataset's files were processed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headwater.cli.output import Json, moment, note, print_json
from headwater.cli.running import DatasetRef, run
from headwater.domain.errors import MalformedRequestError

if TYPE_CHECKING:
    from headwater.service.context import ServiceContext

app = typer.Typer(help="Until when a dataset's files were processed.", no_args_is_help=True, rich_markup_mode=None)


def parse_moment(name: str, text: str) -> int:
    """Read a time that a person gives: Unix seconds, or ISO 8601, in UTC if it names no zone.

    Raises:
        MalformedRequestError: neither of these.
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
    """Print the watermark in Unix seconds; 0 until it is set."""
    from headwater.service.admin import find_dataset

    seconds = run(lambda ctx: find_dataset(ctx, ref)).dataset.watermark
    if json:
        print_json({"processedUntilTimestamp": seconds})
    else:
        print(seconds)


@app.command("set")
def set_(
    ref: DatasetRef,
    when: Annotated[str, typer.Argument(metavar="TIME", help="Unix seconds, or a time such as 2020-01-01T00:00:00Z.")],
) -> None:
    """Set the watermark, also back to an earlier time to process files again."""
    from headwater.service.admin import find_dataset
    from headwater.service.watermark import set_watermark

    seconds = parse_moment("TIME", when)

    async def work(ctx: ServiceContext) -> None:
        await set_watermark(ctx, await find_dataset(ctx, ref), seconds)

    run(work)
    note(f"processed until {seconds} ({moment(seconds)})")
