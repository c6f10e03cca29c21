"""`headwater db`: check the catalog, and move it to another database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from headwater.cli.backup import CatalogFileArgument, NewFile, report_loaded, report_written
from headwater.cli.format import Column, format_count, print_table
from headwater.cli.output import EXIT_FAILURE, Json, fail, print_json
from headwater.cli.running import run_with_settings
from headwater.domain.errors import MalformedRequestError

if TYPE_CHECKING:
    from headwater.catalog.checks import CheckedPart

app = typer.Typer(help="Check the catalog, and move it.", no_args_is_help=True, rich_markup_mode=None)


@app.command("check")
def check(json: Json = False) -> None:
    """Check the catalog as a whole.

    Checks the file of SQLite, the tables and their version, references between rows, that every secret can be decrypted
    and every datasource read, and that the totals of each index are those of its rows. Servers can go on meanwhile.

    The exit code is 0 if all is well, 1 if there are faults, and 6 if the catalog cannot be read at all.
    """
    from headwater.service.backup import check as check_catalog

    parts = run_with_settings(check_catalog)
    if json:
        print_json([{"name": each.name, "faults": each.faults, "more": each.more} for each in parts])
    else:
        rows = ((each.name, _result(each), each.what) for each in parts)
        print_table((Column("PART"), Column("RESULT"), Column("CHECKED", cut=True)), rows, "")
    for each in parts:
        for fault in each.faults:
            fail(f"{each.name}: {fault}")
        if each.more:
            fail(f"{each.name}: {each.more} more")
    if any(each.faults for each in parts):
        raise typer.Exit(EXIT_FAILURE)


@app.command("export")
def export(file: NewFile) -> None:
    """Write the catalog to a file, for a move.

    The file is that of `headwater backup --without-key`. Stop all servers first: what they write later is not in the
    file. Secrets stay encrypted: the other database needs the same key.
    """
    from headwater.service.backup import back_up

    report_written(file, run_with_settings(lambda settings: back_up(settings, file, with_keys=False)))


@app.command("import")
def import_(file: CatalogFileArgument) -> None:
    """Load an export into an empty database.

    HEADWATER_DATABASE_URL chooses the database. It must be empty, or a catalog without any data. The file is checked
    whole before anything is changed, and loaded completely or not at all. Secrets need the key that they were encrypted
    with: the one of the data folder, or HEADWATER_SECRET_KEY.
    """
    from headwater.catalog.transfer.importing import CatalogExistsError
    from headwater.service.backup import restore

    try:
        written = run_with_settings(lambda settings: restore(settings, file, overwrite=False, with_keys=False))
    except CatalogExistsError as error:
        raise MalformedRequestError(
            f"{error.message}: choose an empty database with HEADWATER_DATABASE_URL; `headwater restore --overwrite` "
            f"replaces a catalog"
        ) from None
    report_loaded(written)


def _result(part: CheckedPart) -> str:
    return format_count(len(part.faults) + part.more, "fault") if part.faults else "ok"
