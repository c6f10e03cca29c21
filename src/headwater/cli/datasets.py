"""`headwater dataset`: create, list, show, change and delete datasets."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.choices import choice_option
from headwater.cli.format import (
    Column,
    format_bytes,
    format_second,
    format_time,
    print_fields,
    print_table,
    time_cell,
)
from headwater.cli.on_dataset import get_dataset, naming, run_on_dataset
from headwater.cli.output import Json, Yes, confirm, note, print_json
from headwater.cli.running import DatasetRef, note_implicit_user, run
from headwater.domain.dataset import DatasetType, NewDataset
from headwater.domain.feed import FeedMode
from headwater.domain.location import split_scheme

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from headwater.auth.permissions import DatasetContext
    from headwater.catalog.feed.feeds import FeedSummary
    from headwater.catalog.stored_datasource import DatasourceSummary
    from headwater.domain.dataset import Dataset
    from headwater.service.admin import DatasetOverview
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
        metavar="USER",
        help="The user who owns the dataset; a new name creates the user. Optional while there is at most one user.",
    ),
]

FeedChoice = Annotated[
    _Feed,
    choice_option(
        "--feed",
        _Feed,
        "How raw samples are listed: exact (every version of a file is in exactly one window), dates (by the time "
        "of the file; files that arrive late are lost), or server (as the server's HEADWATER_FEED says).",
    ),
]

_NAME_HELP = "3 or more characters: letters, digits, spaces, '_', '-'. A user can have one dataset with a name."


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help=_NAME_HELP)],
    user: User = None,
    dataset_type: Annotated[
        DatasetType, choice_option("--type", DatasetType, "What the dataset is made of.")
    ] = DatasetType.IMAGES,
    include_all_files: Annotated[
        bool, typer.Option("--every-file", help="List every file, not only images and videos.")
    ] = False,
    feed: FeedChoice = _Feed.SERVER,
    json: Json = False,
) -> None:
    """Create a dataset and print its id.

    Only the id is printed on stdout.
    """
    from headwater.service import admin

    new = NewDataset(name=name, type=dataset_type, include_all_files=include_all_files, feed=feed.mode)
    with naming({"name": "NAME", "user": "--user"}):
        dataset = run(lambda ctx: admin.create_dataset(ctx, user, new))
    if user is None:
        note_implicit_user(dataset.owner)
    if json:
        print_json(_data(dataset))
    else:
        print(dataset.id)


@app.command("list")
def list_datasets(
    user: Annotated[str | None, typer.Option(metavar="USER", help="List only the datasets of this user.")] = None,
    json: Json = False,
) -> None:
    """List the datasets of all users.

    Files and size are those of the last listings; they are empty for a dataset that was never listed to its end. In a
    narrow terminal, columns are left out or cut; --json shows everything.
    """
    from headwater.service import admin

    overviews = run(lambda ctx: admin.list_datasets(ctx, user))
    if json:
        print_json([_data(dataset, datasources) for dataset, datasources in overviews])
        return
    columns = [
        Column("NAME", cut=True),
        Column("USER", cut=True, optional=user is not None),
        Column("LOCATION", cut=True),
        Column("FILES", right=True),
        Column("SIZE", right=True),
        Column("WATERMARK"),
        Column("ID", optional=True),
    ]
    if user is None:
        empty = "there are no datasets; `headwater dataset create NAME --user USER` creates one"
    else:
        empty = f"the user {user} has no datasets"
    print_table(columns, map(_row, overviews), empty)


@app.command("show")
def show(ref: DatasetRef, json: Json = False) -> None:
    """Show everything about a dataset."""
    from headwater.service.admin import overview_of
    from headwater.service.feed import feed_mode, summarize_feed

    async def work(
        ctx: ServiceContext, dataset: DatasetContext
    ) -> tuple[DatasetOverview, FeedMode, FeedSummary | None]:
        overview = await overview_of(ctx, dataset)
        return overview, feed_mode(ctx, dataset.dataset), await summarize_feed(ctx, dataset)

    (dataset, datasources), mode, feed = run_on_dataset(ref, work)
    if json:
        print_json(_data(dataset, datasources))
        return
    print_fields(
        [
            ("name", dataset.name),
            ("id", dataset.id),
            ("user", dataset.owner),
            ("type", dataset.type),
            ("lists", "every file" if dataset.include_all_files else "images and videos"),
            ("feed", describe_feed(mode, dataset)),
            *_datasource_fields(datasources),
            *_count_fields(dataset, feed),
            ("watermark", describe_watermark(dataset)),
            ("created", format_time(dataset.created_at / 1000)),
            ("modified", format_time(dataset.modified_at / 1000)),
        ]
    )


@app.command("rename")
def rename(
    ref: DatasetRef,
    name: Annotated[str, typer.Argument(metavar="NEWNAME", help=_NAME_HELP)],
) -> None:
    """Rename a dataset. Its id stays."""
    from headwater.service.datasets import rename_dataset

    async def work(ctx: ServiceContext, dataset: DatasetContext) -> Dataset:
        await rename_dataset(ctx, dataset, name)
        return dataset.dataset

    dataset = run_on_dataset(ref, work, {"name": "NEWNAME"})
    note(f"renamed {dataset.id} from {dataset.name} to {name}")


@app.command("update")
def update(ref: DatasetRef, feed: FeedChoice) -> None:
    """Change how a dataset lists raw samples.

    With --feed dates its index is dropped. A later --feed exact builds a new one; files that are dated up to the
    watermark then count as processed. So first process everything that is new.
    """
    from headwater.service.feed import set_feed, summarize_feed

    async def work(ctx: ServiceContext, dataset: DatasetContext) -> tuple[FeedMode, bool, bool]:
        had_index = await summarize_feed(ctx, dataset) is not None
        mode = await set_feed(ctx, dataset, feed.mode)
        return mode, had_index, await summarize_feed(ctx, dataset) is not None

    mode, had_index, has_index = run_on_dataset(ref, work)
    if mode is FeedMode.DATES:
        dropped = "; its index was dropped" if had_index else ""
        note(f"raw samples are listed by date: files that arrive late are lost{dropped}")
    else:
        note("raw samples are listed by an exact feed" + ("" if has_index else "; the next listing makes its index"))


@app.command("transfer")
def transfer(
    ref: DatasetRef,
    user: Annotated[
        str,
        typer.Option(
            "--to", metavar="USER", help="The new owner, who has a token or a dataset, or ISSUER|SUBJECT of a JWT."
        ),
    ],
) -> None:
    """Give a dataset to another owner. The former owner becomes an editor."""
    from headwater.service.sharing import transfer_dataset

    async def work(ctx: ServiceContext, dataset: DatasetContext) -> None:
        await transfer_dataset(ctx, dataset, user)

    with naming({"user": "--to"}):
        run_on_dataset(ref, work)
    note(f"{ref} belongs to {user}")


@app.command("delete")
def delete(ref: DatasetRef, yes: Yes = False) -> None:
    """Delete a dataset, not its files.

    Its datasources, secrets and watermark are deleted. The files in the bucket stay. At a terminal you are asked for
    confirmation; a script is not.
    """
    from headwater.service.datasets import delete_dataset

    dataset = get_dataset(ref)
    confirm(f"Delete the dataset {dataset.name!r} of {dataset.owner} ({dataset.id})?", yes)
    run_on_dataset(dataset.id, delete_dataset)
    note(f"deleted {dataset.id} ({dataset.name})")


def describe_feed(mode: FeedMode, dataset: Dataset) -> str:
    """Return how a dataset lists raw samples, and why."""
    return f"{mode} ({'as HEADWATER_FEED says' if dataset.feed is None else 'set for this dataset'})"


def describe_watermark(dataset: Dataset) -> str:
    """Return the watermark of a dataset for people."""
    return format_second(dataset.watermark) if dataset.watermark else "not set"


def _row(overview: DatasetOverview) -> tuple[object, ...]:
    dataset, datasources = overview
    return (
        dataset.name,
        dataset.owner,
        _location(datasources[0]) if datasources else "none",
        f"{dataset.n_samples:,}" if dataset.counted else None,
        format_bytes(dataset.size_in_bytes) if dataset.counted else None,
        time_cell(dataset.watermark) if dataset.watermark else "not set",
        dataset.id,
    )


def _location(datasource: DatasourceSummary) -> str:
    return f"{datasource.type} {split_scheme(datasource.full_path)[1]}".rstrip()


def _datasource_fields(datasources: Sequence[DatasourceSummary]) -> Iterator[tuple[str, object]]:
    if not datasources:
        yield "datasource", "none; `headwater datasource set` configures one"
    for each in datasources:
        yield "datasource", each.id
        yield "  location", _location(each)
        yield "  at", each.authority
        yield "  purpose", each.purpose


def _count_fields(dataset: Dataset, feed: FeedSummary | None) -> Iterator[tuple[str, object]]:
    if dataset.counted:
        yield "files", f"{dataset.n_samples:,}"
        yield "size", f"{format_bytes(dataset.size_in_bytes)} ({dataset.size_in_bytes:,} bytes)"
    else:
        yield "files", "not counted yet: nothing was listed to its end"
    if feed is not None and feed.record.completed_at is not None:
        yield "counted", f"{format_time(feed.record.completed_at / 1000)}, by the last complete listing"


def _data(dataset: Dataset, datasources: Sequence[DatasourceSummary] = ()) -> dict[str, Any]:
    return {
        "id": dataset.id,
        "name": dataset.name,
        "user": dataset.owner,
        "type": dataset.type,
        "everyFile": dataset.include_all_files,
        "feed": (dataset.feed or _Feed.SERVER).value,
        "processedUntilTimestamp": dataset.watermark,
        "createdAt": dataset.created_at,
        "lastModifiedAt": dataset.modified_at,
        "nSamples": dataset.n_samples if dataset.counted else None,
        "sizeInBytes": dataset.size_in_bytes if dataset.counted else None,
        "datasources": [
            {"id": each.id, "type": each.type, "purpose": each.purpose, "fullPath": each.full_path}
            for each in datasources
        ],
    }
