"""`headwater backup` and `headwater restore`: the whole catalog in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headwater.cli.format import format_bytes, format_count
from headwater.cli.output import note
from headwater.cli.running import run_with_settings
from headwater.domain.errors import MalformedRequestError

if TYPE_CHECKING:
    from headwater.service.backup import Written

NewFile = Annotated[Path, typer.Argument(metavar="FILE", help="The file to write. It must not exist.")]

CatalogFileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A file that `backup` or `db export` has written.")
]


def backup(
    file: NewFile,
    without_key: Annotated[
        bool,
        typer.Option(
            "--without-key", help="Leave out the key. Keep secret.key elsewhere: without it, no secret can be read."
        ),
    ] = False,
) -> None:
    """Write the whole catalog to a file.

    The file holds the catalog as it is at one moment, with the index of every exact feed, while servers go on. It has
    mode 0600, and is complete or not there. It can be restored to either kind of database, also by later versions.

    The file contains the key of the data folder, so that it can be used alone: keep it as safe as the secrets in it. A
    key in HEADWATER_SECRET_KEY is never in the file.
    """
    from headwater.service.backup import back_up

    written = run_with_settings(lambda settings: back_up(settings, file, with_keys=not without_key))
    report_written(file, written)
    if not written.keys:
        note("it does not contain the key: keep that, too; without it, no secret in the file can be read")


def restore(
    file: CatalogFileArgument,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the catalog that is there. What it holds is lost.")
    ] = False,
) -> None:
    """Load the catalog from a backup.

    Stop all servers first: a catalog that is in use is not replaced. The file is checked whole before anything is
    changed. If the command is interrupted, there is the catalog of before.

    The key in the file is added to the key file. The keys that are there stay, so that cursors and URLs stay valid.
    """
    from headwater.catalog.transfer.importing import CatalogExistsError
    from headwater.service.backup import restore as load

    try:
        written = run_with_settings(lambda settings: load(settings, file, overwrite=overwrite, with_keys=True))
    except CatalogExistsError as error:
        raise MalformedRequestError(f"{error.message}; --overwrite replaces it, and what it holds is lost") from None
    report_loaded(written)


def report_written(file: Path, written: Written) -> None:
    """Tell what a file holds."""
    note(f"wrote {file}: {_contents(written)}, {format_bytes(file.stat().st_size)}")


def report_loaded(written: Written) -> None:
    """Tell what was loaded."""
    note(f"the catalog is ready: {_contents(written)}")


def _contents(written: Written) -> str:
    named = (("datasets", "dataset"), ("datasources", "datasource"), ("feed_rows", "file"))
    counts = [format_count(written.rows.get(table, 0), noun) for table, noun in named]
    return f"{counts[0]}, {counts[1]}, indexes of {counts[2]}"
