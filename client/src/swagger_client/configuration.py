"""Where the server is, with which credentials, and how to connect."""

from __future__ import annotations

import os
from typing import Any, Callable, Mapping, Optional, Sequence, Union

from urllib3 import Retry
from urllib3.util import make_headers

from swagger_client.configuration_logging import LoggingSettings
from swagger_client.exceptions import ApiValueError
from swagger_client.host_settings import HostSettings

JSON_SCHEMA_VALIDATION_KEYWORDS = frozenset(
    (
        *("multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"),
        *("maxLength", "minLength", "pattern", "maxItems", "minItems"),
    )
)
"""The rules that `disabled_client_side_validations` can name."""

_OF_THE_PROCESS = ("logger", "logger_formatter", "logger_file_handler", "logger_stream_handler")
"""Attributes that copies share, and that do not travel to another process."""


class Configuration(HostSettings, LoggingSettings):
    """Where the server is, with which credentials, and how to connect.

    An `ApiClient` reads the connection settings when it is made, credentials and `host` at every call.

    Args:
        host: URL of the server, with or without a trailing slash. Default: the environment variable
            `LIGHTLY_SERVER_LOCATION`, else `https://api.lightly.ai`.
        api_key: API tokens by scheme; the one of this API is `ApiKeyAuth`, sent as `?token=…`.
        api_key_prefix: what to put before a token, by scheme.
        access_token: sent as `Authorization: Bearer …`: a JWT, or an API token.
        username: for `get_basic_auth_token`; this API has no basic authentication.
        password: as `username`.
        discard_unknown_keys: has no effect: all models of this API may have further members, and keep them.
        disabled_client_side_validations: rules, separated by commas, that values of parameters need not meet:
            `pattern`, `minLength`, … (`JSON_SCHEMA_VALIDATION_KEYWORDS`).
        server_index: see `HostSettings`, as for the next three.
        server_variables: values for the variables in a server's URL.
        server_operation_index: the index for single operations.
        server_operation_variables: the variables for single operations.
        ssl_ca_cert: path of a file of CA certificates (PEM) that the server's certificate is checked against.

    Attributes:
        refresh_api_key_hook: called with this configuration before each use of an API token, to renew it.
        verify_ssl: whether the server's certificate is checked.
        cert_file: path of the client's certificate (PEM).
        key_file: path of its key.
        assert_hostname: the name that the server's certificate must have; False for any.
        proxy: URL of a proxy.
        no_proxy: hosts, separated by commas, that are asked without the proxy; `*` for all.
        proxy_headers: headers for the proxy, as urllib3's `make_headers` makes them.
        connection_pool_maxsize: connections that are kept open to the server, so calls in parallel.
        socket_options: for each connection, as urllib3 takes them: `[(level, option, value), …]`.
        retries: how often a call that may be repeated (GET, PUT) is tried once more after a connection error, a
            429 or a 503: a number, 0 for never, a `urllib3.Retry` for rules of your own. Default: 3, with growing
            pauses or as long as `Retry-After` says, at most 30 seconds each.
        safe_chars_for_path_param: characters that stay as they are in a path.
        temp_folder_path: where `call_api` puts an answer that is to be a file. Default: the system's folder.
        client_side_validation: has no effect, as in generated clients; see `disabled_client_side_validations`.

    Raises:
        ApiValueError: `disabled_client_side_validations` names no rule.
    """

    _default: Optional[Configuration] = None

    def __init__(
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
        """Make a copy of this configuration the one of every `ApiClient` that is made without one."""
        cls._default = None if default is None else default.copy()

    @classmethod
    def get_default_copy(cls) -> Configuration:
        """A copy of the default configuration, or a new one where no default was set."""
        return cls() if cls._default is None else cls._default.copy()

    def copy(self) -> Configuration:
        """A configuration of its own with the same settings. Its loggers are the same."""
        import copy  # not needed by a program that copies no configuration

        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Configuration:
        import copy

        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        for name, value in vars(self).items():
            vars(twin)[name] = value if name in _OF_THE_PROCESS else copy.deepcopy(value, memo)
        twin.logger = dict(self.logger)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _OF_THE_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        LoggingSettings.__init__(self)
        vars(self).update(state)
        self.logger_format = state["_logger_format"]
        self.logger_file = state["_logger_file"]
        if state["_debug"]:
            self.debug = True

    @property
    def disabled_client_side_validations(self) -> str:
        """The rules, separated by commas, that values of parameters need not meet."""
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
        """The API token of a scheme with its prefix, renewed by the hook; None where there is none."""
        if self.refresh_api_key_hook is not None:
            self.refresh_api_key_hook(self)
        key = self.api_key.get(identifier, None if alias is None else self.api_key.get(alias))
        if not key:
            return None
        prefix = self.api_key_prefix.get(identifier)
        return f"{prefix} {key}" if prefix else key

    def get_basic_auth_token(self) -> str:
        """The value of an `Authorization` header made from `username` and `password`."""
        return make_headers(basic_auth=f"{self.username or ''}:{self.password or ''}")["authorization"]

    def auth_settings(self) -> dict[str, dict[str, Any]]:
        """The credentials that are set, by scheme: where each goes, under which name, with which value.

        Raises:
            ApiValueError: a token holds a line break, as one does that was read from a file and not stripped, or a
                character that no header can have.
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
                raise ApiValueError(f"The token for {scheme} holds a line break; strip it")
            if setting["in"] == "header" and any(ord(mark) > 255 for mark in setting["value"] or ""):
                # The error that Python would raise holds the token.
                raise ApiValueError(f"The token for {scheme} holds a character that no token has; copy it again")
        return settings

    def to_debug_report(self) -> str:
        """What to send along with a report of a fault: the system, and the versions of Python, API and client."""
        import sys

        from swagger_client import __version__  # the package imports this module

        return (
            "Python SDK Debug Report:\n"
            f"OS: {sys.platform}\n"
            f"Python Version: {sys.version}\n"
            "Version of the API: 1.0.0\n"
            f"SDK Package Version: {__version__}"
        )
