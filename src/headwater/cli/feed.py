"""`headwater feed`: the index of a dataset's raw samples, and what arrived late."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.output import CLOCK_TOLERANCE_SECONDS, Json, format_time, note, print_json, print_table
from headwater.cli.running import DatasetRef, run

if TYPE_CHECKING:
    from headwater.catalog.feed.feeds import FeedSummary
    from headwater.domain.dataset import Dataset
    from headwater.domain.feed import FeedMode
    from headwater.service.context import ServiceContext

app = typer.Typer(
    help="The index of a dataset's raw samples, and what arrived late.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("show")
def show(ref: DatasetRef, json: Json = False) -> None:
    """Show the index of a dataset, what was promised, and what arrived late.

    Promised until: nothing new appears in windows up to this second. A file that arrives gets a later listing time.

    Late arrivals are files whose date is in a window that was listed before they appeared, except in its last second.
    They are in a later window. The delay is the longest time from a file's date until it was found.

    With --json, lastCompleteListing, begunAt and endedAt are in milliseconds since 1970, everything else is in seconds.
    """
    from headwater.service.admin import find_dataset
    from headwater.service.feed import feed_mode, summarize_feed

    async def work(ctx: ServiceContext) -> tuple[Dataset, FeedMode, FeedSummary | None]:
        dataset = await find_dataset(ctx, ref)
        return dataset.dataset, feed_mode(ctx, dataset.dataset), await summarize_feed(ctx, dataset)

    dataset, mode, summary = run(work)
    if json:
        print_json(_data(mode, summary))
        return
    chosen_by = "as HEADWATER_FEED says" if dataset.feed is None else "set for this dataset"
    print(f"mode                   {mode} ({chosen_by})")
    print(f"watermark              {_second(dataset.watermark) if dataset.watermark else 'not set'}")
    if summary is None:
        note("there is no index; " + ("the next listing makes one" if mode == "exact" else "listings are by date"))
        return
    _print_index(summary)
    _print_late_arrivals(summary)


@app.command("reset")
def reset(
    ref: DatasetRef, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False
) -> None:
    """Drop the index of a dataset. The next listing makes a new one; the watermark stays.

    The new index lists by the files' own times. So first process everything that is new: what arrived late and was not
    processed is not listed after the watermark any more.

    At a terminal you are asked for confirmation; a script is not.
    """
    from headwater.service.admin import find_dataset
    from headwater.service.feed import reset_feed

    if not yes and sys.stdin.isatty():
        typer.confirm(f"Drop the index of {ref}? Late files that were not processed are then not listed.", abort=True)

    async def work(ctx: ServiceContext) -> bool:
        return await reset_feed(ctx, await find_dataset(ctx, ref))

    note("the index was dropped; the next listing makes a new one" if run(work) else "there was no index")


def _print_index(summary: FeedSummary) -> None:
    record = summary.record
    promised = record.promises.latest
    if record.completed_at is not None:
        completed = format_time(record.completed_at / 1000)
    else:
        completed = "none yet: nothing was listed to its end"
    print(f"files                  {record.n_rows:,}")
    print(f"bytes                  {record.n_bytes:,}")
    print(f"last complete listing  {completed}")
    if not record.ordered:
        print("order                  not certain: files that are gone leave the index with a complete listing")
    print(f"promised until         {'nothing' if promised < 0 else _second(promised)}")
    if promised > time.time() + CLOCK_TOLERANCE_SECONDS:
        print("                       This is in the future: a window or a watermark was. New files appear after it.")


def _print_late_arrivals(summary: FeedSummary) -> None:
    late = [listing for listing in summary.listings if listing.late.count]
    count, listings = sum(each.late.count for each in late), len(summary.listings)
    last = "the last listing" if listings == 1 else f"the last {listings} listings"
    if not late:
        print(f"late arrivals          none in {last}")
        return
    print(f"late arrivals          {count:,} file{'' if count == 1 else 's'} in {last}")
    print()
    rows = [
        (
            each.number,
            format_time(each.begun_at / 1000),
            "no" if each.ended_at is None else "yes",
            f"{each.late.count:,}",
            _duration(each.late.delay),
        )
        for each in late
    ]
    print_table(("LISTING", "BEGUN", "ENDED", "LATE FILES", "LONGEST DELAY"), rows, "")


def _second(seconds: int) -> str:
    return f"{seconds} ({format_time(seconds)})"


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
