"""The `headwater` command, for operators. Commands use the catalog directly, with the rights of the operator."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from headwater import __version__
from headwater.cli import (
    audit,
    backup,
    datasets,
    datasource,
    db,
    doctor,
    feed,
    init,
    list_command,
    secrets,
    serving,
    shares,
    tokens,
    watermark,
)
from headwater.cli.output import EXIT_CODES_HELP, EXIT_FAILURE, EXIT_INTERRUPTED, exit_code_of, fail, text_of
from headwater.cli.terminal import escape_what_cannot_be_shown
from headwater.domain.errors import HeadwaterError
from headwater.environment import ENV_FILE, load_env_file

_COMPLETE = "_HEADWATER_COMPLETE"
"""The variable with which a shell asks for completions."""


class _Group(TyperGroup):
    """All commands. What is interrupted or given up ends with one line."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise _aborted(interrupt) from None
        except typer.Abort as abort:
            raise _aborted(abort.__context__) from None


def _aborted(reason: BaseException | None) -> typer.Exit:
    """Tell that a command was given up, by Ctrl-C, by the end of the input, or by an answer (no reason)."""
    if reason is not None and sys.stderr.isatty():
        print(file=sys.stderr)  # end the line of the prompt
    fail("aborted")
    return typer.Exit(EXIT_INTERRUPTED if isinstance(reason, KeyboardInterrupt) else EXIT_FAILURE)


app = typer.Typer(
    name="headwater",
    cls=_Group,
    help="Connect a dataset to a bucket, verify the access, list what is new, remember how far processing got.\n\n"
    "Commands use the catalog in the data folder (HEADWATER_DATA_DIR), with the settings of its server. They can run "
    "while the server is running, which sees the effect immediately.",
    epilog=EXIT_CODES_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
app.command("serve")(serving.serve)
app.command("init")(init.init)
app.add_typer(tokens.app, name="token")
app.add_typer(datasets.app, name="dataset")
app.add_typer(shares.app, name="share")
app.add_typer(datasource.app, name="datasource")
app.command("list")(list_command.list_command)
app.add_typer(watermark.app, name="watermark")
app.add_typer(feed.app, name="feed")
app.command("audit")(audit.audit)
app.command("doctor")(doctor.doctor)
app.add_typer(secrets.app, name="secrets")
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.add_typer(db.app, name="db")


class _Shell(StrEnum):
    """The shells that have completion."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def _version(wanted: bool) -> None:
    if wanted:
        print(f"headwater {__version__}")
        raise typer.Exit


def _completion(shell: _Shell | None) -> None:
    if shell is not None:
        from typer.completion import get_completion_script  # type: ignore[attr-defined]  # no other way is public

        print(get_completion_script(prog_name="headwater", complete_var=_COMPLETE, shell=shell.value))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    completion: Annotated[
        _Shell | None,
        typer.Option(
            "--show-completion",
            callback=_completion,
            is_eager=True,
            help="Print the completion script of a shell, for its startup file.",
        ),
    ] = None,
    env_file: Annotated[
        str | None,
        typer.Option(
            "--env-file",
            metavar="FILE",
            envvar=ENV_FILE,
            show_envvar=False,
            help=f"Read variables from a file with NAME=VALUE lines. Those that are set win. [{ENV_FILE}]",
        ),
    ] = None,
) -> None:
    if env_file is not None:
        load_env_file(env_file, os.environ)


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
    escape_what_cannot_be_shown(sys.stdout, sys.stderr)
    if _COMPLETE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]  # as above

        completion_init()
    try:
        app(prog_name="headwater")
    except HeadwaterError as error:
        fail(text_of(error))
        sys.exit(exit_code_of(error))
    except OSError as error:
        # The output cannot be written: its reader has exited, or the disk is full. Without the redirection, the
        # interpreter would flush it again and print a second error.
        if not isinstance(error, BrokenPipeError):
            fail(f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILURE)
