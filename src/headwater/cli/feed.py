"""`headwater feed`: the index of a dataset's raw samples, and what arrived late."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from headwater.cli.datasets import describe_feed, describe_watermark
from headwater.cli.format import (
    Column,
    format_bytes,
    format_count,
    format_second,
    format_time,
    print_fields,
    print_table,
    time_cell,
)
from headwater.cli.on_dataset import get_dataset, run_on_dataset
from headwater.cli.output import CLOCK_TOLERANCE_SECONDS, Json, Yes, confirm, note, print_json
from headwater.cli.running import DatasetRef

if TYPE_CHECKING:
    from headwater.auth.permissions import DatasetContext
    from headwater.catalog.feed.feeds import FeedSummary, RememberedListing
    from headwater.domain.dataset import Dataset
    from headwater.domain.feed import FeedMode
    from headwater.service.context import ServiceContext

app = typer.Typer(help="Show what arrived late; reset the index.", no_args_is_help=True, rich_markup_mode=None)

_LATE_COLUMNS = (
    Column("LISTING", right=True),
    Column("BEGUN"),
    Column("ENDED"),
    Column("LATE FILES", right=True),
    Column("LONGEST DELAY", right=True),
)


@app.command("show")
def show(ref: DatasetRef, json: Json = False) -> None:
    """Show the index, and what arrived late.

    Promised until: nothing new appears in windows up to this second. A file that arrives gets a later listing time.

    Late arrivals are files whose date is in a window that was listed before they appeared, except in its last second.
    They are in a later window. The delay is the longest time from a file's date until it was found.

    With --json, lastCompleteListing, begunAt and endedAt are in milliseconds since 1970, everything else is in seconds.
    """
    from headwater.service.feed import feed_mode, summarize_feed

    async def work(ctx: ServiceContext, dataset: DatasetContext) -> tuple[Dataset, FeedMode, FeedSummary | None]:
        return dataset.dataset, feed_mode(ctx, dataset.dataset), await summarize_feed(ctx, dataset)

    dataset, mode, summary = run_on_dataset(ref, work)
    if json:
        print_json(_data(mode, summary))
        return
    fields = [("mode", describe_feed(mode, dataset)), ("watermark", describe_watermark(dataset))]
    if summary is None:
        print_fields(fields)
        note("there is no index; " + ("the next listing makes one" if mode == "exact" else "listings are by date"))
        return
    print_fields([*fields, *_index_fields(summary), ("late arrivals", _late_arrivals(summary))])
    promised = summary.record.promises.latest
    if promised > time.time() + CLOCK_TOLERANCE_SECONDS:
        note("the promise is in the future: a window or a watermark was. New files appear after it.")
    _print_late_listings(summary)


@app.command("reset")
def reset(ref: DatasetRef, yes: Yes = False) -> None:
    """Drop the index of a dataset.

    The next listing makes a new one; the watermark stays. The new index lists by the files' own times. So first process
    everything that is new: what arrived late and was not processed is not listed after the watermark any more.

    At a terminal you are asked for confirmation; a script is not.
    """
    from headwater.service.feed import reset_feed

    name = get_dataset(ref).name
    confirm(f"Drop the index of {name!r}? Late files that were not processed are then not listed.", yes)
    dropped = run_on_dataset(ref, reset_feed)
    note("the index was dropped; the next listing makes a new one" if dropped else "there was no index")


def _index_fields(summary: FeedSummary) -> Iterator[tuple[str, str]]:
    record = summary.record
    promised = record.promises.latest
    yield "files", f"{record.n_rows:,}"
    yield "bytes", f"{record.n_bytes:,} ({format_bytes(record.n_bytes)})"
    if record.completed_at is not None:
        yield "last complete listing", format_time(record.completed_at / 1000)
    else:
        yield "last complete listing", "none yet: nothing was listed to its end"
    if not record.ordered:
        yield "order", "not certain: files that are gone leave the index with a complete listing"
    yield "promised until", "nothing" if promised < 0 else format_second(promised)


def _late_listings(summary: FeedSummary) -> list[RememberedListing]:
    return [listing for listing in summary.listings if listing.late.count]


def _late_arrivals(summary: FeedSummary) -> str:
    listings = len(summary.listings)
    last = "the last listing" if listings == 1 else f"the last {listings} listings"
    count = sum(each.late.count for each in _late_listings(summary))
    return f"{format_count(count, 'file')} in {last}" if count else f"none in {last}"


def _print_late_listings(summary: FeedSummary) -> None:
    late = _late_listings(summary)
    if not late:
        return
    print()
    rows = [
        (
            each.number,
            time_cell(each.begun_at / 1000, dates_below=60),
            "no" if each.ended_at is None else "yes",
            f"{each.late.count:,}",
            _duration(each.late.delay),
        )
        for each in late
    ]
    print_table(_LATE_COLUMNS, rows, "")


def _data(mode: str, summary: FeedSummary | None) -> dict[str, Any]:
    if summary is None:
        return {"mode": mode, "index": None}
    record = summary.record
    index = {
        "files": record.n_rows,
        "bytes": record.n_bytes,
        "lastCompleteListing": record.completed_at,
        "promisedUntil": None if record.promises.latest < 0 else record.promises.latest,
        "listings": [
            {
                "number": each.number,
                "begunAt": each.begun_at,
                "endedAt": each.ended_at,
                "promise": each.promise,
                "lateArrivals": each.late.count,
                "longestDelay": each.late.delay,
            }
            for each in summary.listings
        ],
    }
    return {"mode": mode, "index": index}


def _duration(seconds: int) -> str:
    """Return a duration for people, such as `2 d 03:04:05`."""
    days, rest = divmod(seconds, 86_400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days:,} d {clock}" if days else clock
