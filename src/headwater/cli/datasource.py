"""`headwater datasource`: configure, show and verify the datasources of a dataset."""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headwater.cli.choices import choice_option, completion, purposes
from headwater.cli.datasource_options import (
    config_from_file,
    config_from_options,
    member_options,
    secret_file_help,
)
from headwater.cli.dialogue import Dialogue
from headwater.cli.format import print_fields
from headwater.cli.on_dataset import OPTION_NAMES, get_dataset, naming, run_on_dataset, with_names
from headwater.cli.output import EXIT_FAILURE, Json, Yes, confirm, note, print_json
from headwater.cli.running import DatasetRef
from headwater.domain.datasource_members import TYPE_NAMES
from headwater.domain.errors import MalformedRequestError
from headwater.domain.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from headwater.auth.permissions import DatasetContext
    from headwater.domain.datasource import Datasource
    from headwater.domain.purposes import Reconfigured
    from headwater.service.context import ServiceContext

app = typer.Typer(
    help="Connect datasets to their storage.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


_MIN_REPEATED_CHARACTERS = 20
"""How many characters the end of an error has that is not printed again."""

_AS_ABOVE = "as above"
_NEXT_PURPOSE = "; LIGHTLY: "


class _Removable(StrEnum):
    """The purposes that `remove` takes."""

    INPUT = "INPUT"
    LIGHTLY = "LIGHTLY"


def set_datasource(
    ref: str,
    *,
    type_name: str | None,
    secret_file: str | None,
    config: str | None,
    verify: bool | None,
    json: bool,
    **options: str | None,
) -> None:
    """Configure a datasource of a dataset.

    The config comes from options, or from a JSON file. At a terminal, you are prompted for what is missing.

    A dataset has one datasource for both purposes, or one for INPUT and one for LIGHTLY: set these one after the
    other, with --purpose. A datasource for INPUT_OUTPUT replaces all others. One for INPUT or LIGHTLY leaves the
    datasource for the other purpose as it was. If no purpose is given, and the dataset has a datasource for INPUT, the
    new one replaces that; otherwise it serves both purposes.

    Secrets come from a prompt, a file or stdin, never from an argument, because the list of processes would show it.
    """
    # A config file has members, and options are what a person gave otherwise.
    names = OPTION_NAMES if config is None else {}
    dialogue = Dialogue(names) if sys.stdin.isatty() and sys.stderr.isatty() else None
    with naming(names):
        raw = _config(ref, type_name, options, secret_file, config, dialogue)
    configured = run_on_dataset(ref, partial(_configure, raw), names)
    _report(configured, json)
    if verify is None and dialogue is not None and dialogue.begun:
        verify = typer.confirm("Verify it now?", default=True, err=True)
    if verify:
        _verify(ref, beside_json=json)
    elif verify is None and dialogue is not None:
        # No question: the next line of what was pasted would be taken for the answer.
        note(f"not verified yet; `headwater datasource verify {shlex.quote(visible(ref))}` tries the access")


def _set_parameters() -> list[inspect.Parameter]:
    """Return the parameters of `set`: the options of members are generated from their declaration."""

    def parameter(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    *first, last = TYPE_NAMES
    return [
        inspect.Parameter("ref", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=DatasetRef),
        parameter(
            "type_name",
            Annotated[
                str | None,
                typer.Option(
                    "--type",
                    metavar="TYPE",
                    help=f"{', '.join(first)} or {last}.",
                    autocompletion=completion(lambda: TYPE_NAMES),
                ),
            ],
        ),
        *member_options(),
        parameter("secret_file", Annotated[str | None, typer.Option(metavar="FILE", help=secret_file_help())]),
        parameter(
            "config",
            Annotated[
                str | None,
                typer.Option(
                    metavar="FILE",
                    help="File that holds the whole config as JSON, in the form that the API takes; '-' for stdin.",
                ),
            ],
        ),
        parameter(
            "verify",
            Annotated[
                bool | None,
                typer.Option(
                    "--verify/--no-verify",
                    help="Try the access afterwards, and print the outcome; with --json, on stderr. Without this "
                    "option, you are asked if you were prompted before.",
                ),
            ],
        ),
        parameter("json", Json, default=False),
    ]


set_datasource.__signature__ = inspect.Signature(_set_parameters())  # type: ignore[attr-defined]  # inspect reads it
set_datasource.__annotations__ = {parameter.name: parameter.annotation for parameter in _set_parameters()}
app.command("set")(set_datasource)


@app.command("show")
def show(
    ref: DatasetRef,
    purpose: Annotated[
        str | None,
        typer.Option(
            metavar="PURPOSE",
            autocompletion=completion(purposes),
            help="Show only the datasource with exactly this purpose: INPUT_OUTPUT, INPUT or LIGHTLY.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show the datasources of a dataset.

    First comes the one for INPUT, then the one for LIGHTLY. Secrets are masked. With --json, one object is printed for
    each.
    """

    async def get(_: ServiceContext, dataset: DatasetContext) -> Sequence[Datasource]:
        from headwater.domain.datasource import check_purpose
        from headwater.service.configure import get_datasource, get_datasources

        if purpose is not None:
            return [get_datasource(dataset, check_purpose("--purpose", purpose))]
        return get_datasources(dataset) or [get_datasource(dataset)]

    for number, found in enumerate(run_on_dataset(ref, get)):
        if json:
            print_json(found.to_wire())
            continue
        if number:
            print()
        print_fields(found.to_wire().items())


@app.command("verify")
def verify_datasources(ref: DatasetRef, json: Json = False) -> None:
    """Try the access: list, read, write.

    Replacing a file is tried, too. The exit code is 1 if access that is needed does not work.

    If there are two datasources, both are tried, and an error names the purpose of the datasource that fails. Both
    must allow listing and reading. Writing is tried on the one for LIGHTLY.
    """
    _verify(ref, json)


@app.command("remove")
def remove(
    ref: DatasetRef,
    purpose: Annotated[_Removable, choice_option("--purpose", _Removable, "What no datasource shall serve any more.")],
    yes: Yes = False,
) -> None:
    """Remove a datasource, not its files.

    Its secret is deleted. A datasource for INPUT_OUTPUT stays, and serves only the other purpose. Without a datasource
    for INPUT, nothing can be listed, and the watermark and the index start again.

    At a terminal you are asked for confirmation; a script is not.
    """

    async def work(ctx: ServiceContext, dataset: DatasetContext) -> Reconfigured:
        from headwater.domain.datasource import Purpose
        from headwater.service.configure import remove_datasource

        return await remove_datasource(ctx, dataset, Purpose(purpose))

    lost = " The watermark starts again at 0." if purpose is _Removable.INPUT else ""
    confirm(f"Remove the {purpose} datasource of {get_dataset(ref).name!r}?{lost}", yes)
    done = run_on_dataset(ref, work)
    _note_removed(done)
    for left in done.datasources:
        note(f"the dataset still has {left.config.type} datasource {left.id} for {left.config.purpose}")
    if done.lost_watermark:
        note(f"without an INPUT datasource the watermark is 0 (it was {done.lost_watermark})")


def _config(
    ref: str,
    type_name: str | None,
    options: dict[str, str | None],
    secret_file: str | None,
    config_file: str | None,
    dialogue: Dialogue | None,
) -> Any:
    given = {name: value for name, value in options.items() if value is not None}
    if config_file is not None:
        if type_name is not None or given or secret_file is not None:
            raise MalformedRequestError("--config: holds the whole config; leave out the other options")
        return config_from_file(config_file)
    if dialogue is not None:
        get_dataset(ref)  # before a person is asked for anything: does the dataset exist?
    return config_from_options(type_name, given, secret_file, dialogue)


async def _configure(raw: Any, ctx: ServiceContext, dataset: DatasetContext) -> Reconfigured:
    from headwater.service.configure import put_datasource

    return await put_datasource(ctx, dataset, await _with_purpose(raw, ctx, dataset))


async def _with_purpose(raw: Any, ctx: ServiceContext, dataset: DatasetContext) -> Any:
    """Return a config that has no purpose with INPUT, if the dataset has a datasource for INPUT.

    The default of the API, INPUT_OUTPUT, would also replace a datasource for LIGHTLY.
    """
    from headwater.service.admin import overview_of

    if not isinstance(raw, dict) or raw.get("purpose") is not None:
        return raw
    present = (await overview_of(ctx, dataset)).datasources
    return {**raw, "purpose": "INPUT"} if any(each.purpose == "INPUT" for each in present) else raw


def _report(done: Reconfigured, json: bool) -> None:
    datasource, *others = done.datasources
    if json:
        print_json(datasource.to_wire())
    else:
        note(f"configured {datasource.config.type} datasource {datasource.id} for {datasource.config.purpose}")
    for other in others:
        note(f"the dataset also has {other.config.type} datasource {other.id} for {other.config.purpose}")
    _note_removed(done)
    if done.lost_watermark:
        note(
            f"the datasource points to other data than before, so the watermark starts again at 0 (it was "
            f"{done.lost_watermark}; `headwater watermark set` restores it)"
        )


def _note_removed(done: Reconfigured) -> None:
    if done.removed is not None:
        config = done.removed.config
        place = f"{config.type} {visible(config.full_path)}".rstrip()
        note(f"the {config.purpose} datasource {done.removed.id} ({place}) was removed, and its files were not touched")


def _verify(ref: str, json: bool = False, *, beside_json: bool = False) -> None:
    """Try the access and print the outcome: as JSON, or as text, which goes to stderr beside JSON."""
    from headwater.service.verify import verify_datasource

    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("trying the access …"):
            found = run_on_dataset(ref, verify_datasource, contacts_store=True)
    else:
        found = run_on_dataset(ref, verify_datasource, contacts_store=True)
    from headwater.web.api.bodies import verification_body

    if json:
        print_json(verification_body(found))
    else:
        print_fields(_verification_fields(verification_body(found)), sys.stderr if beside_json else None)
    for text in found.notes:
        note(f"note: {with_names(text)}")
    if found.errors:
        raise typer.Exit(EXIT_FAILURE)


def _verification_fields(answer: dict[str, Any]) -> Iterator[tuple[str, str]]:
    errors = answer.pop("errors", {})
    told: list[str] = []
    for name, works in answer.items():
        state = "yes" if works else "no" if name in errors else "not tried (the purpose is INPUT)"
        if name not in errors:
            yield name, state
            continue
        first, *others = with_names(errors[name]).split(_NEXT_PURPOSE)
        reason = _NEXT_PURPOSE.join([_without_told(first, told), *(_without_told(other, told) for other in others)])
        yield name, f"{state}, as above" if reason == _AS_ABOVE else state
        if reason != _AS_ABOVE:
            yield "", reason


def _without_told(reason: str, told: list[str]) -> str:
    """Return an error with "as above" for its end, from a colon on, if an earlier one ends in the same way."""
    starts = (0, *(colon.end() for colon in re.finditer(": ", reason)))
    repeated = (
        start
        for start in starts
        if len(reason) - start >= _MIN_REPEATED_CHARACTERS and any(each.endswith(reason[start:]) for each in told)
    )
    start = next(repeated, None)
    told.append(reason)
    return reason if start is None else f"{reason[:start]}{_AS_ABOVE}"
