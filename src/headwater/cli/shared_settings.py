"""The settings of the server, for commands on the same catalog.

`headwater serve` writes its settings, except secrets, to a file in the data folder. Commands use them as defaults, so
that they list, verify and sign like the server. The file stays when the server stops.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from headwater.access import refusal
from headwater.catalog.postgres_url import SCHEMES, parse_postgres_url
from headwater.domain.errors import StartupError
from headwater.new_files import unfinished_file, write_synced
from headwater.settings import CATALOG_FILE, SPECS, Settings

FILE_NAME = "server.json"

_NAMING = ("host", "hostaddr", "port", "dbname", "service")
"""Parameters of a PostgreSQL URL that name the database."""


class _Shared(NamedTuple):
    """What a server has shared: which catalog it uses, as `_catalog_of` tells, and its settings by their variables."""

    catalog: str | None
    settings: dict[str, str]


def share_settings(settings: Settings) -> None:
    """Write the file for the settings of a server. Servers without a data folder share nothing.

    Raises:
        OSError: the file cannot be written.
    """
    if not settings.uses_folder:
        return
    settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = json.dumps({"catalog": _catalog_of(settings), "settings": _shared(settings)}, indent=2)
    file = settings.folder / FILE_NAME
    with unfinished_file(file) as unfinished:
        write_synced(unfinished, text + "\n")
        unfinished.replace(file)


def settings_for_command(environ: Mapping[str, str]) -> Settings:
    """Return the settings of a command: those in its environment, then those of the server, then the defaults.

    A port of 0 says nothing about the server's, so it counts as unset.

    Raises:
        StartupError: a setting or the file cannot be used.
    """
    own = Settings.load(environ)
    if own.port == 0:
        environ = {name: value for name, value in environ.items() if name != "HEADWATER_PORT"}
    found = _load(own)
    shared = found.settings if found is not None and found.catalog == _catalog_of(own) else {}
    secrets = {spec.name: getattr(own, spec.name) for spec in SPECS if spec.secret}  # a pipe can be read only once
    try:
        return Settings.load(environ, shared, **secrets)
    except StartupError as error:  # the environment alone is good
        raise StartupError(f"{own.folder / FILE_NAME}: {error.message}; start the server again to renew it") from None


def differences(environ: Mapping[str, str], settings: Settings) -> list[str]:
    """Return what the environment sets otherwise than the server that started last with the data folder.

    Args:
        environ: the environment.
        settings: what `settings_for_command` made of it.

    Raises:
        StartupError: the file cannot be used.
    """
    found = _load(settings)
    if found is None or found.catalog != _catalog_of(settings):
        return []
    here = {name: value for name, value in _shared(settings).items() if environ.get(name) and name != "HEADWATER_PORT"}
    return [
        f"{name} is {value} here, and the server started with {found.settings.get(name, 'nothing')}"
        for name, value in here.items()
        if value != found.settings.get(name)
    ]


def find_other_catalog(settings: Settings) -> str | None:
    """Return what to tell if the settings choose the catalog in a data folder whose server had another when it started.

    Raises:
        StartupError: the file cannot be used.
    """
    found = _load(settings) if settings.database_url is None else None
    if found is None or found.catalog is None:
        return None
    return f"the server of {settings.folder} uses another database: set HEADWATER_DATABASE_URL as for the server"


def _shared(settings: Settings) -> dict[str, str]:
    specs = [spec for spec in SPECS if not spec.secret and spec.name != "data_dir"]  # commands know the folder
    values = {spec.env: _text(getattr(settings, spec.name)) for spec in specs}
    return {name: value for name, value in values.items() if value}


def _text(value: Any) -> str:
    return str(value.absolute() if isinstance(value, Path) else "" if value is None else value)


def _load(settings: Settings) -> _Shared | None:
    """Return what the server that started last with the data folder has shared; None if there is nothing."""
    if not settings.uses_folder:
        return None
    file = settings.folder / FILE_NAME
    try:
        data = json.loads(file.read_bytes())
        return _Shared(data["catalog"], {str(name): str(value) for name, value in data["settings"].items()})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StartupError(f"{file} cannot be read: {refusal(file, os.R_OK) or error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StartupError(f"{file} is damaged: start the server again to renew it, or delete it") from None


def _catalog_of(settings: Settings) -> str | None:
    """Return what tells the catalog from others, without user and password; None for the one in the data folder."""
    if settings.sqlite_file is not None:
        file = settings.sqlite_file.absolute()
        return None if file == settings.folder / CATALOG_FILE else str(file)
    scheme, _, rest = settings.catalog_url.partition("://")
    named = parse_postgres_url(rest).parameters if scheme in SCHEMES else {}
    return " ".join(named.get(keyword, "") for keyword in _NAMING)
