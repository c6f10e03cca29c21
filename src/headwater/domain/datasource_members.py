"""The seven types of datasource and the members of their configs, declared once.

The config classes (`domain.datasource`), the stored form (`catalog.stored_datasource`) and the options of
`headwater datasource set` are derived from these declarations. This module imports nothing slow, because
`headwater --help` loads it.

The members are those of contract.md#datasource-config.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from headwater.domain.choices import expected_one_of
from headwater.domain.errors import MalformedRequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member of a datasource config.

    Attributes:
        attribute: its name in Python, and in the catalog.
        wire_name: its name in the API.
        help: what it is, for people.
        option: the option of `headwater datasource set` that sets it, without dashes; None if there is no option.
            Types may share an option.
        metavar: what the help shows as the value of the option; None for the name of the option in capitals.
        option_default: the value if the option is left out; None for no value.
        secret: the member holds the secret of the datasource: it is encrypted at rest and masked in responses.
        identity: the member says whose secret it is, or where the secret is sent. A masked secret is replaced by
            the stored one only while all these members stay the same.
    """

    attribute: str
    wire_name: str
    help: str
    option: str | None = None
    metavar: str | None = None
    option_default: str | None = None
    secret: bool = False
    identity: bool = False


@dataclass(frozen=True, slots=True)
class DatasourceType:
    """A type of datasource.

    Attributes:
        name: its name in the API.
        alias: the class name that the first published client sends instead of the name.
        members: the members of its configs, without `type`, in the order in which responses show them.
    """

    name: str
    alias: str
    members: tuple[Member, ...]

    @property
    def secret(self) -> Member | None:
        """The member that holds the secret; None if the type has none."""
        return next((member for member in self.members if member.secret), None)

    @property
    def identity(self) -> tuple[Member, ...]:
        """The members that a stored secret is bound to."""
        return tuple(member for member in self.members if member.identity)

    def wire_name(self, attribute: str) -> str:
        """Return the name in the API of the member with this name in Python."""
        return next((member.wire_name for member in self.members if member.attribute == attribute), attribute)


_FULL_PATH = Member(
    attribute="full_path",
    wire_name="fullPath",
    help="bucket/path; for LOCAL, a folder under the mount root; not needed for LIGHTLY.",
    option="path",
)
_THUMB_SUFFIX = Member(attribute="thumb_suffix", wire_name="thumbSuffix", help="the name pattern of thumbnails.")
_PURPOSE = Member(
    attribute="purpose",
    wire_name="purpose",
    help="What the datasource serves: INPUT (the files), LIGHTLY (everything under .lightly/) or INPUT_OUTPUT "
    "(both). The default is INPUT if the dataset has a datasource for INPUT, otherwise INPUT_OUTPUT.",
    option="purpose",
)
COMMON_MEMBERS = (_FULL_PATH, _THUMB_SUFFIX, _PURPOSE)
"""The members that every type has."""

_REGION = Member(attribute="region", wire_name="s3Region", help="the region of the bucket.", option="region")
_KMS_KEY = Member(
    attribute="kms_key",
    wire_name="s3ServerSideEncryptionKMSKey",
    help="the KMS key for the objects that are written.",
    option="kms-key",
    metavar="ARN",
)


def _access_key_id(wire_name: str) -> Member:
    return Member(
        attribute="access_key_id",
        wire_name=wire_name,
        help="the id of the access key.",
        option="access-key-id",
        metavar="KEY_ID",
        identity=True,
    )


def _secret_access_key(wire_name: str) -> Member:
    return Member(attribute="secret_access_key", wire_name=wire_name, help="secret access key", secret=True)


S3 = DatasourceType(
    "S3",
    "DatasourceConfigS3",
    (*COMMON_MEMBERS, _REGION, _access_key_id("s3AccessKeyId"), _secret_access_key("s3SecretAccessKey"), _KMS_KEY),
)
S3_DELEGATED_ACCESS = DatasourceType(
    "S3DelegatedAccess",
    "DatasourceConfigS3DelegatedAccess",
    (
        *COMMON_MEMBERS,
        _REGION,
        Member(
            attribute="external_id",
            wire_name="s3ExternalId",
            help="the external id.",
            option="external-id",
            metavar="ID",
        ),
        Member(attribute="role_arn", wire_name="s3ARN", help="the role to assume.", option="role-arn", metavar="ARN"),
        _KMS_KEY,
    ),
)
GCS = DatasourceType(
    "GCS",
    "DatasourceConfigGCS",
    (
        *COMMON_MEMBERS,
        Member(
            attribute="project_id",
            wire_name="gcsProjectId",
            help="the project; by default the one that the key file names.",
            option="project-id",
            metavar="ID",
            identity=True,
        ),
        Member(attribute="credentials", wire_name="gcsCredentials", help="GCS key file", secret=True),
    ),
)
AZURE = DatasourceType(
    "AZURE",
    "DatasourceConfigAzure",
    (
        *COMMON_MEMBERS,
        Member(
            attribute="account_name",
            wire_name="accountName",
            help="the storage account; in another cloud than Azure's public one, its host.",
            option="account-name",
            metavar="NAME",
            identity=True,
        ),
        Member(attribute="account_key", wire_name="accountKey", help="Azure account key or SAS token", secret=True),
    ),
)
OBS = DatasourceType(
    "OBS",
    "DatasourceConfigOBS",
    (
        *COMMON_MEMBERS,
        Member(
            attribute="endpoint",
            wire_name="obsEndpoint",
            help="the URL of the endpoint; '?region=NAME' at its end is the region to sign for.",
            option="endpoint",
            metavar="URL",
            identity=True,
        ),
        _access_key_id("obsAccessKeyId"),
        _secret_access_key("obsSecretAccessKey"),
    ),
)
LOCAL = DatasourceType(
    "LOCAL",
    "DatasourceConfigLOCAL",
    (
        *COMMON_MEMBERS,
        Member(
            attribute="web_server_location",
            wire_name="webServerLocation",
            help="a web server of your own that read URLs point to.",
            option="web-server",
            metavar="URL",
        ),
    ),
)
LIGHTLY = DatasourceType(
    "LIGHTLY",
    "DatasourceConfigLIGHTLY",
    (replace(_FULL_PATH, option_default=""), _THUMB_SUFFIX, _PURPOSE),
)

DATASOURCE_TYPES = (S3, S3_DELEGATED_ACCESS, GCS, AZURE, OBS, LOCAL, LIGHTLY)
TYPE_NAMES = tuple(declared.name for declared in DATASOURCE_TYPES)

_BY_NAME = {name: declared for declared in DATASOURCE_TYPES for name in (declared.name, declared.alias)}


def find_datasource_type(name: object) -> DatasourceType:
    """Return the type with this name or alias.

    Raises:
        MalformedRequestError: there is no such type.
    """
    found = _BY_NAME.get(name) if isinstance(name, str) else None
    if found is None:
        raise MalformedRequestError(f"type: {expected_one_of(TYPE_NAMES, name)}")
    return found
