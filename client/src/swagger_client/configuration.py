"""The settings of a client: server, credentials, connections, retries."""

from __future__ import annotations

import os
from typing import Any, Callable, Mapping, Optional, Sequence, Union

from urllib3 import Retry
from urllib3.util import make_headers

from swagger_client.configuration_logging import LoggingSettings
from swagger_client.exceptions import ApiValueError
from swagger_client.host_settings import HostSettings
from swagger_client.version import __version__

JSON_SCHEMA_VALIDATION_KEYWORDS = frozenset(
    (
        *("multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"),
        *("maxLength", "minLength", "pattern", "maxItems", "minItems"),
    )
)
"""The rules that `disabled_client_side_validations` can contain."""

_PROCESS_ATTRIBUTES = ("logger", "logger_formatter", "logger_file_handler", "logger_stream_handler")
"""Attributes that copies share, and that are not pickled."""


class Configuration(HostSettings, LoggingSettings):
    """The settings of a client: server, credentials, connections, retries.

    An `ApiClient` reads the connection settings when it is created, the credentials and `host` at every call.
    `headwater_client.download` uses them for files that the server itself serves, and not for stores.

    Args:
        host: URL of the server, with or without a trailing slash. Default: the environment variable
            `LIGHTLY_SERVER_LOCATION`, else `https://api.lightly.ai`.
        api_key: API tokens by scheme; the scheme of this API is `ApiKeyAuth`, sent as `?token=…`.
        api_key_prefix: the prefix of each token, by scheme.
        access_token: sent as `Authorization: Bearer …`: a JWT, or an API token.
        username: for `get_basic_auth_token`; this API has no basic authentication.
        password: like `username`.
        discard_unknown_keys: has no effect: models of this API keep unknown members.
        disabled_client_side_validations: the rules that are not checked for parameters, separated by commas:
            `pattern`, `minLength`, … (`JSON_SCHEMA_VALIDATION_KEYWORDS`).
        server_index: see `HostSettings`, as for the next three.
        server_variables: values for the variables in the URL of a server.
        server_operation_index: the index for single operations.
        server_operation_variables: the variables for single operations.
        ssl_ca_cert: path of a file with CA certificates (PEM) for the check of the server's certificate.

    Attributes:
        refresh_api_key_hook: called with this configuration before each use of an API token, to renew it.
        verify_ssl: whether to check the server's certificate.
        cert_file: path of the client's certificate (PEM).
        key_file: path of the client's key.
        assert_hostname: the name that the server's certificate must have; False for any.
        proxy: URL of a proxy.
        no_proxy: hosts that are reached without the proxy, separated by commas; `*` for all.
        proxy_headers: headers for the proxy, in the form of urllib3's `make_headers`.
        connection_pool_maxsize: number of connections that stay open, and so of concurrent calls.
        socket_options: options of each connection in urllib3's form: `[(level, option, value), …]`.
        retries: the number of retries for an idempotent call (GET, PUT, DELETE) after a connection error, or a 429,
            502, 503 or 504; 0 for none; a `urllib3.Retry` for your own rules. Default: 3, with growing delays or the
            one of `Retry-After`, at most 30 seconds each.
        safe_chars_for_path_param: characters that are not quoted in a path.
        temp_folder_path: where `call_api` saves files. Default: the system's temporary folder.
        client_side_validation: has no effect, as in the generated client; see `disabled_client_side_validations`.

    Raises:
        ApiValueError: `disabled_client_side_validations` contains an unknown rule.
    """

    _default: Optional[Configuration] = None

    def __init__(  # noqa: PLR0913  the signature of the generated client
        self,
        host: Optional[str] = None,
        api_key: Optional[dict[str, str]] = None,
        api_key_prefix: Optional[dict[str, str]] = None,
        access_token: Optional[str] = None,
        username: Optional[str] = None,
        password: Optional[str] = None,
        discard_unknown_keys: bool = False,
        disabled_client_side_validations: str = "",
        server_index: Optional[int] = None,
        server_variables: Optional[Mapping[str, str]] = None,
        server_operation_index: Optional[Mapping[str, int]] = None,
        server_operation_variables: Optional[Mapping[str, Mapping[str, str]]] = None,
        ssl_ca_cert: Optional[str] = None,
    ) -> None:
        HostSettings.__init__(
            self, host, server_index, server_variables, server_operation_index, server_operation_variables
        )
        LoggingSettings.__init__(self)
        self.api_key = api_key or {}
        self.api_key_prefix = api_key_prefix or {}
        self.refresh_api_key_hook: Optional[Callable[[Configuration], object]] = None
        self.access_token = access_token
        self.username = username
        self.password = password
        self.discard_unknown_keys = discard_unknown_keys
        self.disabled_client_side_validations = disabled_client_side_validations
        self.client_side_validation = True
        self.verify_ssl = True
        self.ssl_ca_cert = ssl_ca_cert
        self.cert_file: Optional[str] = None
        self.key_file: Optional[str] = None
        self.assert_hostname: Union[bool, str, None] = None
        self.proxy: Optional[str] = None
        self.no_proxy: Optional[str] = None
        self.proxy_headers: Optional[Mapping[str, str]] = None
        self.connection_pool_maxsize: Optional[int] = (os.cpu_count() or 1) * 5
        self.socket_options: Optional[Sequence[tuple[int, int, Union[int, bytes]]]] = None
        self.retries: Union[int, Retry, None] = None
        self.safe_chars_for_path_param = ""
        self.temp_folder_path: Optional[str] = None

    @classmethod
    def set_default(cls, default: Optional[Configuration]) -> None:
        """Set the default configuration of every later `ApiClient` to a copy of this one."""
        cls._default = None if default is None else default.copy()

    @classmethod
    def get_default_copy(cls) -> Configuration:
        """Return a copy of the default configuration, or a new one if no default was set."""
        return cls() if cls._default is None else cls._default.copy()

    def copy(self) -> Configuration:
        """Return a copy. It shares its loggers with the original."""
        import copy  # few programs need it

        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Configuration:
        import copy

        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        for name, value in vars(self).items():
            vars(copied)[name] = value if name in _PROCESS_ATTRIBUTES else copy.deepcopy(value, memo)
        copied.logger = dict(self.logger)
        return copied

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _PROCESS_ATTRIBUTES}

    def __setstate__(self, state: dict[str, Any]) -> None:
        LoggingSettings.__init__(self)
        vars(self).update(state)
        self.logger_format = state["_logger_format"]
        self.logger_file = state["_logger_file"]
        if state["_debug"]:
            self.debug = True

    @property
    def disabled_client_side_validations(self) -> str:
        """The rules that are not checked for parameters, separated by commas."""
        return self._disabled_names

    @disabled_client_side_validations.setter
    def disabled_client_side_validations(self, value: str) -> None:
        names = frozenset(filter(None, value.split(",")))
        for name in sorted(names - JSON_SCHEMA_VALIDATION_KEYWORDS):
            raise ApiValueError(
                f"Invalid keyword: '{name}', there are only {', '.join(sorted(JSON_SCHEMA_VALIDATION_KEYWORDS))}"
            )
        self._disabled_names = value
        self._disabled_client_side_validations = names

    def get_api_key_with_prefix(self, identifier: str, alias: Optional[str] = None) -> Optional[str]:
        """Return the API token of a scheme with its prefix, renewed by the hook; None if it is not set."""
        if self.refresh_api_key_hook is not None:
            self.refresh_api_key_hook(self)
        key = self.api_key.get(identifier, None if alias is None else self.api_key.get(alias))
        if not key:
            return None
        prefix = self.api_key_prefix.get(identifier)
        return f"{prefix} {key}" if prefix else key

    def get_basic_auth_token(self) -> str:
        """Return the value of an `Authorization` header for `username` and `password`."""
        return make_headers(basic_auth=f"{self.username or ''}:{self.password or ''}")["authorization"]

    def auth_settings(self) -> dict[str, dict[str, Any]]:
        """Return the credentials that are set, by scheme: location, name and value of each.

        Raises:
            ApiValueError: a token contains a line break, because it was read from a file without stripping it, or a
                character that a header cannot have.
        """
        settings: dict[str, dict[str, Any]] = {}
        if "ApiKeyAuth" in self.api_key:
            settings["ApiKeyAuth"] = {
                "type": "api_key",
                "in": "query",
                "key": "token",
                "value": self.get_api_key_with_prefix("ApiKeyAuth"),
            }
        if self.access_token is not None:
            settings["auth0Bearer"] = {
                "type": "bearer",
                "in": "header",
                "format": "JWT",
                "key": "Authorization",
                "value": f"Bearer {self.access_token}",
            }
        for scheme, setting in settings.items():
            if any(mark in (setting["value"] or "") for mark in "\r\n"):
                raise ApiValueError(f"The token for {scheme} contains a line break; strip it")
            if setting["in"] == "header" and any(ord(mark) > 255 for mark in setting["value"] or ""):
                # The error that Python would raise contains the token.
                raise ApiValueError(f"The token for {scheme} contains an invalid character; copy it again")
        return settings

    def to_debug_report(self) -> str:
        """Return the versions of system, Python, API and client, for a bug report."""
        import sys

        return (
            "Python SDK Debug Report:\n"
            f"OS: {sys.platform}\n"
            f"Python Version: {sys.version}\n"
            "Version of the API: 1.0.0\n"
            f"SDK Package Version: {__version__}"
        )
