"""`headwater datasource`: configure, show and verify the datasources of a dataset."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from headwater.cli.datasource_options import (
    config_from_file,
    config_from_options,
    member_options,
    secret_file_help,
)
from headwater.cli.output import EXIT_FAILURE, Json, note, print_json, print_table
from headwater.cli.running import DatasetRef, run
from headwater.domain.datasource_members import TYPE_NAMES
from headwater.domain.errors import MalformedRequestError
from headwater.domain.text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headwater.domain.datasource import Datasource
    from headwater.service.context import ServiceContext
    from headwater.service.verify import Verification

app = typer.Typer(
    help="Where the files of a dataset are, and whether the access works.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class _Configured(NamedTuple):
    """What `set` has done: the datasource, the dataset's other datasources, and the watermark before and after."""

    datasource: Datasource
    others: Sequence[Datasource]
    watermark_before: int
    watermark: int


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
    """Configure a datasource of a dataset, from options or from a JSON file.

    A dataset has one datasource for both purposes, or one for INPUT and one for LIGHTLY: set these one after the
    other, with --purpose. A datasource for INPUT_OUTPUT replaces all others. One for INPUT or LIGHTLY leaves the
    datasource for the other purpose as it was.

    Secrets come from a prompt, a file or stdin, never from an argument, because the list of processes would show it.
    """
    raw = _config(type_name, options, secret_file, config)
    configured = run(lambda ctx: _configure(ctx, ref, raw))
    _report(configured, json)
    if verify is None:
        verify = sys.stdin.isatty() and sys.stderr.isatty() and typer.confirm("Verify it now?", default=True, err=True)
    if verify:
        _verify(ref, json=False)


def _set_parameters() -> list[inspect.Parameter]:
    """Return the parameters of `set`: the options of members are generated from their declaration."""

    def parameter(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    *first, last = TYPE_NAMES
    return [
        inspect.Parameter("ref", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=DatasetRef),
        parameter(
            "type_name",
            Annotated[str | None, typer.Option("--type", help=f"{', '.join(first)} or {last}.")],
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
                    help="Try the access afterwards. Without this option, you are asked at a terminal.",
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
            metavar="purpose",
            help="Show only the datasource with exactly this purpose: INPUT_OUTPUT, INPUT or LIGHTLY.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show the datasources of a dataset: first the one for INPUT, then the one for LIGHTLY. Secrets are masked.

    With --json, one object is printed for each.
    """

    async def get(ctx: ServiceContext) -> Sequence[Datasource]:
        from headwater.domain.datasource import check_purpose
        from headwater.service.admin import find_dataset
        from headwater.service.configure import get_datasource, get_datasources

        dataset = await find_dataset(ctx, ref)
        if purpose is not None:
            return [get_datasource(dataset, check_purpose("--purpose", purpose))]
        return get_datasources(dataset) or [get_datasource(dataset)]

    for number, found in enumerate(run(get)):
        if json:
            print_json(found.to_wire())
            continue
        if number:
            print()
        print_table(("MEMBER", "VALUE"), found.to_wire().items(), "")


@app.command("verify")
def verify_datasources(ref: DatasetRef, json: Json = False) -> None:
    """Try the access: list, read, write, replace. The exit code is 1 if access that is needed does not work.

    If there are two datasources, both are tried, and an error names the purpose of the datasource that fails. Both
    must allow listing and reading. Writing is tried on the one for LIGHTLY.
    """
    _verify(ref, json)


def _config(
    type_name: str | None, options: dict[str, str | None], secret_file: str | None, config_file: str | None
) -> Any:
    given = {name: value for name, value in options.items() if value is not None}
    if config_file is not None:
        if type_name is not None or given or secret_file is not None:
            raise MalformedRequestError("--config: holds the whole config; leave out the other options")
        return config_from_file(config_file)
    if type_name is None:
        raise MalformedRequestError("--type: required, unless --config gives the whole config")
    return config_from_options(type_name, given, secret_file)


async def _configure(ctx: ServiceContext, ref: str, raw: Any) -> _Configured:
    from headwater.service.admin import find_dataset
    from headwater.service.configure import put_datasource

    dataset = await find_dataset(ctx, ref)
    datasource, *others = (await put_datasource(ctx, dataset, raw)).datasources
    after = await find_dataset(ctx, dataset.id)
    return _Configured(datasource, others, dataset.dataset.watermark, after.dataset.watermark)


def _report(configured: _Configured, json: bool) -> None:
    datasource, others, before, watermark = configured
    if json:
        print_json(datasource.to_wire())
    else:
        note(f"configured {datasource.config.type} datasource {datasource.id} for {datasource.config.purpose}")
    for other in others:
        note(f"the dataset also has {other.config.type} datasource {other.id} for {other.config.purpose}")
    if watermark < before:
        note(
            f"the datasource points to other data than before, so the watermark starts again at 0 (it was {before}; "
            f"`headwater watermark set` restores it)"
        )


def _verify(ref: str, json: bool) -> None:
    async def work(ctx: ServiceContext) -> Verification:
        from headwater.service.admin import find_dataset
        from headwater.service.verify import verify_datasource

        return await verify_datasource(ctx, await find_dataset(ctx, ref))

    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("trying the access …"):
            found = run(work, contacts_store=True)
    else:
        found = run(work, contacts_store=True)
    from headwater.web.api.bodies import verification_body

    if json:
        print_json(verification_body(found))
    else:
        _print_verification(verification_body(found))
    for text in found.notes:
        note(f"note: {text}")
    if found.errors:
        raise typer.Exit(EXIT_FAILURE)


def _print_verification(answer: dict[str, Any]) -> None:
    errors = answer.pop("errors", {})
    printed: set[str] = set()
    for name, works in answer.items():
        state = "yes" if works else "no" if name in errors else "not tried (the purpose is INPUT)"
        reason = errors.get(name)
        print(f"{name:<13}{state}{', as above' if reason in printed else ''}")
        if reason is not None and reason not in printed:
            print(f"{'':<13}{visible(reason)}")
            printed.add(reason)
