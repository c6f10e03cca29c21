"""`headwater secrets`: change the key that encrypts secrets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from headwater.cli.format import format_count
from headwater.cli.output import EXIT_FAILURE, Json, Yes, confirm, fail, note, print_json
from headwater.cli.running import run
from headwater.domain.errors import MalformedRequestError

if TYPE_CHECKING:
    from headwater.service.context import ServiceContext
    from headwater.service.keys import Rotation

app = typer.Typer(help="Change the key that encrypts secrets.", no_args_is_help=True, rich_markup_mode=None)


@app.command("rotate")
def rotate(
    forget_old: Annotated[
        bool,
        typer.Option(
            "--forget-old",
            help="For a key that has leaked: accept no other key any more. Cursors, read URLs and redirected read URLs "
            "that were handed out until now end; clients list again.",
        ),
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Encrypt all secrets with a new key.

    Servers go on meanwhile, without a restart: they read the new key from the key file. Cursors and URLs that were
    handed out before stay valid, because the old key stays in the file after the new one.

    If the command is interrupted, run it again: it goes on. Backups that were made before hold the old key; they can
    still be restored.

    If the key is in HEADWATER_SECRET_KEY, this command cannot change it, and says what to do instead. If the setting
    has several keys, all secrets are encrypted with the first of them: every server must already have it.
    """
    from headwater.service.keys import rotate_keys

    async def work(ctx: ServiceContext) -> Rotation:
        if ctx.settings.sqlite_file is None and ctx.keyring.file is not None:
            _check_one_file(str(ctx.keyring.file.path), yes)
        with _progress() as progress:
            return await rotate_keys(ctx, forget_old=forget_old, progress=progress)

    done = run(work)
    if json:
        print_json(
            {
                "key": done.key,
                "isNew": done.is_new,
                "reencrypted": done.reencrypted,
                "others": done.others,
                "forgotten": done.forgotten,
                "failed": done.failed,
            }
        )
    _report(done, forget_old)
    if done.failed:
        raise typer.Exit(EXIT_FAILURE)


@app.command("new-key")
def new_key() -> None:
    """Print a new key for HEADWATER_SECRET_KEY.

    Nothing is changed. Without this setting, the key is in a file of the data folder, and `rotate` makes a new one.
    """
    from headwater.catalog import secret_key_file

    print(secret_key_file.format_keys(dict([secret_key_file.new_key()])))


def _check_one_file(file: str, yes: bool) -> None:
    """Check that a person has confirmed that there is only one key file: servers on other machines may have copies."""
    if not yes and not sys.stdin.isatty():
        raise MalformedRequestError(
            f"--yes: required, because the catalog is in PostgreSQL, and servers on other machines may have copies of "
            f"the key file. Confirm that all servers of this catalog read {file} itself; or set HEADWATER_SECRET_KEY "
            f"for all of them"
        )
    confirm(f"Do all servers of this catalog read the key file {file} itself, not a copy?", yes)


def _report(done: Rotation, forget_old: bool) -> None:
    made = "the new key" if done.is_new else "the key"
    note(f"encrypted {format_count(done.reencrypted, 'secret')} again; {made} is '{done.key}'")
    if done.forgotten:
        note(f"forgotten: {', '.join(done.forgotten)}; what was signed with it is not accepted any more")
    elif done.others:
        what = f"still accepted, for cursors and URLs of before: {', '.join(done.others)}"
        note(f"{what}; remove it from HEADWATER_SECRET_KEY of all servers to end them" if forget_old else what)
    if done.failed:
        fail(
            f"secrets of {format_count(len(done.failed), 'dataset')} cannot be decrypted with any key, and stay "
            f"as they are: put their datasources again ({', '.join(done.failed[:20])})"
        )


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show at a terminal how far the command has come."""
    if not sys.stderr.isatty():
        yield lambda _seen, _all: None
        return
    from rich.console import Console

    with Console(stderr=True).status("changing the key …") as status:
        yield lambda seen, all_: status.update(f"encrypting secrets again: {seen:,} of {all_:,}")
