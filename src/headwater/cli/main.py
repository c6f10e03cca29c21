"""The `headwater` command, for operators. Commands use the catalog directly, with the rights of the operator."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from headwater import __version__
from headwater.cli import datasets, datasource, feed, list_command, serving, tokens, watermark
from headwater.cli.output import EXIT_CODES_HELP, EXIT_FAILURE, exit_code_of, fail
from headwater.domain.errors import HeadwaterError

app = typer.Typer(
    name="headwater",
    help="Connect a dataset to a bucket, verify the access, list what is new, remember how far processing got.\n\n"
    "Commands use the catalog in the data folder (HEADWATER_DATA_DIR). They can run while a server is running, which "
    "sees the effect immediately.",
    epilog=EXIT_CODES_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
app.command("serve")(serving.serve)
app.add_typer(tokens.app, name="token")
app.add_typer(datasets.app, name="dataset")
app.add_typer(datasource.app, name="datasource")
app.command("list")(list_command.list_command)
app.add_typer(watermark.app, name="watermark")
app.add_typer(feed.app, name="feed")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"headwater {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command("openapi")
def openapi(
    seed: Annotated[
        bool, typer.Option("--seed", help="Print only the six operations of the first published document.")
    ] = False,
) -> None:
    """Print the contract of the API as JSON.

    It is an OpenAPI 3.0 document.
    """
    import json

    from headwater import contract

    print(json.dumps(contract.seed() if seed else contract.document(), indent=2, ensure_ascii=False))


@app.command("demo")
def demo() -> None:
    """Run the whole product in a minute.

    The demo starts a server, makes a folder of images, and uses the Python client.
    """
    from headwater.cli.demo import run_demo

    raise typer.Exit(run_demo())


def main() -> None:
    """Run the command line and exit with a code that tells the outcome (`output.EXIT_CODES_HELP`)."""
    if sys.stdout is None:
        fail("standard output is closed: there is nowhere to write to")
        sys.exit(EXIT_FAILURE)
    try:
        app(prog_name="headwater")
    except HeadwaterError as error:
        fail(error.message)
        sys.exit(exit_code_of(error))
    except OSError as error:
        # The output cannot be written: its reader has exited, or the disk is full. Without the redirection, the
        # interpreter would flush it again and print a second error.
        if not isinstance(error, BrokenPipeError):
            fail(f"{error.strerror or error}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILURE)
