"""The help of commands and the texts of usage errors, for every command there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from headwater.cli.main import app
from headwater.domain.errors import MalformedRequestError

ROOT: Any = typer.main.get_command(app)


def _commands(command: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, subcommand in getattr(command, "commands", {}).items():
        yield from _commands(subcommand, (*path, name))


COMMANDS = dict(_commands())
PARAMETERS = [
    pytest.param(path, parameter, id=" ".join((*path, parameter.opts[0])))
    for path, command in COMMANDS.items()
    for parameter in command.params
    if path and path != ("serve",)  # the options of `serve` are settings
]


def _help(path: tuple[str, ...], columns: int) -> str:
    command = COMMANDS[path]
    context = command.make_context(path[-1] if path else "headwater", [], resilient_parsing=True)
    context.terminal_width = columns
    return str(command.get_help(context))


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("path", [path for path, command in COMMANDS.items() if hasattr(command, "commands")])
def test_no_line_of_a_list_of_commands_is_cut(path: tuple[str, ...], columns: int) -> None:
    """`headwater --help` showed half sentences that end in `...`."""
    listed = _help(path, columns - 2).partition("Commands:")[2]
    assert listed
    assert "..." not in listed


@pytest.mark.parametrize(("path", "parameter"), PARAMETERS)
def test_placeholders_are_in_capitals(path: tuple[str, ...], parameter: Any) -> None:
    """There were `{name}` and `{DATASET}`, `<str>`, `fullPath` and `ARN` for the same thing: what a person types."""
    if getattr(parameter, "is_flag", False):
        return
    assert parameter.metavar is not None
    assert re.fullmatch(r"[A-Z_]+|\w+(\|\w+)+", parameter.metavar), parameter.metavar


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["dataset", "create", "abc", "--type", "image"], "--type: expected one of Images, Videos, Crops (did you"),
        (["dataset", "create", "abc", "--feed", "exat"], "--feed: expected one of exact, dates, server (did you mean"),
        (["dataset", "update", "abc", "--feed", "x"], "--feed: expected one of exact, dates, server"),
    ],
)
def test_a_wrong_choice_is_answered_with_a_suggestion(arguments: list[str], expected: str) -> None:
    """The text was `Invalid value for '--type': Value error, 'image' is not one of …`."""
    with pytest.raises(MalformedRequestError) as caught:
        app(arguments, standalone_mode=False)
    assert caught.value.message.startswith(expected)


def test_shells_complete_choices() -> None:
    """Typer completes an enum by itself, but not an option that has a parser of its own."""
    command = COMMANDS["dataset", "create"]
    context = command.make_context("create", [], resilient_parsing=True)
    (parameter,) = (each for each in command.params if "--type" in each.opts)
    assert [item.value for item in parameter.shell_complete(context, "Vi")] == ["Videos"]
    assert [item.value for item in parameter.shell_complete(context, "")] == ["Images", "Videos", "Crops"]


@pytest.mark.parametrize(
    ("command", "option", "typed", "expected"),
    [
        ("set", "--type", "S3", ["S3", "S3DelegatedAccess"]),
        ("set", "--purpose", "IN", ["INPUT_OUTPUT", "INPUT"]),
        ("show", "--purpose", "L", ["LIGHTLY"]),
        ("remove", "--purpose", "", ["INPUT", "LIGHTLY"]),
        ("set", "--region", "eu-central", ["eu-central-1", "eu-central-2"]),
    ],
)
def test_shells_complete_what_a_datasource_has(command: str, option: str, typed: str, expected: list[str]) -> None:
    """Shells completed file names for these options, although their values are few."""
    found = COMMANDS["datasource", command]
    context = found.make_context(command, [], resilient_parsing=True)
    (parameter,) = (each for each in found.params if option in each.opts)
    assert [item.value for item in parameter.shell_complete(context, typed)] == expected
