"""This server's own storage account, from its environment, for storage that the operator provides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from headwater.domain.azure_account import parse_account
from headwater.domain.errors import CredentialsRefusedError, StartupError
from headwater.environment import read_variable
from headwater.stores.server_credentials import SETTING


class AzureAccount(NamedTuple):
    """A storage account, by name or host, and its key."""

    name: str
    key: str

    def __repr__(self) -> str:
        return f"AzureAccount(name={self.name!r})"


def azure_account(environ: Mapping[str, str] = os.environ) -> AzureAccount:
    """Return the account from the variables that Azure's own tools read.

    They are `AZURE_STORAGE_ACCOUNT` and `AZURE_STORAGE_KEY`, or `AZURE_STORAGE_CONNECTION_STRING`. The last two can be
    in a file that `AZURE_STORAGE_KEY_FILE` or `AZURE_STORAGE_CONNECTION_STRING_FILE` names. A SAS token is not enough:
    it would be part of every URL, and give anyone with one URL access to the areas of all datasets.

    Raises:
        CredentialsRefusedError: the variables hold no account.
    """
    try:
        whole, own_key = (
            read_variable(environ, name) for name in ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_KEY")
        )
    except StartupError as error:
        raise CredentialsRefusedError(f"{SETTING}: {error.message}") from None
    parts = dict(part.split("=", 1) for part in (whole or "").split(";") if "=" in part)
    name = environ.get("AZURE_STORAGE_ACCOUNT") or _account(parts)
    key = own_key or parts.get("AccountKey", "")
    if not name or not key:
        raise CredentialsRefusedError(
            f"{SETTING}: the operator must set AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY in this server's "
            f"environment. A SAS token will not do: URLs would open the areas of all datasets"
        )
    return AzureAccount(name, key)


def _account(connection: Mapping[str, str]) -> str:
    """Return the account of a connection string, by its host if the string names another cloud."""
    name, suffix = connection.get("AccountName", ""), connection.get("EndpointSuffix", "")
    at_host = parse_account(f"{name}.blob.{suffix}")
    return name if at_host is None else at_host.authority
