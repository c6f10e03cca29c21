"""Commands on one dataset: find it, and report errors in the words of the command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from headwater.cli.running import run
from headwater.domain.datasource_members import DATASOURCE_TYPES
from headwater.domain.errors import DatasourceUnknownError, HeadwaterError
from headwater.domain.text import visible

if TYPE_CHECKING:
    from headwater.auth.permissions import DatasetContext
    from headwater.domain.dataset import Dataset
    from headwater.service.context import ServiceContext

SECRET_OPTION = "--secret-file"  # noqa: S105  no secret

Result = TypeVar("Result")


def _option_names() -> dict[str, str]:
    names = {"type": "--type"}
    for declared in DATASOURCE_TYPES:
        for member in declared.members:
            if member.secret:
                names[member.wire_name] = SECRET_OPTION
            elif member.option is not None:
                names[member.wire_name] = f"--{member.option}"
    return names


OPTION_NAMES: Mapping[str, str] = _option_names()
"""The options of `headwater datasource set`, by the members of a config that they set."""


def run_on_dataset(
    ref: str,
    work: Callable[[ServiceContext, DatasetContext], Awaitable[Result]],
    names: Mapping[str, str] = OPTION_NAMES,
    *,
    contacts_store: bool = False,
) -> Result:
    """Return the result of `work`, called with the service and the dataset that a command names.

    Args:
        ref: the id or name of the dataset.
        work: what the command does.
        names: as in `naming`.
        contacts_store: as in `run`.

    Raises:
        HeadwaterError: as `find_dataset` and `work`. If a datasource is missing, the text names the command
            that configures one.
    """

    async def inside(ctx: ServiceContext) -> Result:
        from headwater.service.admin import find_dataset

        return await work(ctx, await find_dataset(ctx, ref))

    with naming(names):
        try:
            return run(inside, contacts_store=contacts_store)
        except DatasourceUnknownError as error:
            command = f"headwater datasource set {shlex.quote(visible(ref))} --type TYPE --path PATH …"
            raise DatasourceUnknownError(f"{error.message}: `{command}`") from None


def get_dataset(ref: str) -> Dataset:
    """Return the dataset that a command names.

    Raises:
        HeadwaterError: as `find_dataset`.
    """

    async def get(_: ServiceContext, dataset: DatasetContext) -> Dataset:
        return dataset.dataset

    return run_on_dataset(ref, get)


@contextmanager
def naming(names: Mapping[str, str]) -> Iterator[None]:
    """Let errors of a block name options and arguments instead of members.

    Args:
        names: what is named instead of each member.
    """
    try:
        yield
    except HeadwaterError as error:
        error.message = with_names(error.message, names)
        raise


_WORDS_OF_SERVER = {
    "This server has no AWS credentials of its own: its operator must give it valid AWS credentials": (
        "This command has no AWS credentials in its environment, while the server may have some. Run it with the "
        "server's AWS variables"
    ),
    "This server's own AWS credentials": "The AWS credentials in this command's environment, not the server's,",
}
"""What errors of a store say about the server, which is the command here."""


def with_names(text: str, names: Mapping[str, str] = OPTION_NAMES) -> str:
    """Return an error text with other names for members, as in `naming`, and with the command instead of the server.

    A member whose name is also an ordinary word is replaced only if an error begins with it, as in `type: required`.
    """
    for member, name in names.items():
        pattern = rf"(?:^|(?<=; )){member}(?=: )" if member.islower() else rf"(?<!\w){member}(?!\w)"
        text = re.sub(pattern, name, text)
    for server, here in _WORDS_OF_SERVER.items():
        text = text.replace(server, here)
    return text
