"""Options whose value is one of a few. Typer's own texts about other values are those of its parser library."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, TypeVar

import typer

from headwater.domain.choices import expected_one_of
from headwater.domain.errors import MalformedRequestError

ChoiceT = TypeVar("ChoiceT", bound=StrEnum)


def choice_option(flag: str, choices: type[StrEnum], help: str) -> Any:  # noqa: A002  as in Typer
    """Return the declaration of an option that takes a member of an enum, in any letter case."""

    return typer.Option(
        flag,
        parser=choice_parser(flag, choices),
        metavar="|".join(choices),
        autocompletion=completion(lambda: list(choices)),
        help=help,
    )


def completion(choices: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Return the function with which shells complete the value of an option.

    Args:
        choices: returns the values; called only when a shell asks.
    """

    def complete(incomplete: str) -> list[str]:
        return [str(choice) for choice in choices() if choice.startswith(incomplete)]

    return complete


def purposes() -> Iterable[str]:
    """Return the purposes of datasources. Their module is slow to import."""
    from headwater.domain.datasource import Purpose

    return Purpose


def regions() -> Iterable[str]:
    """Return the regions of S3. Their module is slow to import."""
    from headwater.domain.datasource_checks import S3_REGIONS

    return S3_REGIONS


def choice_parser(flag: str, choices: type[ChoiceT]) -> Callable[[str], ChoiceT]:
    """Return a function that parses the value of an option. Its errors name the option and suggest a value."""

    def parse(text: str) -> ChoiceT:
        found = next((choice for choice in choices if choice.casefold() == text.casefold()), None)
        if found is None:
            raise MalformedRequestError(f"{flag}: {expected_one_of(choices, text)}")
        return found

    return parse
