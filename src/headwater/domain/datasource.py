"""Datasource configs: one class for each of the seven types.

Only the form of a config is checked here (contract.md#datasource-config). Verifying and listing find out whether
the bucket exists and the credentials work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr, ValidationError

from headwater.domain import datasource_members as declared
from headwater.domain.azure_account import parse_account
from headwater.domain.choices import expected_one_of
from headwater.domain.datasource_checks import (
    NEW,
    AzurePath,
    ExternalId,
    FolderUrl,
    GcsPath,
    KmsKey,
    LocalPath,
    NonEmptyText,
    ObsEndpoint,
    ObsPath,
    Region,
    RoleArn,
    S3Path,
    Secret,
    Text,
)
from headwater.domain.datasource_members import DatasourceType, find_datasource_type
from headwater.domain.errors import MalformedRequestError
from headwater.domain.location import Location, split_bucket

SECRET_MASK = "********"  # noqa: S105  no secret
"""What responses show instead of a secret; the same for every secret."""


class Purpose(StrEnum):
    """What a datasource serves: raw samples (INPUT), everything under `.lightly/` (LIGHTLY), or both."""

    INPUT_OUTPUT = "INPUT_OUTPUT"
    INPUT = "INPUT"
    LIGHTLY = "LIGHTLY"


def check_purpose(field: str, text: str) -> Purpose:
    """Return the purpose with this name.

    Raises:
        MalformedRequestError: there is none; the text names `field`.
    """
    if text not in tuple(Purpose):
        raise MalformedRequestError(f"{field}: {expected_one_of(Purpose, text)}")
    return Purpose(text)


def _parse_purpose(value: object) -> Purpose:
    if value is None:
        return Purpose.INPUT_OUTPUT
    if value not in tuple(Purpose):
        raise ValueError(expected_one_of(Purpose, value))
    return Purpose(cast(str, value))


class DatasourceConfig(BaseModel):
    """What the configs of all types have in common. Members keep the spelling in which they were sent.

    A class for a type names its declaration, which gives the members their wire names.
    """

    model_config = ConfigDict(
        extra="ignore", strict=True, frozen=True, hide_input_in_errors=True, regex_engine="python-re"
    )

    TYPE: ClassVar[DatasourceType]
    """The declaration of the type: its members, which of them is the secret, and so on."""

    ALWAYS_REDIRECTED: ClassVar[bool] = False
    """Whether listings always return redirected read URLs (contract.md#redirected-read-urls)."""

    type: str
    full_path: Text
    thumb_suffix: Text | None = None
    purpose: Annotated[Purpose, BeforeValidator(_parse_purpose)] = Purpose.INPUT_OUTPUT

    @property
    def location(self) -> Location:
        """The data that this config points to."""
        return Location(self.type, self._authority(), *split_bucket(self.full_path))

    @property
    def secret(self) -> str | None:
        """The secret in clear; None if the type has none."""
        member = self.TYPE.secret
        return None if member is None else cast(SecretStr, getattr(self, member.attribute)).get_secret_value()

    def to_wire(self) -> dict[str, Any]:
        """Return the members as responses show them, by their wire names, with the secret masked."""
        return {
            name: SECRET_MASK if isinstance(value, SecretStr) else str(value)
            for name, value in self._wire_members().items()
            if value is not None
        }

    def with_secret_of(self, stored: DatasourceConfig | None) -> DatasourceConfig:
        """Return this config with the stored secret, if the mask was sent instead of a secret.

        Args:
            stored: the present config; None if there is none. It holds the mask if its secret is lost.

        Raises:
            MalformedRequestError: the mask was sent and no secret is stored, or the stored secret was given for
                another account or server.
        """
        member = self.TYPE.secret
        if member is None or self.secret != SECRET_MASK:
            return self
        if stored is None or self._identity() != stored._identity() or stored.secret == SECRET_MASK:
            names = ", ".join(("type", *(member.wire_name for member in self.TYPE.identity)))
            raise MalformedRequestError(
                f"{member.wire_name}: holds the mask that answers show. A stored secret is kept only while {names} "
                f"stay the same; send the secret itself"
            )
        return _validate(type(self), {**self._wire_members(), member.wire_name: stored.secret})

    def _identity(self) -> tuple[object, ...]:
        return (self.type, *(getattr(self, member.attribute) for member in self.TYPE.identity))

    def _wire_members(self) -> dict[str, Any]:
        members = {member.wire_name: getattr(self, member.attribute) for member in self.TYPE.members}
        return {"type": self.type, **members}

    def _authority(self) -> str:
        return ""


class S3Config(DatasourceConfig, alias_generator=declared.S3.wire_name):
    """Amazon S3 with an access key."""

    TYPE = declared.S3

    type: Literal["S3"]
    full_path: S3Path
    region: Region
    access_key_id: NonEmptyText
    secret_access_key: Secret
    kms_key: KmsKey | None = None


class S3DelegatedAccessConfig(DatasourceConfig, alias_generator=declared.S3_DELEGATED_ACCESS.wire_name):
    """Amazon S3 with a role that this server may assume."""

    TYPE = declared.S3_DELEGATED_ACCESS
    ALWAYS_REDIRECTED = True  # URLs signed in a session of the role expire within an hour

    type: Literal["S3DelegatedAccess"]
    full_path: S3Path
    region: Region
    external_id: ExternalId
    role_arn: RoleArn
    kms_key: KmsKey | None = None


class GcsConfig(DatasourceConfig, alias_generator=declared.GCS.wire_name):
    """Google Cloud Storage with the key file of a service account."""

    TYPE = declared.GCS

    type: Literal["GCS"]
    full_path: GcsPath
    project_id: NonEmptyText
    credentials: Secret


class AzureConfig(DatasourceConfig, alias_generator=declared.AZURE.wire_name):
    """Azure Blob Storage with an account key or a SAS token."""

    TYPE = declared.AZURE

    type: Literal["AZURE"]
    full_path: AzurePath
    account_name: NonEmptyText
    account_key: Secret

    def _authority(self) -> str:
        account = parse_account(self.account_name)
        return self.account_name if account is None else account.authority


class ObsConfig(DatasourceConfig, alias_generator=declared.OBS.wire_name):
    """Any S3-compatible store at an endpoint."""

    TYPE = declared.OBS

    type: Literal["OBS"]
    full_path: ObsPath
    endpoint: ObsEndpoint
    access_key_id: NonEmptyText
    secret_access_key: Secret

    def _authority(self) -> str:
        parts = urlsplit(self.endpoint)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme.lower()]
        return f"{parts.scheme.lower()}://{parts.hostname}:{port}{parts.path.rstrip('/')}"


class LocalConfig(DatasourceConfig, alias_generator=declared.LOCAL.wire_name):
    """A folder under the server's mount root."""

    TYPE = declared.LOCAL

    type: Literal["LOCAL"]
    full_path: LocalPath
    web_server_location: FolderUrl | None = None

    @property
    def location(self) -> Location:
        """The folder, without repeated and trailing slashes."""
        parts = [part for part in self.full_path.split("/") if part]
        return Location(self.type, "", "", "".join(part + "/" for part in parts))


class LightlyConfig(DatasourceConfig, alias_generator=declared.LIGHTLY.wire_name):
    """Storage that the operator of this server provides.

    Each dataset has its own area. `full_path` is stored and returned, but has no effect.
    """

    TYPE = declared.LIGHTLY

    type: Literal["LIGHTLY"]

    @property
    def location(self) -> Location:
        """The area of the dataset."""
        return Location(self.type, "", "", "")


_CONFIG_CLASSES: dict[str, type[DatasourceConfig]] = {
    config_class.TYPE.name: config_class
    for config_class in (
        S3Config,
        S3DelegatedAccessConfig,
        GcsConfig,
        AzureConfig,
        ObsConfig,
        LocalConfig,
        LightlyConfig,
    )
}


@dataclass(frozen=True, slots=True)
class Datasource:
    """A configured datasource of a dataset.

    What is bound to the location of raw samples, or to that of `.lightly/`, is bound to the id of the datasource that
    brought the dataset to this location. That is another datasource if the purposes were divided or united since.

    Attributes:
        id: its id.
        dataset_id: the dataset.
        config: its config.
        input_origin: the id of the datasource that brought raw samples to this location; None if it is this one.
        lightly_origin: the same for everything under `.lightly/`.
    """

    id: str
    dataset_id: str
    config: DatasourceConfig
    input_origin: str | None = None
    lightly_origin: str | None = None

    def to_wire(self) -> dict[str, Any]:
        """Return the config as responses show it, with the id."""
        return {"id": self.id, **self.config.to_wire()}


def find_config_class(type_name: object) -> type[DatasourceConfig]:
    """Return the class for a type, by the name or alias of the type.

    Raises:
        MalformedRequestError: there is no such type.
    """
    return _CONFIG_CLASSES[find_datasource_type(type_name).name]


def parse_config(raw: object) -> DatasourceConfig:
    """Return the config in a decoded JSON body. Unknown members are dropped.

    Raises:
        MalformedRequestError: members are missing or malformed; the text names all of them and repeats no value.
    """
    return _parse(raw, None)


def parse_new_config(raw: object) -> DatasourceConfig:
    """Return the config in a PUT request, which must also meet the rules that were added after others were stored.

    Raises:
        MalformedRequestError: see `parse_config`.
    """
    return _parse(raw, NEW)


def faults_of(type_name: str, members: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the members of a new config that are missing or malformed, each with what was expected, and no value.

    Raises:
        MalformedRequestError: there is no such type.
    """
    config_class = find_config_class(type_name)
    try:
        config_class.model_validate({**members, "type": config_class.TYPE.name}, context=NEW)
    except ValidationError as error:
        return _faults(error, config_class.TYPE)
    return []


def _parse(raw: object, context: str | None) -> DatasourceConfig:
    if not isinstance(raw, Mapping):
        raise MalformedRequestError("body: expected a JSON object with the members of a datasource config")
    config_class = find_config_class(raw.get("type"))
    return _validate(config_class, {**raw, "type": config_class.TYPE.name}, context)


def _validate(
    config_class: type[DatasourceConfig], members: dict[str, Any], context: str | None = None
) -> DatasourceConfig:
    try:
        return config_class.model_validate(members, context=context)
    except ValidationError as error:
        details = "; ".join(f"{name}: {text}" for name, text in _faults(error, config_class.TYPE))
        raise MalformedRequestError(details) from None


def _faults(error: ValidationError, datasource_type: DatasourceType) -> list[tuple[str, str]]:
    return [
        (".".join(str(part) for part in detail["loc"]), _explain(detail, datasource_type)) for detail in error.errors()
    ]


def _explain(detail: Any, datasource_type: DatasourceType) -> str:
    match detail["type"]:
        case "missing":
            return f"required for type {datasource_type.name}"
        case "value_error":
            return str(detail["ctx"]["error"])
        case "string_too_short" | "too_short":
            least = detail["ctx"]["min_length"]
            return f"expected at least {least} characters" if least > 1 else "must not be empty"
        case "string_type":
            return "expected a string"
        case _:
            return str(detail["msg"])
