"""Where a dataset's files lie: the seven kinds of datasource, their form, their secrets, their place.

The form rules are those of contract.md#datasource-config. Only form is checked here; whether a bucket exists or a key
works is found out by verify and list.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, cast
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
)

from headwater.domain.errors import MalformedRequestError
from headwater.domain.pasted import advice_on
from headwater.domain.text import is_storable

MASK = "********"
"""What stands in answers where a secret is; the same for every secret."""

S3_REGIONS = tuple(
    "us-east-1 us-east-2 us-west-1 us-west-2 us-gov-west-1 us-gov-east-1 us-gov-east us-gov-west af-south-1 "
    "ap-east-1 ap-south-1 ap-south-2 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 "
    "ap-northeast-1 ap-northeast-2 ap-northeast-3 ca-central-1 cn-north-1 cn-northwest-1 eu-central-1 "
    "eu-central-2 eu-west-1 eu-west-2 eu-west-3 eu-south-1 eu-south-2 eu-north-1 me-south-1 me-central-1 "
    "sa-east-1".split()
)
"""The union of the region lists of both published generations."""


class Purpose(StrEnum):
    """What a datasource serves: raw samples (INPUT), what lies under `.lightly/` (LIGHTLY), or both."""

    INPUT_OUTPUT = "INPUT_OUTPUT"
    INPUT = "INPUT"
    LIGHTLY = "LIGHTLY"


def check_purpose(field: str, text: str) -> Purpose:
    """Return the purpose of this name.

    Raises:
        MalformedRequestError: there is none; the text names the field.
    """
    if text not in tuple(Purpose):
        raise MalformedRequestError(f"{field}: expected one of {', '.join(Purpose)}")
    return Purpose(text)


class Location(NamedTuple):
    """Which data a datasource points to, whatever the credentials and however the path is spelled.

    `authority` is what makes a bucket's name unique: the endpoint of OBS, the account of Azure, else empty.
    `prefix` is empty or ends in `/`.
    """

    type: str
    authority: str
    bucket: str
    prefix: str

    @property
    def fingerprint(self) -> str:
        """A short name of the place, the same on every server, that tells nothing of it."""
        return hashlib.sha256("\0".join(self).encode()).hexdigest()[:24]


def _storable(text: str) -> str:
    if not is_storable(text):
        raise ValueError("must be Unicode text without NUL characters")
    return text


def _region(text: str) -> str:
    if text not in S3_REGIONS:
        raise ValueError(f"expected one of the regions {', '.join(S3_REGIONS)}")
    return text


def _local_path(text: str) -> str:
    if text.startswith("/"):
        raise ValueError("expected a path relative to the server's mount root, without a leading '/'")
    if "://" in text:
        raise ValueError("expected a path relative to the server's mount root, not a URL")
    if any(part in (".", "..") for part in text.split("/")):
        raise ValueError("expected a path without '.' and '..' parts")
    return text


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname
        parts.port  # noqa: B018  reading it is what checks it
    except ValueError:
        host = None
    if not host or re.search(r"[\s\x00-\x20\x7f]", text):
        raise ValueError("expected a URL such as https://storage.example.com")
    if "@" in parts.netloc:
        raise ValueError("expected a URL without user and password, which would be stored in clear")
    return text


def _split_scheme(text: str) -> tuple[str, str]:
    found = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", text, re.DOTALL)
    return (found[1].lower(), found[2]) if found else ("", text)


def _matches(pattern: str, example: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"expected {example}")
        return text

    return AfterValidator(check)


def _bucket_path(*schemes: str) -> AfterValidator:
    def check(text: str) -> str:
        scheme, rest = _split_scheme(text)
        if scheme and scheme not in schemes:
            allowed = " or ".join(f"{name}://" for name in schemes)
            expected = f"expected bucket/path{', with or without ' + allowed if allowed else ' without a scheme'}"
            raise ValueError("; ".join(filter(None, (expected, advice_on(text)))))
        if not rest.split("/", 1)[0]:
            raise ValueError("expected bucket/path with a bucket or container name first")
        return text

    return AfterValidator(check)


Text = Annotated[str, AfterValidator(_storable)]
NonEmpty = Annotated[Text, StringConstraints(min_length=1)]
Secret = Annotated[SecretStr, Field(min_length=1)]
Region = Annotated[Text, AfterValidator(_region)]
Url = Annotated[Text, _matches(r"https?://.+", "a URL that begins with http:// or https://"), AfterValidator(_url)]
KmsKey = Annotated[
    Text,
    _matches(
        r"arn:aws:kms:[a-zA-Z0-9-]*:[0-9]{12}:key.+",
        "the ARN of a KMS key, arn:aws:kms:<region>:<account>:key/<id>",
    ),
]
S3Path = Annotated[Text, _bucket_path("s3")]


def _purpose(value: object) -> Purpose:
    if value is None:
        return Purpose.INPUT_OUTPUT
    if value not in tuple(Purpose):
        raise ValueError(f"expected one of {', '.join(Purpose)}")
    return Purpose(cast(str, value))


class DatasourceConfig(BaseModel):
    """What all kinds have in common. Members keep the spelling in which they were put."""

    model_config = ConfigDict(
        extra="ignore", strict=True, frozen=True, hide_input_in_errors=True, regex_engine="python-re"
    )

    SECRET: ClassVar[str | None] = None
    """The member that holds the secret, by its wire name."""

    IDENTITY: ClassVar[tuple[str, ...]] = ()
    """The members that say whose secret it is and where it is sent: while they stay, a mask keeps the secret."""

    ALWAYS_REDIRECTED: ClassVar[bool] = False
    """Whether read URLs of listings are redirected ones, whatever was asked for (contract.md#redirected-read-urls)."""

    type: str
    full_path: str = Field(alias="fullPath")
    thumb_suffix: Text | None = Field(None, alias="thumbSuffix")
    purpose: Annotated[Purpose, BeforeValidator(_purpose)] = Purpose.INPUT_OUTPUT

    @property
    def location(self) -> Location:
        """Which data this points to."""
        bucket, _, prefix = _split_scheme(self.full_path)[1].partition("/")
        return Location(self.type, self._authority(), bucket, _folder(prefix))

    @property
    def secret(self) -> str | None:
        """The secret in clear, for those who sign with it; None where the kind has none."""
        if self.SECRET is None:
            return None
        return cast(SecretStr, self._members()[self.SECRET]).get_secret_value()

    def answer(self) -> dict[str, Any]:
        """All members by their wire names as they are answered: what was put, with the secret masked."""
        return {
            name: MASK if isinstance(value, SecretStr) else str(value)
            for name, value in self._members().items()
            if value is not None
        }

    def with_secret_of(self, stored: DatasourceConfig | None) -> DatasourceConfig:
        """Return this config with the stored secret where the mask was sent instead of one.

        Args:
            stored: what is configured now, None if nothing is. It holds the mask itself where its secret is lost.

        Raises:
            MalformedRequestError: the mask was sent and there is nothing to keep, or the secret would go to
                another account or server than it was given for.
        """
        if self.SECRET is None or self.secret != MASK:
            return self
        if stored is None or self._identity() != stored._identity() or stored.secret == MASK:
            what = ", ".join(("type", *self.IDENTITY))
            raise MalformedRequestError(
                f"{self.SECRET}: holds the mask that answers show. A stored secret is kept only while {what} "
                f"stay the same; send the secret itself"
            )
        return _parse_member(self, self.SECRET, cast(str, stored.secret))

    def _identity(self) -> tuple[object, ...]:
        members = self._members()
        return (self.type, *(members[name] for name in self.IDENTITY))

    def _members(self) -> dict[str, Any]:
        return {field.alias or name: getattr(self, name) for name, field in type(self).model_fields.items()}

    def _authority(self) -> str:
        return ""


class S3Config(DatasourceConfig):
    """Amazon S3 with an access key."""

    SECRET = "s3SecretAccessKey"  # noqa: S105  the member's name
    IDENTITY = ("s3AccessKeyId",)

    type: Literal["S3"]
    full_path: S3Path = Field(alias="fullPath")
    region: Region = Field(alias="s3Region")
    access_key_id: NonEmpty = Field(alias="s3AccessKeyId")
    secret_access_key: Secret = Field(alias="s3SecretAccessKey")
    kms_key: KmsKey | None = Field(None, alias="s3ServerSideEncryptionKMSKey")


class S3DelegatedAccessConfig(DatasourceConfig):
    """Amazon S3 through a role that this server may assume."""

    ALWAYS_REDIRECTED = True  # what the role's sessions sign lives an hour at most

    type: Literal["S3DelegatedAccess"]
    full_path: S3Path = Field(alias="fullPath")
    region: Region = Field(alias="s3Region")
    external_id: Annotated[
        Text,
        StringConstraints(min_length=10),
        _matches(r"[a-zA-Z0-9_+=,.@:\/-]+", "letters, digits and _+=,.@:/- only"),
    ] = Field(alias="s3ExternalId")
    role_arn: Annotated[
        Text,
        StringConstraints(min_length=12),
        _matches(r"arn:aws:iam::[0-9]{12}:role.+", "the ARN of a role, arn:aws:iam::<account>:role/<name>"),
    ] = Field(alias="s3ARN")
    kms_key: KmsKey | None = Field(None, alias="s3ServerSideEncryptionKMSKey")


class GcsConfig(DatasourceConfig):
    """Google Cloud Storage with the key file of a service account."""

    SECRET = "gcsCredentials"  # noqa: S105  the member's name
    IDENTITY = ("gcsProjectId",)

    type: Literal["GCS"]
    full_path: Annotated[Text, _bucket_path("gs")] = Field(alias="fullPath")
    project_id: NonEmpty = Field(alias="gcsProjectId")
    credentials: Secret = Field(alias="gcsCredentials")


class AzureConfig(DatasourceConfig):
    """Azure Blob Storage with an account key or a SAS token."""

    SECRET = "accountKey"  # noqa: S105  the member's name
    IDENTITY = ("accountName",)

    type: Literal["AZURE"]
    full_path: Annotated[Text, _bucket_path()] = Field(alias="fullPath")
    account_name: NonEmpty = Field(alias="accountName")
    account_key: Secret = Field(alias="accountKey")

    def _authority(self) -> str:
        return self.account_name


class ObsConfig(DatasourceConfig):
    """Any S3-compatible store at an endpoint."""

    SECRET = "obsSecretAccessKey"  # noqa: S105  the member's name
    IDENTITY = ("obsAccessKeyId", "obsEndpoint")

    type: Literal["OBS"]
    full_path: Annotated[Text, _bucket_path("obs", "s3")] = Field(alias="fullPath")
    endpoint: Url = Field(alias="obsEndpoint")
    access_key_id: NonEmpty = Field(alias="obsAccessKeyId")
    secret_access_key: Secret = Field(alias="obsSecretAccessKey")

    def _authority(self) -> str:
        parts = urlsplit(self.endpoint)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme.lower()]
        return f"{parts.scheme.lower()}://{parts.hostname}:{port}{parts.path.rstrip('/')}"


class LocalConfig(DatasourceConfig):
    """A folder below the server's mount root."""

    type: Literal["LOCAL"]
    full_path: Annotated[Text, AfterValidator(_local_path)] = Field(alias="fullPath")
    web_server_location: Url | None = Field(None, alias="webServerLocation")

    @property
    def location(self) -> Location:
        """The folder, with doubled and trailing slashes left out."""
        parts = [part for part in self.full_path.split("/") if part]
        return Location(self.type, "", "", "".join(part + "/" for part in parts))


class LightlyConfig(DatasourceConfig):
    """Storage that the operator of this server provides.

    `full_path` is kept and answered, and names nothing: each dataset has one area of its own.
    """

    type: Literal["LIGHTLY"]
    full_path: Text = Field(alias="fullPath")

    @property
    def location(self) -> Location:
        """The area of whichever dataset this is configured for."""
        return Location(self.type, "", "", "")


_KINDS: dict[str, type[DatasourceConfig]] = {
    "S3": S3Config,
    "S3DelegatedAccess": S3DelegatedAccessConfig,
    "GCS": GcsConfig,
    "AZURE": AzureConfig,
    "OBS": ObsConfig,
    "LOCAL": LocalConfig,
    "LIGHTLY": LightlyConfig,
}
TYPES = tuple(_KINDS)
"""The seven kinds, as answered."""

_ALIASES = {
    "DatasourceConfigS3": "S3",
    "DatasourceConfigS3DelegatedAccess": "S3DelegatedAccess",
    "DatasourceConfigGCS": "GCS",
    "DatasourceConfigAzure": "AZURE",
    "DatasourceConfigOBS": "OBS",
    "DatasourceConfigLOCAL": "LOCAL",
    "DatasourceConfigLIGHTLY": "LIGHTLY",
}
"""The class names that the first published client can only construct configs with."""


@dataclass(frozen=True, slots=True)
class Datasource:
    """A configured datasource of a dataset."""

    id: str
    dataset_id: str
    config: DatasourceConfig

    def answer(self) -> dict[str, Any]:
        """The config as it is answered, with its id."""
        return {"id": self.id, **self.config.answer()}


def kind_of(type_name: str) -> type[DatasourceConfig]:
    """The class of a type, by its short name or alias.

    Raises:
        MalformedRequestError: there is no such type.
    """
    kind = _KINDS.get(_ALIASES.get(type_name, type_name))
    if kind is None:
        raise MalformedRequestError(f"type: expected one of {', '.join(TYPES)}")
    return kind


def parse_config(raw: object) -> DatasourceConfig:
    """Read a datasource config from a decoded JSON body. Unknown members are dropped.

    Raises:
        MalformedRequestError: a member is missing or malformed; the text names all of them and repeats no value.
    """
    if not isinstance(raw, Mapping):
        raise MalformedRequestError("body: expected a JSON object with the members of a datasource config")
    if not isinstance(raw.get("type"), str):
        raise MalformedRequestError(f"type: expected one of {', '.join(TYPES)}")
    kind = kind_of(raw["type"])
    short_name = _ALIASES.get(raw["type"], raw["type"])
    return _validate(kind, {**raw, "type": short_name})


def _parse_member(config: DatasourceConfig, member: str, value: str) -> DatasourceConfig:
    return _validate(type(config), {**config._members(), member: value})


def _validate(kind: type[DatasourceConfig], members: dict[str, Any]) -> DatasourceConfig:
    try:
        return kind.model_validate(members)
    except ValidationError as error:
        raise MalformedRequestError("; ".join(_explain(detail, kind) for detail in error.errors())) from None


def _explain(detail: Any, kind: type[DatasourceConfig]) -> str:
    name = ".".join(str(part) for part in detail["loc"])
    match detail["type"]:
        case "missing":
            return f"{name}: required for type {kind.model_fields['type'].annotation.__args__[0]}"  # type: ignore[union-attr]  # a Literal
        case "value_error":
            return f"{name}: {detail['ctx']['error']}"
        case "string_too_short" | "too_short":
            least = detail["ctx"]["min_length"]
            return f"{name}: expected at least {least} characters" if least > 1 else f"{name}: must not be empty"
        case "string_type":
            return f"{name}: expected a string"
        case _:
            return f"{name}: {detail['msg']}"


def _folder(prefix: str) -> str:
    return prefix if not prefix or prefix.endswith("/") else prefix + "/"
