"""The credentials of this server itself, from its environment, for storage that the operator provides."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from headwater.domain.errors import CredentialsRefused
from headwater.stores.remote.renewal import Leased, Renewed
from headwater.stores.s3.sigv4 import Credentials

# Its log lines may hold the credentials that it finds; what it raises says what is wrong.
logging.getLogger("botocore").setLevel(logging.CRITICAL)

SETTING = "HEADWATER_MANAGED_STORE"

LOOK_AGAIN = 300.0
"""Seconds after which keys that do not expire are looked up again: the operator may have changed them."""

LOOK_UP_SECONDS = 10.0
"""Seconds that the look-up may take: the chain ends at metadata services, which may not be there."""


class AwsIdentity:
    """The identity that botocore's chain finds: variables, profiles, web identities, metadata services.

    Args:
        sessions: where it is kept while it is good.
    """

    def __init__(self, sessions: Renewed[Credentials]) -> None:
        import botocore.session

        self._sessions = sessions
        configured = botocore.session.get_session().get_config_variable("region")
        self.region = str(os.environ.get("AWS_REGION") or configured or "us-east-1")

    async def credentials(self) -> Credentials:
        """Return what to sign with now.

        Raises:
            CredentialsRefused: the environment holds none.
        """
        return await self._sessions.get("this server's own identity", self._look_up)

    async def _look_up(self) -> Leased[Credentials]:
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                return await asyncio.to_thread(self._find)
        except TimeoutError:
            raise _no_aws_credentials("were not found in time") from None

    def _find(self) -> Leased[Credentials]:
        import botocore.session
        from botocore.exceptions import BotoCoreError

        try:
            # A session keeps what it has found, so each look-up has one of its own.
            found: Any = botocore.session.get_session().get_credentials()
            frozen = found.get_frozen_credentials() if found is not None else None
        except BotoCoreError as error:
            raise _no_aws_credentials(f"cannot be used ({type(error).__name__})") from None
        if frozen is None or not frozen.access_key or not frozen.secret_key:
            raise _no_aws_credentials("are missing")
        now = time.time()
        ends = getattr(found, "_expiry_time", None)
        expires = ends.timestamp() if ends is not None else None
        credentials = Credentials(frozen.access_key, frozen.secret_key, frozen.token or None, expires)
        life = LOOK_AGAIN if expires is None else min(LOOK_AGAIN, (expires - now) / 2)
        return Leased(credentials, now + life, expires or now + 10 * LOOK_AGAIN)


def google_key_file(environ: Mapping[str, str] = os.environ) -> str:
    """Return the text of the key file that `GOOGLE_APPLICATION_CREDENTIALS` names.

    Raises:
        CredentialsRefused: it names none, or one that cannot be read.
    """
    name = environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    try:
        return Path(name).read_text()
    except (OSError, UnicodeDecodeError, ValueError):
        raise CredentialsRefused(
            f"{SETTING}: the operator must let GOOGLE_APPLICATION_CREDENTIALS name the key file of a service account, "
            f"which this server can read"
        ) from None


class AzureAccount(NamedTuple):
    """A storage account and what opens it: an account key or a SAS token."""

    name: str
    key: str


def azure_account(environ: Mapping[str, str] = os.environ) -> AzureAccount:
    """Find the account in the variables that Azure's own tools read.

    `AZURE_STORAGE_CONNECTION_STRING`, or `AZURE_STORAGE_ACCOUNT` with `AZURE_STORAGE_KEY` or `AZURE_STORAGE_SAS_TOKEN`.

    Raises:
        CredentialsRefused: they hold none.
    """
    parts = dict(
        part.split("=", 1) for part in environ.get("AZURE_STORAGE_CONNECTION_STRING", "").split(";") if "=" in part
    )
    name = environ.get("AZURE_STORAGE_ACCOUNT") or parts.get("AccountName", "")
    key = (
        environ.get("AZURE_STORAGE_KEY")
        or environ.get("AZURE_STORAGE_SAS_TOKEN")
        or parts.get("AccountKey")
        or parts.get("SharedAccessSignature", "")
    )
    if not name or not key:
        raise CredentialsRefused(
            f"{SETTING}: the operator must set AZURE_STORAGE_ACCOUNT, and AZURE_STORAGE_KEY or "
            f"AZURE_STORAGE_SAS_TOKEN, in this server's environment"
        )
    return AzureAccount(name, key)


def _no_aws_credentials(what: str) -> CredentialsRefused:
    return CredentialsRefused(
        f"{SETTING}: this server's own AWS credentials {what}. The operator gives it some: environment variables, a "
        f"profile, or a role of the machine"
    )
