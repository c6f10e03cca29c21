"""This server's own credentials, from its environment, for storage that the operator provides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from headwater.domain.errors import CredentialsRefusedError

SETTING = "HEADWATER_MANAGED_STORE"


def google_key_file(environ: Mapping[str, str] = os.environ) -> str:
    """Return the text of the key file that `GOOGLE_APPLICATION_CREDENTIALS` names.

    Raises:
        CredentialsRefusedError: it names no file, or the file cannot be read.
    """
    name = environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    try:
        return Path(name).read_text()
    except (OSError, UnicodeDecodeError, ValueError):
        raise CredentialsRefusedError(
            f"{SETTING}: the operator must let GOOGLE_APPLICATION_CREDENTIALS name the key file of a service account, "
            f"which this server can read"
        ) from None
