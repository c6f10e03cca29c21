"""`headwater list`: list the samples of a dataset, or only the new ones."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from headwater.cli.format import format_bytes, format_count, format_time
from headwater.cli.on_dataset import run_on_dataset
from headwater.cli.output import CLOCK_TOLERANCE_SECONDS, note
from headwater.cli.running import DatasetRef
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


class _Form(NamedTuple):
    """What is printed for each sample."""

    long: bool
    urls: bool
    json: bool


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
    long: Annotated[bool, typer.Option("--long", "-l", help="Print size and time before each name.")] = False,
    urls: Annotated[bool, typer.Option("--urls", help="Also print the read URL of each file, after a tab.")] = False,
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON object per line, for programs: file name, read URL, size in bytes, and time in "
            "Unix seconds.",
        ),
    ] = False,
) -> None:
    """List the samples of a dataset.

    Names are printed one per line. Control characters and backslashes in them are escaped; --json prints names
    unchanged. At a terminal, the last line (on stderr) is the number of samples and their total size.

    TIME is in Unix seconds, or a time such as 2020-01-01T00:00:00Z; both ends are included. Read URLs of LOCAL
    datasources begin with the public URL of the server that started last, unless HEADWATER_PUBLIC_URL, HEADWATER_HOST
    or HEADWATER_PORT say otherwise.
    """
    if new and (start is not None or end is not None):
        raise MalformedRequestError("--new: lists from the watermark to now; leave out --from and --to")
    first = None if start is None else parse_time("--from", start)
    last = None if end is None else parse_time("--to", end)
    if first is not None and last is not None and first > last:
        raise MalformedRequestError(
            f"--from: {format_time(first)} is after --to, {format_time(last)}, so that there is nothing to list"
        )
    form = _Form(long, urls, json)

    async def work(ctx: ServiceContext, dataset: DatasetContext) -> None:
        if new:
            await _print_new(ctx, dataset, form)
        else:
            await _print_all(ctx, dataset, first, last, form)

    run_on_dataset(ref, work, contacts_store=True)


async def _print_new(ctx: ServiceContext, dataset: DatasetContext, form: _Form) -> None:
    from headwater.service.feed import feed_mode
    from headwater.service.watermark import set_watermark

    watermark = dataset.dataset.watermark
    exact = feed_mode(ctx, dataset.dataset) is FeedMode.EXACT
    now = int(time.time()) if exact else await _last_complete_second()
    await _print_all(ctx, dataset, watermark + 1 if watermark else 0, now, form)
    if now > watermark:
        await set_watermark(ctx, dataset, now)
    if exact:
        await _note_promise_ahead(ctx, dataset, now)
    if now < watermark:
        note(f"the watermark {watermark} is in the future ({format_time(watermark)}) and stays")


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
    ctx: ServiceContext, dataset: DatasetContext, first: int | None, last: int | None, form: _Form
) -> None:
    from headwater.service.listing.pages import ListingRequest, list_samples

    watched = sys.stderr.isatty()
    shows_progress = watched and not sys.stdout.isatty()
    cursor, count, size = None, 0, 0
    while True:
        page = await list_samples(ctx, dataset, ListingRequest(start=first, end=last, cursor=cursor))
        for line in _lines(page, form):
            sys.stdout.write(line + "\n")
        cursor, count = page.cursor, count + len(page.samples)
        size += sum(found.size for found in page.objects)
        if not page.has_more:
            break
        if shows_progress:
            print(f"\r{format_count(count, 'sample')} …", end="", file=sys.stderr, flush=True)
    sys.stdout.flush()
    if watched:
        total = f"{format_count(count, 'sample')}, {format_bytes(size)}"
        note(f"\r{total}" if shows_progress else total)  # longer than the progress, which it overwrites
    if not count and first is None and last is None:
        note("there are no samples under the path of the datasource; `headwater datasource show` shows the path")


def _lines(page: SamplesPage, form: _Form) -> Iterator[str]:
    if form.json:
        import msgspec

        for (name, url), found in zip(page.samples, page.objects, strict=True):
            row = {"fileName": name, "readUrl": url, "sizeInBytes": found.size, "time": found.modified}
            yield msgspec.json.encode(row).decode()
        return
    for (name, url), found in zip(page.samples, page.objects, strict=True):
        line = visible(name)
        if form.long:
            line = f"{format_bytes(found.size):>9}  {format_time(found.modified)}  {line}"
        yield f"{line}\t{url}" if form.urls else line
