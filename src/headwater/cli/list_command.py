"""`headwater list`: list the samples of a dataset, or only the new ones."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from headwater.cli.output import CLOCK_TOLERANCE_SECONDS, format_time, note
from headwater.cli.running import DatasetRef, run
from headwater.cli.watermark import parse_time
from headwater.domain.errors import MalformedRequestError
from headwater.domain.feed import FeedMode
from headwater.domain.text import visible

if TYPE_CHECKING:
    from headwater.auth.permissions import DatasetContext
    from headwater.service.context import ServiceContext
    from headwater.service.listing.pages import SamplesPage

_CLOCK_TICK_SECONDS = 0.05
"""How far the clock of a file system may be behind the one that we read."""


def list_command(
    ref: DatasetRef,
    new: Annotated[
        bool,
        typer.Option(
            "--new",
            help="List the samples since the watermark. After all were written, move the watermark. What arrives in a "
            "second that was already listed comes with the next second.",
        ),
    ] = False,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="List only files of this second or later.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="List only files of this second or earlier.")
    ] = None,
    urls: Annotated[bool, typer.Option("--urls", help="Also print the read URL of each file, after a tab.")] = False,
    json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object per line, with file name and read URL, for programs."),
    ] = False,
) -> None:
    """List the samples of a dataset by name, one per line.

    Control characters and backslashes in names are escaped; --json prints names unchanged.

    TIME is in Unix seconds, or a time such as 2020-01-01T00:00:00Z; both ends are included. Read URLs of LOCAL
    datasources begin with the value that HEADWATER_PUBLIC_URL, or HEADWATER_HOST and HEADWATER_PORT, have for this
    command.
    """
    if new and (start is not None or end is not None):
        raise MalformedRequestError("--new: lists from the watermark to now; leave out --from and --to")
    first = None if start is None else parse_time("--from", start)
    last = None if end is None else parse_time("--to", end)

    async def work(ctx: ServiceContext) -> None:
        from headwater.service.admin import find_dataset
        from headwater.service.feed import feed_mode
        from headwater.service.watermark import set_watermark

        dataset = await find_dataset(ctx, ref)
        if not new:
            await _print_all(ctx, dataset, first, last, urls, json)
            return
        exact = feed_mode(ctx, dataset.dataset) is FeedMode.EXACT
        now = int(time.time()) if exact else await _last_complete_second()
        since = dataset.dataset.watermark + 1 if dataset.dataset.watermark else 0
        await _print_all(ctx, dataset, since, now, urls, json)
        if now > dataset.dataset.watermark:
            await set_watermark(ctx, dataset, now)
        if exact:
            await _note_promise_ahead(ctx, dataset, now)
        if now < dataset.dataset.watermark:
            note(
                f"the watermark {dataset.dataset.watermark} is in the future "
                f"({format_time(dataset.dataset.watermark)}) and stays"
            )

    run(work, contacts_store=True)


async def _note_promise_ahead(ctx: ServiceContext, dataset: DatasetContext, now: int) -> None:
    """Tell why new files are not listed yet, if a window or a watermark was in the future."""
    from headwater.service.feed import summarize_feed

    summary = await summarize_feed(ctx, dataset)
    promised = summary.record.promises.latest if summary is not None else now
    if promised > now + CLOCK_TOLERANCE_SECONDS:
        note(f"new files are listed after {format_time(promised)}: a window or a watermark was in the future")


async def _last_complete_second() -> int:
    """Wait until the current second has passed and return it: no new file can get a date in it."""
    import asyncio

    now = int(time.time())
    await asyncio.sleep(now + 1 + _CLOCK_TICK_SECONDS - time.time())
    return now


async def _print_all(
    ctx: ServiceContext, dataset: DatasetContext, first: int | None, last: int | None, urls: bool, json: bool
) -> None:
    from headwater.service.listing.pages import ListingRequest, list_samples

    cursor, count = None, 0
    while True:
        page = await list_samples(ctx, dataset, ListingRequest(start=first, end=last, cursor=cursor))
        _write(sys.stdout, page, urls, json)
        cursor, count = page.cursor, count + len(page.samples)
        if not page.has_more:
            break
        if sys.stderr.isatty() and not sys.stdout.isatty():
            print(f"\r{count:,} samples …", end="", file=sys.stderr, flush=True)
    sys.stdout.flush()
    if sys.stderr.isatty():
        note(f"\r{count:,} sample{'' if count == 1 else 's'}    ")
    if not count and first is None and last is None:
        note("there are no samples under the path of the datasource; `headwater datasource show` shows the path")


def _write(out: TextIO, page: SamplesPage, urls: bool, json: bool) -> None:
    if json:
        import msgspec

        for name, url in page.samples:
            out.write(msgspec.json.encode({"fileName": name, "readUrl": url}).decode() + "\n")
    else:
        for name, url in page.samples:
            out.write(f"{visible(name)}\t{url}\n" if urls else f"{visible(name)}\n")
