"""The settings, each declared once with name, default and help.

The options of `headwater serve` and docs/reference/settings.md are generated from the declarations.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, get_type_hints

from headwater.domain.errors import StartupError
from headwater.domain.feed import FeedMode
from headwater.environment import PREFIX, expand_home, is_service_link, read_variable, unknown_variables
from headwater.setting_forms import Form, check_networks, check_s3_url, check_token, check_url, quoted

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104
"""Hosts that stand for all addresses, each with the address at which this machine then reaches itself."""


CATALOG_FILE = "headwater.db"
"""The name of the catalog in the data folder."""

_URL = Form(check_text=check_url)
_S3_URL = Form(check_text=check_s3_url)


def _setting(
    default: Any,
    help: str,  # noqa: A002
    *,
    form: Form | None = None,
    shown: str | None = None,
    secret: bool = False,
) -> Any:
    metadata = {"help": help, "form": form or Form(), "shown": shown, "secret": secret}
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator can set: the variable `HEADWATER_<NAME>` or, for `serve`, the option `--<name>`."""

    host: str = _setting("127.0.0.1", "The address to listen on.")
    port: int = _setting(8000, "The port to listen on; 0 takes a free port.", form=Form(0, 65535))
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
        form=_URL,
        shown="from host and port",
    )
    trusted_proxies: str = _setting(
        "",
        "Addresses and CIDRs, separated by commas, of reverse proxies. The audit log has the address that the header "
        "X-Forwarded-For of such a proxy names, instead of that of the proxy.",
        form=Form(check_text=check_networks),
        shown="none",
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
        form=Form(0, 86400, "seconds"),
    )
    read_url_ttl: int = _setting(
        86400,
        "The lifetime of a read URL in seconds. Providers and credentials may shorten it (S3: 7 days at most).",
        form=Form(1, 10 * 365 * 86400, "seconds"),
    )
    feed: FeedMode = _setting(
        FeedMode.EXACT,
        "How datasets list raw samples if they do not say: exact (every version of a file is in exactly one window) "
        "or dates (by the time of the file; files that arrive late are lost).",
    )
    page_size: int = _setting(
        1000, "The maximum number of samples in one page of a listing.", form=Form(1, 10_000, "samples")
    )
    audit_retention_days: int = _setting(
        365, "How long entries of the audit log are kept; 0 keeps them for ever.", form=Form(0, 36_500, "days")
    )
    jwt_issuer: str | None = _setting(
        None, "The issuer whose JWTs are accepted as bearer tokens; needs an audience.", shown="unset: no JWTs"
    )
    jwt_audience: str | None = _setting(None, "The audience that a JWT must name.", shown="unset")
    jwks_url: str | None = _setting(
        None, "The URL of the keys of the issuer.", form=_URL, shown="from the issuer's discovery document"
    )
    jwt_groups_claim: str | None = _setting(
        None,
        "The claim of a JWT that lists the groups of its user, with whom datasets can be shared.",
        shown="unset: no groups",
    )
    s3_endpoint: str | None = _setting(
        None,
        "The endpoint of S3 instead of AWS (path style). No egress rule applies to it, because the operator chose it. "
        "?region=NAME at its end is the region to sign for, instead of the one of the datasource.",
        form=_S3_URL,
        shown="AWS",
    )
    sts_endpoint: str | None = _setting(
        None,
        "The endpoint at which roles of S3DelegatedAccess datasources are assumed instead of AWS. No egress rule "
        "applies to it.",
        form=_URL,
        shown="AWS, in the datasource's region",
    )
    gcs_endpoint: str | None = _setting(
        None,
        "The endpoint of Cloud Storage instead of Google. No egress rule applies to it.",
        form=_URL,
        shown="https://storage.googleapis.com",
    )
    azure_endpoint: str | None = _setting(
        None,
        "The endpoint of Blob Storage instead of Azure's public cloud, for accounts of which only the name is given: "
        "another cloud (https://blob.core.usgovcloudapi.net), or an endpoint with the account as the first part of the "
        "path. No egress rule applies to it.",
        form=_URL,
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

    metrics_port: int | None = _setting(
        None,
        "A port of its own for metrics at /metrics (docs/monitoring.md); 0 takes a free port.",
        form=Form(0, 65535),
        shown="unset: no such port",
    )
    metrics_host: str = _setting("127.0.0.1", "The address that the port for metrics listens on.")
    metrics_token: str | None = _setting(
        None,
        "The bearer token that reads metrics, 16 characters or more. Without a port for metrics, they are at /metrics "
        "on the port of the API.",
        shown="unset: anyone who reaches the port for metrics reads them; on the port of the API there are none",
        form=Form(check_text=check_token),
        secret=True,
    )
    metrics_max_datasets: int = _setting(
        100,
        "How many datasets have metrics of their own (watermark, last listing): the oldest ones; 0 is none.",
        form=Form(0, 10_000, "datasets"),
    )

    @classmethod
    def load(
        cls, environ: Mapping[str, str] | None = None, defaults: Mapping[str, str] | None = None, /, **options: Any
    ) -> Settings:
        """Return the settings in the environment.

        Args:
            environ: the variables; those of the process by default. An empty variable counts as unset. A secret can
                be in a file that `HEADWATER_<NAME>_FILE` names.
            defaults: variables that are used if `environ` does not set them.
            options: settings that override the environment; None counts as not given.

        Raises:
            StartupError: a value does not have the form that the setting needs. The text names the setting.
        """
        environ, defaults = os.environ if environ is None else environ, defaults or {}
        values = {}
        for spec in SPECS:
            value = options.get(spec.name)
            if value is None:
                value = spec.find(environ) or defaults.get(spec.env)
            if value is not None:
                values[spec.name] = spec.parse(value)
        return cls(**values)

    @cached_property
    def folder(self) -> Path:
        """The data folder as an absolute path. It may not exist."""
        if self.data_dir is not None:
            return self.data_dir.absolute()
        import platformdirs

        try:
            folder = platformdirs.user_data_path("headwater", appauthor=False)
        except RuntimeError:
            folder = Path()
        if not folder.is_absolute():  # earlier versions of platformdirs leave the "~" in it
            raise StartupError(
                f"{PREFIX}DATA_DIR: required, because this user has no home folder (HOME is not set, and the system "
                f"does not know the user with the number {os.getuid()}); set it to an absolute path"
            )
        return folder

    @property
    def uses_folder(self) -> bool:
        """Whether there is a data folder. Without one, the catalog is in a database and the keys are in a setting."""
        return self.data_dir is not None or self.database_url is None or self.secret_key is None

    @property
    def catalog_url(self) -> str:
        """The URL of the database of the catalog."""
        if self.database_url is None:
            return f"sqlite:///{self.folder / CATALOG_FILE}"
        scheme, separator, path = self.database_url.partition(":///")
        if scheme == "sqlite" and path.startswith("~"):
            return f"{scheme}{separator}{expand_home(f'{PREFIX}DATABASE_URL', Path(path))}"
        return self.database_url

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
        return url_of(self.host, self.port)

    @property
    def mount_root(self) -> Path | None:
        """The mount root of LOCAL datasources as an absolute path, so that it is the same in every spelling."""
        return None if self.local_root is None else self.local_root.absolute()

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
    form: Form

    @property
    def env(self) -> str:
        """The name of the environment variable."""
        return PREFIX + self.name.upper()

    def find(self, environ: Mapping[str, str]) -> str | None:
        """Return the text of the setting in these variables, or in the file that one of them names; None if unset."""
        value = read_variable(environ, self.env) if self.secret else environ.get(self.env) or None
        return None if value is not None and is_service_link(self.env, value) else value

    def parse(self, value: Any) -> Any:
        """Return a value that was given as text, converted to the type of the setting.

        Raises:
            StartupError: the text does not have this type.
        """
        try:
            return self.convert(value)
        except ValueError as error:
            raise StartupError(f"{self.env}: {error}") from None

    def convert(self, value: Any) -> Any:
        """Return a value as `parse` does.

        Raises:
            ValueError: the text does not have this type; the error says what was expected.
            StartupError: the path begins with a home folder that does not exist.
        """
        if self.type is int:
            return self.form.whole_number(str(value).strip())
        if issubclass(self.type, StrEnum) and value not in list(self.type):
            raise ValueError(f"expected {' or '.join(self.type)}, not {quoted(value)}")
        if self.form.check_text is not None:
            self.form.check_text(value)
        return expand_home(self.env, Path(value)) if self.type is Path else self.type(value)


def _spec(declared: Field[Any], hint: Any) -> Spec:
    value_type = next((each for each in (int, Path, FeedMode) if each in (hint, *getattr(hint, "__args__", ()))), str)
    metadata = declared.metadata
    shown = metadata["shown"] or str(declared.default)
    return Spec(declared.name, value_type, shown, metadata["help"], metadata["secret"], metadata["form"])


SPECS = tuple(_spec(declared, get_type_hints(Settings)[declared.name]) for declared in fields(Settings))
"""The declarations of all settings, in order."""


def unknown_setting_text(name: str, similar: str | None) -> str:
    """Return what to tell an operator about a variable that `unknown_settings` yields."""
    return f"{name} is not a setting and has no effect" + (f"; did you mean {similar}?" if similar else "")


def unknown_settings(environ: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """Yield each variable that looks like a setting and is none, with the most similar setting or None."""
    return unknown_variables(environ, {spec.env: spec.secret for spec in SPECS})


def url_of(host: str, port: int) -> str:
    """Return the URL at which this machine reaches a server that listens on a host."""
    host = WILDCARDS.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
