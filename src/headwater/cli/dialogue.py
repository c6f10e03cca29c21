"""Ask a person for what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import typer

from headwater.cli.on_dataset import naming
from headwater.domain.errors import MalformedRequestError


class Dialogue:
    """Prompts at a terminal, on stderr.

    Args:
        names: what errors name instead of members, as in `naming`.

    Attributes:
        begun: whether something was asked.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self.begun = False

    def ask(self, label: str, check: Callable[[str], str], *, default: str | None = None, hidden: bool = False) -> str:
        """Return what `check` returns for the answer. If it raises a MalformedRequestError, ask again.

        Args:
            label: the question.
            check: called with the answer, without blanks at its ends.
            default: the answer if nothing is typed; None to ask again.
            hidden: do not show what is typed.
        """
        self.begun = True

        def checked(text: str) -> str:
            try:
                with naming(self._names):
                    return check(text.strip())
            except MalformedRequestError as error:
                raise typer.BadParameter(error.message) from None

        answer = typer.prompt(
            label, default=default, show_default=False, hide_input=hidden, value_proc=checked, err=True
        )
        return str(answer)
