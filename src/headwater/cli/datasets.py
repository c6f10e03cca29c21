"""`headwater dataset`: make, show and delete datasets."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.output import Json, moment, note, print_json, print_table
from headwater.cli.running import DatasetRef, run
from headwater.domain.dataset import Dataset, DatasetType, NewDataset

if TYPE_CHECKING:
    from headwater.service.context import ServiceContext

app = typer.Typer(help="Make, show and delete datasets.", no_args_is_help=True, rich_markup_mode=None)

User = Annotated[
    str | None,
    typer.Option(help="Whose dataset; a new name makes a new user. May be left out while there is one user at most."),
]


@app.command("create")
def create(
    name: Annotated[
        str,
        typer.Argument(help="3 characters or more: letters, digits, blanks, '_', '-'; one of a name for each user."),
    ],
    user: User = None,
    kind: Annotated[DatasetType, typer.Option("--type", help="What it is made of.")] = DatasetType.IMAGES,
    include_all_files: Annotated[
        bool, typer.Option("--every-file", help="List every file, not images and videos alone.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a dataset and print its id, alone, on stdout."""
    from headwater.service import admin

    new = NewDataset(name=name, type=kind, include_all_files=include_all_files)
    dataset = run(lambda ctx: admin.create_dataset(ctx, user, new))
    if json:
        print_json(_data(dataset))
    else:
        print(dataset.id)


@app.command("list")
def list_datasets(
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None, json: Json = False
) -> None:
    """Show the datasets of everybody, or of one user."""
    datasets = run(lambda ctx: ctx.catalog.datasets(user))
    if json:
        print_json([_data(dataset) for dataset in datasets])
        return
    print_table(
        ("ID", "NAME", "USER", "TYPE", "FILES", "WATERMARK", "CREATED"),
        (
            (
                dataset.id,
                dataset.name,
                dataset.owner,
                dataset.type,
                "every" if dataset.include_all_files else "media",
                dataset.watermark,
                moment(dataset.created_at / 1000),
            )
            for dataset in datasets
        ),
        "there are no datasets; `headwater dataset create NAME --user USER` makes one",
    )


@app.command("delete")
def delete(ref: DatasetRef, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Delete a dataset with its datasource, secrets and watermark. The files in the bucket stay.

    At a terminal you are asked first; a script is not.
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
        "processedUntilTimestamp": dataset.watermark,
        "createdAt": dataset.created_at,
    }
