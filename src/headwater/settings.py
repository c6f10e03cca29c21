"""Every setting once: name, default, help. Options of `serve` and docs/reference/settings.md come from here."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from headwater.domain.errors import StartupError

PREFIX = "HEADWATER_"

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104
"""Hosts that mean every address, and how this machine reaches itself then."""


def _setting(default: Any, help: str, *, shown: str | None = None, secret: bool = False) -> Any:  # noqa: A002
    metadata = {"help": help, "shown": shown, "secret": secret}
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator may set, as `HEADWATER_<NAME>` or, for `serve`, as `--<name>`."""

    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(8000, "Port to listen on; 0 takes a free one.")
    data_dir: Path | None = _setting(
        None,
        "Folder for what must survive a restart: the SQLite catalog and the generated secret key.",
        shown="the user's data folder by platform convention",
    )
    database_url: str | None = _setting(
        None,
        "Where the catalog lives: sqlite:////absolute/path or postgresql://user:password@host/name.",
        shown="SQLite in the data folder",
        secret=True,
    )
    secret_key: str | None = _setting(
        None,
        "Keys that encrypt stored secrets and sign cursors and read URLs: id:base64 of 32 bytes, several "
        "comma-separated. The first encrypts and signs, all are accepted.",
        shown="a generated file in the data folder",
        secret=True,
    )
    public_url: str | None = _setting(
        None,
        "What read URLs of LOCAL datasources begin with: the address at which clients reach this server.",
        shown="from host and port",
    )
    local_root: Path | None = _setting(
        None,
        "Mount root of LOCAL datasources: their paths are relative to it, and nothing outside it is ever read.",
        shown="unset: LOCAL datasources are refused by verify and list",
    )
    read_url_ttl: int = _setting(
        86400, "Life of a read URL, in seconds. Providers and credentials may shorten it (S3: 7 days at most)."
    )
    page_size: int = _setting(1000, "The most samples in one page of a listing.")
    jwt_issuer: str | None = _setting(
        None, "Issuer whose JWTs are accepted as bearers; needs an audience.", shown="unset: no JWTs"
    )
    jwt_audience: str | None = _setting(None, "Audience that a JWT must name.", shown="unset")
    jwks_url: str | None = _setting(None, "Where the issuer's keys are.", shown="from the issuer's discovery document")
    s3_endpoint: str | None = _setting(
        None,
        "Where S3 lives instead of at AWS (path style). The operator's own choice: no egress rule applies.",
        shown="AWS",
    )
    sts_endpoint: str | None = _setting(
        None,
        "Where roles of S3DelegatedAccess datasources are assumed instead of at AWS. The operator's own choice, as "
        "above.",
        shown="AWS, in the datasource's region",
    )
    gcs_endpoint: str | None = _setting(
        None,
        "Where Cloud Storage lives instead of at Google. The operator's own choice, as above.",
        shown="https://storage.googleapis.com",
    )
    azure_endpoint: str | None = _setting(
        None,
        "Where Blob Storage lives instead of at Azure, with the account as the first part of the path. The operator's "
        "own choice, as above.",
        shown="https://<account>.blob.core.windows.net",
    )
    managed_store: str | None = _setting(
        None,
        "Storage that this server provides to LIGHTLY datasources, an area for each dataset: file:///folder, "
        "s3://bucket/path, gs://bucket/path or az://container/path, with the credentials of the server's own "
        "environment (docs/providers/lightly.md).",
        shown="unset: LIGHTLY datasources are refused by verify and list",
    )
    allowed_endpoints: str = _setting(
        "",
        "Hosts, addresses and CIDRs, comma-separated, that a user's datasource may point to beyond public "
        "addresses, at any port. Link-local and metadata addresses stay out of reach.",
        shown="none",
    )

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, **options: Any) -> Settings:
        """Read the settings from the environment.

        Args:
            environ: the variables; the process's own by default. An empty one counts as unset.
            options: settings given otherwise; None counts as not given.

        Raises:
            StartupError: a value has not the form that the setting takes; the text names it.
        """
        environ = os.environ if environ is None else environ
        given: dict[str, Any] = {spec.name: environ[spec.env] for spec in SPECS if environ.get(spec.env, "") != ""}
        given |= {name: value for name, value in options.items() if value is not None}
        values = {spec.name: spec.parse(given[spec.name]) for spec in SPECS if spec.name in given}
        settings = cls(**values)
        settings._check()
        return settings

    def _check(self) -> None:
        _between("PORT", self.port, 0, 65535)
        _between("PAGE_SIZE", self.page_size, 1, 10_000)
        _between("READ_URL_TTL", self.read_url_ttl, 1, 10 * 365 * 86400)
        for name in ("public_url", "jwks_url", "s3_endpoint", "sts_endpoint", "gcs_endpoint", "azure_endpoint"):
            value = getattr(self, name)
            if value is not None:
                _check_url(name.upper(), value)

    @cached_property
    def folder(self) -> Path:
        """The data folder, absolute. It need not exist yet."""
        if self.data_dir is not None:
            return self.data_dir.expanduser().absolute()
        import platformdirs

        return platformdirs.user_data_path("headwater", appauthor=False)

    @property
    def catalog_url(self) -> str:
        """Where the catalog lives."""
        return self.database_url or f"sqlite:///{self.folder / 'headwater.db'}"

    @property
    def sqlite_file(self) -> Path | None:
        """The catalog's file, where it is SQLite."""
        scheme, _, path = self.catalog_url.partition(":///")
        return Path(path) if scheme == "sqlite" else None

    @property
    def base_url(self) -> str:
        """What read URLs begin with, without a slash at its end. Never taken from a request."""
        return self.listening_url if self.public_url is None else self.public_url.rstrip("/")

    @property
    def listening_url(self) -> str:
        """Where this machine reaches the server."""
        host = WILDCARDS.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def mount_root(self) -> Path | None:
        """The mount root of LOCAL datasources, absolute, so that it is the same however it was spelled."""
        return None if self.local_root is None else self.local_root.expanduser().absolute()

    def as_environment(self) -> str:
        """What differs from the defaults, as a shell writes variables before a command; no secrets."""
        given = {spec: getattr(self, spec.name) for spec in SPECS if not spec.secret and spec.name != "host"}
        changed = {spec: value for spec, value in given.items() if value != getattr(Settings(), spec.name)}
        paths = {spec: value.absolute() if isinstance(value, Path) else value for spec, value in changed.items()}
        return "".join(f"{spec.env}={shlex.quote(str(value))} " for spec, value in paths.items())

    def listening_on(self, port: int) -> Settings:
        """These settings with the port that was really taken."""
        return replace(self, port=port)


@dataclass(frozen=True, slots=True)
class Spec:
    """One setting as declared: for options, documentation and parsing."""

    name: str
    type: type
    default: str
    help: str
    secret: bool

    @property
    def env(self) -> str:
        """The environment variable."""
        return PREFIX + self.name.upper()

    def parse(self, value: Any) -> Any:
        """Read a value that was given as text.

        Raises:
            StartupError: not of the setting's type.
        """
        if self.type is int and not isinstance(value, int):
            if not re.fullmatch(r"-?[0-9]{1,15}", value.strip()):
                raise StartupError(f"{self.env}: expected a whole number")
            return int(value)
        return self.type(value)


def _spec(declared: Field[Any], hint: Any) -> Spec:
    kind = next((kind for kind in (int, Path) if kind in (hint, *getattr(hint, "__args__", ()))), str)
    shown = declared.metadata["shown"] or str(declared.default)
    return Spec(declared.name, kind, shown, declared.metadata["help"], declared.metadata["secret"])


SPECS = tuple(_spec(declared, get_type_hints(Settings)[declared.name]) for declared in fields(Settings))
"""All settings, in the order of their declaration."""


def _between(name: str, value: int, least: int, most: int) -> None:
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
