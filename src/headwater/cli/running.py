"""Open the service for one command."""

from __future__ import annotations

import os
import shlex
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from headwater.cli.output import note
from headwater.domain.errors import CatalogMissingError, StartupError
from headwater.domain.text import visible

if TYPE_CHECKING:
    from headwater.service.context import ServiceContext, Setup
    from headwater.settings import Settings

DatasetRef = Annotated[str, typer.Argument(metavar="DATASET", help="The id or name of a dataset.")]

Result = TypeVar("Result")


def run(
    work: Callable[[ServiceContext], Awaitable[Result]], setup: Setup | None = None, *, contacts_store: bool = False
) -> Result:
    """Return the result of `work`, called with the service that the settings describe.

    Args:
        work: what the command does.
        setup: what the command may create or upgrade; nothing by default.
        contacts_store: whether the command may contact a store.

    Raises:
        CatalogMissingError: there is no catalog, and the command may not create one.
        StartupError: a setting cannot be used, or the server uses another catalog and this one does not exist.
    """
    import asyncio

    from headwater.net.proxies import warn_about_proxies
    from headwater.observability.logs import log_to_stderr
    from headwater.service.audit import coming_from
    from headwater.service.context import Setup, open_context

    log_to_stderr()
    setup = setup or Setup.NOTHING
    settings = _find_settings(frozenset(os.environ.items()), setup)

    async def inside() -> Result:
        async with open_context(settings, setup) as ctx:
            with coming_from(_system_user()):
                return await work(ctx)

    if contacts_store:
        warn_about_proxies()
    if setup is not Setup.NOTHING and settings.database_url is None and not settings.folder.exists():
        note(f"setting up a new data folder: {settings.folder}")
    with _saying_which_catalog(settings):
        return asyncio.run(inside())


def run_with_settings(work: Callable[[Settings], Result]) -> Result:
    """Return the result of `work`, called with the settings of a command that needs the catalog, but not the service.

    Raises:
        StartupError: as `run`.
    """
    from headwater.observability.logs import log_to_stderr
    from headwater.service.context import Setup

    log_to_stderr()
    settings = _find_settings(frozenset(os.environ.items()), Setup.NOTHING)
    with _saying_which_catalog(settings):
        return work(settings)


@contextmanager
def _saying_which_catalog(settings: Settings) -> Iterator[None]:
    try:
        yield
    except CatalogMissingError as error:
        raise CatalogMissingError(f"{error.message}; {which_catalog(settings)}") from None


def _system_user() -> str:
    """Return who runs the command, for the audit log: by the system, because variables may say anything."""
    import pwd

    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run with a number that has no name
        name = str(os.getuid())
    behind = os.environ.get("SUDO_USER", "") if os.getuid() == 0 else ""
    return f"command line of {name}" + (f" (sudo by {visible(behind)[:100]})" if behind else "")


def note_implicit_user(user: str) -> None:
    """Tell on stderr which user a command has chosen, because none was given."""
    note(f"the owner is the user {user!r}; --user NAME chooses another")


@lru_cache(maxsize=1)
def _find_settings(environ: frozenset[tuple[str, str]], setup: Setup) -> Settings:
    """Return the settings of a command, and tell what is odd about them.

    A command may call `run` several times. Still, every file is read once, because it may be a pipe, and every message
    is printed once.
    """
    from headwater.cli.shared_settings import settings_for_command
    from headwater.settings import unknown_setting_text, unknown_settings

    variables = dict(environ)
    for name, similar in unknown_settings(variables):
        note(unknown_setting_text(name, similar))
    settings = settings_for_command(variables)
    _check_catalog_of_server(settings, setup)
    return settings


def _check_catalog_of_server(settings: Settings, setup: Setup) -> None:
    """Check that a command uses the catalog of the server of its data folder, or else tell that it does not.

    Raises:
        StartupError: it does not, and its own catalog does not exist.
    """
    from headwater.cli.shared_settings import find_other_catalog
    from headwater.service.context import Setup

    text = find_other_catalog(settings)
    if text is None:
        return
    if setup is not Setup.UPGRADE and not (settings.sqlite_file and settings.sqlite_file.exists()):
        raise StartupError(text)
    note(text)


def which_catalog(settings: Settings) -> str:
    """Return which settings choose the catalog, where another one is, and how to make a new one."""
    near = ""
    if settings.database_url is not None:
        chosen = "HEADWATER_DATABASE_URL chooses it"
    elif settings.data_dir is not None:
        chosen = "HEADWATER_DATA_DIR chooses it"
    else:
        chosen = "HEADWATER_DATA_DIR or HEADWATER_DATABASE_URL choose another; neither is set"
        if (found := next(_other_catalogs(settings), None)) is not None:
            near = f". There is one in {found}: set HEADWATER_DATA_DIR={shlex.quote(str(found))}"
    if settings.sqlite_file is not None and settings.sqlite_file.exists():
        return f"the file holds something else; {chosen}{near}. Restore a copy of the catalog, or choose another file"
    return f"{chosen}{near}. `headwater init` makes a new one"


def _other_catalogs(settings: Settings) -> Iterator[Path]:
    """Yield the folders with a catalog in the working directory and one level below it."""
    from headwater.settings import CATALOG_FILE

    try:
        for file in (*Path().glob(CATALOG_FILE), *sorted(Path().glob(f"*/{CATALOG_FILE}"))):
            if file.absolute() != settings.sqlite_file:
                yield file.parent
    except OSError:
        return
