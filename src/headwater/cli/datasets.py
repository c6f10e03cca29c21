"""`headwater dataset`: create, list, change and delete datasets."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.output import Json, format_time, note, print_json, print_table
from headwater.cli.running import DatasetRef, note_implicit_user, run
from headwater.domain.dataset import Dataset, DatasetType, NewDataset
from headwater.domain.feed import FeedMode

if TYPE_CHECKING:
    from headwater.service.context import ServiceContext

app = typer.Typer(help="Create, list, change and delete datasets.", no_args_is_help=True, rich_markup_mode=None)


class _Feed(StrEnum):
    """The values of `--feed`."""

    EXACT = "exact"
    DATES = "dates"
    SERVER = "server"

    @property
    def mode(self) -> FeedMode | None:
        """What the catalog stores."""
        return None if self is _Feed.SERVER else FeedMode(self.value)


User = Annotated[
    str | None,
    typer.Option(
        help="The user who owns the dataset; a new name creates the user. Optional while there is at most one user."
    ),
]

FeedChoice = Annotated[
    _Feed,
    typer.Option(
        "--feed",
        help="How raw samples are listed: exact (every version of a file is in exactly one window), dates (by the time "
        "of the file; files that arrive late are lost), or server (as the server's HEADWATER_FEED says).",
    ),
]


@app.command("create")
def create(
    name: Annotated[
        str,
        typer.Argument(
            help="3 or more characters: letters, digits, spaces, '_', '-'. A user can have one dataset with a name."
        ),
    ],
    user: User = None,
    dataset_type: Annotated[
        DatasetType, typer.Option("--type", help="What the dataset is made of.")
    ] = DatasetType.IMAGES,
    include_all_files: Annotated[
        bool, typer.Option("--every-file", help="List every file, not only images and videos.")
    ] = False,
    feed: FeedChoice = _Feed.SERVER,
    json: Json = False,
) -> None:
    """Create a dataset and print only its id on stdout."""
    from headwater.service import admin

    new = NewDataset(name=name, type=dataset_type, include_all_files=include_all_files, feed=feed.mode)
    dataset = run(lambda ctx: admin.create_dataset(ctx, user, new))
    if user is None:
        note_implicit_user(dataset.owner)
    if json:
        print_json(_data(dataset))
    else:
        print(dataset.id)


@app.command("list")
def list_datasets(
    user: Annotated[str | None, typer.Option(help="List only the datasets of this user.")] = None, json: Json = False
) -> None:
    """List the datasets of all users, or of one user."""
    datasets = run(lambda ctx: ctx.catalog.datasets.list(user))
    if json:
        print_json([_data(dataset) for dataset in datasets])
        return
    print_table(
        ("ID", "NAME", "USER", "TYPE", "FILES", "FEED", "WATERMARK", "CREATED"),
        (
            (
                dataset.id,
                dataset.name,
                dataset.owner,
                dataset.type,
                "every" if dataset.include_all_files else "media",
                (dataset.feed or _Feed.SERVER).value,
                dataset.watermark,
                format_time(dataset.created_at / 1000),
            )
            for dataset in datasets
        ),
        "there are no datasets; `headwater dataset create NAME --user USER` creates one",
    )


@app.command("update")
def update(ref: DatasetRef, feed: FeedChoice) -> None:
    """Change how a dataset lists raw samples.

    With --feed dates its index is dropped. A later --feed exact builds a new one; files that are dated up to the
    watermark then count as processed. So first process everything that is new.
    """
    from headwater.service.admin import find_dataset
    from headwater.service.feed import set_feed, summarize_feed

    async def work(ctx: ServiceContext) -> tuple[FeedMode, bool, bool]:
        dataset = await find_dataset(ctx, ref)
        had_index = await summarize_feed(ctx, dataset) is not None
        mode = await set_feed(ctx, dataset, feed.mode)
        return mode, had_index, await summarize_feed(ctx, dataset) is not None

    mode, had_index, has_index = run(work)
    if mode is FeedMode.DATES:
        dropped = "; its index was dropped" if had_index else ""
        note(f"raw samples are listed by date: files that arrive late are lost{dropped}")
    else:
        note("raw samples are listed by an exact feed" + ("" if has_index else "; the next listing makes its index"))


@app.command("delete")
def delete(
    ref: DatasetRef, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False
) -> None:
    """Delete a dataset with its datasources, secrets and watermark. The files in the bucket stay.

    At a terminal you are asked for confirmation; a script is not.
    """
    from headwater.service.admin import find_dataset
    from headwater.service.datasets import delete_dataset

    async def work(ctx: ServiceContext) -> None:
        await delete_dataset(ctx, await find_dataset(ctx, ref))

    dataset = run(lambda ctx: find_dataset(ctx, ref)).dataset
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Delete the dataset {dataset.name!r} of {dataset.owner} ({dataset.id})?", abort=True)
    run(work)
    note(f"deleted {dataset.id} ({dataset.name})")


def _data(dataset: Dataset) -> dict[str, Any]:
    return {
        "id": dataset.id,
        "name": dataset.name,
        "user": dataset.owner,
        "type": dataset.type,
        "everyFile": dataset.include_all_files,
        "feed": (dataset.feed or _Feed.SERVER).value,
        "processedUntilTimestamp": dataset.watermark,
        "createdAt": dataset.created_at,
    }
