"""Give stored datasources a format of their own: member names of this program instead of those of the API."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_DATASOURCES = sa.table("datasources", sa.column("id", sa.Text), sa.column("config", sa.Text))

# A copy of the names as they were when this migration was written: a migration must not change with the code.
_NEW_NAMES = {
    "fullPath": "full_path",
    "thumbSuffix": "thumb_suffix",
    "s3Region": "region",
    "s3AccessKeyId": "access_key_id",
    "s3ServerSideEncryptionKMSKey": "kms_key",
    "s3ExternalId": "external_id",
    "s3ARN": "role_arn",
    "gcsProjectId": "project_id",
    "accountName": "account_name",
    "obsEndpoint": "endpoint",
    "obsAccessKeyId": "access_key_id",
    "webServerLocation": "web_server_location",
}


def upgrade() -> None:
    """Rename the members in the column `config`. Text that no version wrote stays as it is."""
    connection = op.get_bind()
    rows = connection.execute(sa.select(_DATASOURCES)).all()
    renamed = [{"datasource_id": row.id, "renamed": rename_members(row.config)} for row in rows]
    if renamed:
        statement = (
            sa.update(_DATASOURCES)
            .where(_DATASOURCES.c.id == sa.bindparam("datasource_id"))
            .values(config=sa.bindparam("renamed"))
        )
        connection.execute(statement, renamed)


def rename_members(config: str) -> str:
    """Return the stored config with the new names of its members."""
    try:
        members: Any = json.loads(config)
    except ValueError:
        return config
    if not isinstance(members, dict):
        return config
    return json.dumps({_NEW_NAMES.get(name, name): value for name, value in members.items()}, separators=(",", ":"))
