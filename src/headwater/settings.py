"""The settings, each declared once with name, default and help.

The options of `headwater serve` and docs/reference/settings.md are generated from the declarations.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from headwater.domain.errors import StartupError
from headwater.domain.feed import FeedMode

PREFIX = "HEADWATER_"

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104
"""Hosts that stand for all addresses, each with the address at which this machine then reaches itself."""


def _setting(default: Any, help: str, *, shown: str | None = None, secret: bool = False) -> Any:  # noqa: A002
    metadata = {"help": help, "shown": shown, "secret": secret}
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator can set: the variable `HEADWATER_<NAME>` or, for `serve`, the option `--<name>`."""

    host: str = _setting("127.0.0.1", "The address to listen on.")
    port: int = _setting(8000, "The port to listen on; 0 takes a free port.")
    data_dir: Path | None = _setting(
        None,
        "The folder for what must survive a restart: the SQLite catalog and the generated secret key.",
        shown="the user's data folder by platform convention",
    )
    database_url: str | None = _setting(
        None,
        "The database of the catalog: sqlite:////absolute/path or postgresql://user:password@host/name.",
        shown="SQLite in the data folder",
        secret=True,
    )
    secret_key: str | None = _setting(
        None,
        "The keys that encrypt stored secrets and sign cursors and read URLs: id:base64 of 32 bytes; several are "
        "separated by commas. The first encrypts and signs, all are accepted.",
        shown="a generated file in the data folder",
        secret=True,
    )
    public_url: str | None = _setting(
        None,
        "What read URLs of LOCAL datasources begin with: the URL at which clients reach this server.",
        shown="from host and port",
    )
    local_root: Path | None = _setting(
        None,
        "The mount root of LOCAL datasources: their paths are relative to it, and nothing outside it is ever read.",
        shown="unset: LOCAL datasources are refused by verify and list",
    )
    local_min_age: int = _setting(
        0,
        "The age in seconds that a file of a LOCAL datasource must have before an exact feed contains it. Set it if "
        "files are written under their final names, because a file that grows is a new version each time it is listed. "
        "Other listings do not apply it.",
    )
    read_url_ttl: int = _setting(
        86400, "The lifetime of a read URL in seconds. Providers and credentials may shorten it (S3: 7 days at most)."
    )
    feed: FeedMode = _setting(
        FeedMode.EXACT,
        "How datasets list raw samples if they do not say: exact (every version of a file is in exactly one window) "
        "or dates (by the time of the file; files that arrive late are lost).",
    )
    page_size: int = _setting(1000, "The maximum number of samples in one page of a listing.")
    jwt_issuer: str | None = _setting(
        None, "The issuer whose JWTs are accepted as bearer tokens; needs an audience.", shown="unset: no JWTs"
    )
    jwt_audience: str | None = _setting(None, "The audience that a JWT must name.", shown="unset")
    jwks_url: str | None = _setting(
        None, "The URL of the keys of the issuer.", shown="from the issuer's discovery document"
    )
    s3_endpoint: str | None = _setting(
        None,
        "The endpoint of S3 instead of AWS (path style). No egress rule applies to it, because the operator chose it.",
        shown="AWS",
    )
    sts_endpoint: str | None = _setting(
        None,
        "The endpoint at which roles of S3DelegatedAccess datasources are assumed instead of AWS. No egress rule "
        "applies to it.",
        shown="AWS, in the datasource's region",
    )
    gcs_endpoint: str | None = _setting(
        None,
        "The endpoint of Cloud Storage instead of Google. No egress rule applies to it.",
        shown="https://storage.googleapis.com",
    )
    azure_endpoint: str | None = _setting(
        None,
        "The endpoint of Blob Storage instead of Azure's public cloud, for accounts of which only the name is given: "
        "another cloud (https://blob.core.usgovcloudapi.net), or an endpoint with the account as the first part of the "
        "path. No egress rule applies to it.",
        shown="https://<account>.blob.core.windows.net",
    )
    managed_store: str | None = _setting(
        None,
        "The storage that this server provides to LIGHTLY datasources, with an area for each dataset: "
        "file:///folder, s3://bucket/path, gs://bucket/path or az://container/path, with the credentials in the "
        "environment of the server (docs/providers/lightly.md).",
        shown="unset: LIGHTLY datasources are refused by verify and list",
    )
    allowed_endpoints: str = _setting(
        "",
        "Hosts, addresses and CIDRs, separated by commas, that datasources may point to in addition to public "
        "addresses, at any port. Link-local and metadata addresses are never allowed.",
        shown="none",
    )

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, **options: Any) -> Settings:
        """Return the settings in the environment.

        Args:
            environ: the variables; those of the process by default. An empty variable counts as unset.
            options: settings that override the environment; None counts as not given.

        Raises:
            StartupError: a value does not have the form that the setting needs. The text names the setting.
        """
        environ = os.environ if environ is None else environ
        given: dict[str, Any] = {spec.name: environ[spec.env] for spec in SPECS if environ.get(spec.env, "") != ""}
        given |= {name: value for name, value in options.items() if value is not None}
        values = {spec.name: spec.parse(given[spec.name]) for spec in SPECS if spec.name in given}
        settings = cls(**values)
        settings._check()
        return settings

    def _check(self) -> None:
        _check_range("PORT", self.port, 0, 65535)
        _check_range("PAGE_SIZE", self.page_size, 1, 10_000)
        _check_range("LOCAL_MIN_AGE", self.local_min_age, 0, 86400)
        _check_range("READ_URL_TTL", self.read_url_ttl, 1, 10 * 365 * 86400)
        for name in ("public_url", "jwks_url", "s3_endpoint", "sts_endpoint", "gcs_endpoint", "azure_endpoint"):
            value = getattr(self, name)
            if value is not None:
                _check_url(name.upper(), value)

    @cached_property
    def folder(self) -> Path:
        """The data folder as an absolute path. It may not exist."""
        if self.data_dir is not None:
            return self.data_dir.expanduser().absolute()
        import platformdirs

        return platformdirs.user_data_path("headwater", appauthor=False)

    @property
    def catalog_url(self) -> str:
        """The URL of the database of the catalog."""
        return self.database_url or f"sqlite:///{self.folder / 'headwater.db'}"

    @property
    def sqlite_file(self) -> Path | None:
        """The file of the catalog; None if the catalog is not in SQLite."""
        scheme, _, path = self.catalog_url.partition(":///")
        return Path(path) if scheme == "sqlite" else None

    @property
    def base_url(self) -> str:
        """What read URLs begin with, without a trailing slash. It never comes from a request."""
        return self.listening_url if self.public_url is None else self.public_url.rstrip("/")

    @property
    def listening_url(self) -> str:
        """The URL at which this machine reaches the server."""
        host = WILDCARDS.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def mount_root(self) -> Path | None:
        """The mount root of LOCAL datasources as an absolute path, so that it is the same in every spelling."""
        return None if self.local_root is None else self.local_root.expanduser().absolute()

    def as_environment(self) -> str:
        """Return the settings that differ from the defaults, in the syntax of a shell before a command; no secrets."""
        given = {spec: getattr(self, spec.name) for spec in SPECS if not spec.secret and spec.name != "host"}
        changed = {spec: value for spec, value in given.items() if value != getattr(Settings(), spec.name)}
        paths = {spec: value.absolute() if isinstance(value, Path) else value for spec, value in changed.items()}
        return "".join(f"{spec.env}={shlex.quote(str(value))} " for spec, value in paths.items())

    def listening_on(self, port: int) -> Settings:
        """Return these settings with the port that the server listens on."""
        return replace(self, port=port)


@dataclass(frozen=True, slots=True)
class Spec:
    """The declaration of one setting."""

    name: str
    type: type
    default: str
    help: str
    secret: bool

    @property
    def env(self) -> str:
        """The name of the environment variable."""
        return PREFIX + self.name.upper()

    def parse(self, value: Any) -> Any:
        """Return a value that was given as text, converted to the type of the setting.

        Raises:
            StartupError: the text does not have this type.
        """
        if self.type is int and not isinstance(value, int):
            if not re.fullmatch(r"-?[0-9]{1,15}", value.strip()):
                raise StartupError(f"{self.env}: expected a whole number")
            return int(value)
        if issubclass(self.type, StrEnum) and value not in list(self.type):
            raise StartupError(f"{self.env}: expected {' or '.join(self.type)}, not {value!r}")
        return self.type(value)


def _spec(declared: Field[Any], hint: Any) -> Spec:
    value_type = next((each for each in (int, Path, FeedMode) if each in (hint, *getattr(hint, "__args__", ()))), str)
    shown = declared.metadata["shown"] or str(declared.default)
    return Spec(declared.name, value_type, shown, declared.metadata["help"], declared.metadata["secret"])


SPECS = tuple(_spec(declared, get_type_hints(Settings)[declared.name]) for declared in fields(Settings))
"""The declarations of all settings, in order."""


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise StartupError(f"{PREFIX}{name}: expected {least} to {most}, not {value}")


def _check_url(name: str, value: str) -> None:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
        usable = usable and not parts.query and not parts.fragment and not parts.username
    except ValueError:
        usable = False
    if not usable:
        raise StartupError(
            f"{PREFIX}{name}: expected a URL such as https://data.example.com, without query or credentials"
        )
