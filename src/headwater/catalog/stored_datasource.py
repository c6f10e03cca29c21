"""How a datasource is stored: its row in `datasources`.

The column `config` holds JSON: `type` with the name of the type, and the members that have a value, by their Python
names (`Member.attribute`): `{"type":"S3","full_path":"s3://bucket/path","region":"eu-central-1",…}`. The purpose has
a column of its own. The secret is encrypted in the column `secret`. The origins are NULL if they are the id itself.

The format is independent of the API. A change to it needs a migration; a test pins the text of all types.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from sqlalchemy import Row

from headwater.catalog.keyring import Keyring
from headwater.catalog.tables import datasources
from headwater.domain.datasource import SECRET_MASK, Datasource, Purpose, parse_config
from headwater.domain.datasource_members import find_datasource_type
from headwater.domain.errors import HeadwaterError, MalformedRequestError

COLUMNS = (
    datasources.c.id.label("datasource_id"),
    datasources.c.dataset_id,
    datasources.c.purpose,
    datasources.c.config,
    datasources.c.secret,
    datasources.c.input_origin,
    datasources.c.lightly_origin,
)
"""The columns that `datasource_of_row` needs. The id is labelled, because a row of a join has several."""


class DatasourceSummary(NamedTuple):
    """What a datasource points to. Reading it needs no key, and no valid config.

    Attributes:
        id: its id.
        purpose: its purpose.
        type: the name of its type.
        full_path: its path, as it was sent.
        authority: the account or endpoint that the path belongs to; None if the type has none.
    """

    id: str
    purpose: Purpose
    type: str
    full_path: str
    authority: str | None


def row_of_datasource(keyring: Keyring, datasource: Datasource) -> dict[str, Any]:
    """Return the row of a datasource, with the secret encrypted."""
    config = datasource.config
    members: dict[str, str] = {"type": config.type}
    for member in config.TYPE.members:
        value = getattr(config, member.attribute)
        if value is not None and not member.secret and member.attribute != "purpose":
            members[member.attribute] = value
    secret = config.secret
    return {
        "id": datasource.id,
        "dataset_id": datasource.dataset_id,
        "purpose": config.purpose.value,
        "config": json.dumps(members, separators=(",", ":")),
        "secret": keyring.encrypt(secret, datasource.dataset_id) if secret is not None else None,
        "input_origin": datasource.input_origin,
        "lightly_origin": datasource.lightly_origin,
    }


def datasource_of_row(keyring: Keyring, row: Row[Any], *, mask_lost_secret: bool = False) -> Datasource:
    """Return the datasource in a row that has `COLUMNS`.

    Args:
        keyring: holds the key that the secret was encrypted with.
        row: the row.
        mask_lost_secret: return the mask for a secret that cannot be decrypted, so that the datasource can be
            replaced by one with a new secret.

    Raises:
        HeadwaterError: the secret cannot be decrypted, or the config is not valid for this version.
    """
    stored = json.loads(row.config)
    try:
        datasource_type = find_datasource_type(stored.get("type"))
        raw = {"type": datasource_type.name, "purpose": row.purpose}
        for member in datasource_type.members:
            value = stored.get(member.attribute)
            if member.secret and row.secret is not None:
                value = _decrypt(keyring, row, mask_lost_secret)
            if value is not None:
                raw[member.wire_name] = value
        origins = row.input_origin, row.lightly_origin
        return Datasource(row.datasource_id, row.dataset_id, parse_config(raw), *origins)
    except MalformedRequestError as error:
        raise HeadwaterError(
            f"the stored datasource is not valid for this version of the server ({error.message}); configure it again"
        ) from None


def summary_of_row(row: Row[Any]) -> DatasourceSummary:
    """Return what the datasource in a row that has `COLUMNS` points to."""
    stored = json.loads(row.config)
    return DatasourceSummary(
        row.datasource_id,
        Purpose(row.purpose),
        stored["type"],
        stored.get("full_path", ""),
        stored.get("account_name") or stored.get("endpoint"),
    )


def _decrypt(keyring: Keyring, row: Row[Any], mask_lost_secret: bool) -> str:
    try:
        return keyring.decrypt(row.secret, row.dataset_id)
    except HeadwaterError:
        if not mask_lost_secret:
            raise
        return SECRET_MASK
