"""Where the server is, with which credentials, and how to connect."""

from __future__ import annotations

import base64
import logging
import os
from typing import Any, Callable, Mapping, Optional, Union

from urllib3 import Retry

from swagger_client.exceptions import ApiValueError

DEFAULT_HOST = "https://api.lightly.ai"
"""The server of the published API, where neither `host` nor the environment names one."""

HOST_VARIABLE = "LIGHTLY_SERVER_LOCATION"
"""The environment variable that names the server."""

_logger = logging.getLogger("swagger_client")


class Configuration:
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
        ssl_ca_cert: path of a file of CA certificates (PEM) that the server's certificate is checked against.

    Attributes:
        refresh_api_key_hook: called with this configuration before each use of an API token, to renew it.
        verify_ssl: whether the server's certificate is checked.
        cert_file: path of the client's certificate (PEM).
        key_file: path of its key.
        assert_hostname: the name that the server's certificate must have; False for any.
        proxy: URL of a proxy.
        proxy_headers: headers for the proxy, as urllib3's `make_headers` makes them.
        connection_pool_maxsize: connections that are kept open to the server, so calls in parallel.
        retries: how often a call that may be repeated (GET, PUT) is tried once more after a connection error, a
            429 or a 503: a number, 0 for never, a `urllib3.Retry` for rules of your own. Default: 3, with growing
            pauses or as long as `Retry-After` says, at most 30 seconds each.
        safe_chars_for_path_param: characters that stay as they are in a path.
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
        ssl_ca_cert: Optional[str] = None,
    ) -> None:
        self.host: str = os.environ.get(HOST_VARIABLE) or DEFAULT_HOST if host is None else host
        self.api_key = {} if api_key is None else api_key
        self.api_key_prefix = {} if api_key_prefix is None else api_key_prefix
        self.refresh_api_key_hook: Optional[Callable[[Configuration], object]] = None
        self.access_token = access_token
        self.username = username
        self.password = password
        self.discard_unknown_keys = discard_unknown_keys
        self.verify_ssl = True
        self.ssl_ca_cert = ssl_ca_cert
        self.cert_file: Optional[str] = None
        self.key_file: Optional[str] = None
        self.assert_hostname: Union[bool, str, None] = None
        self.proxy: Optional[str] = None
        self.proxy_headers: Optional[Mapping[str, str]] = None
        self.connection_pool_maxsize: Optional[int] = (os.cpu_count() or 1) * 5
        self.retries: Union[int, Retry, None] = None
        self.safe_chars_for_path_param = ""
        self._debug = False

    @classmethod
    def set_default(cls, default: Optional[Configuration]) -> None:
        """Make a copy of this configuration the one of every `ApiClient` that is made without one."""
        cls._default = None if default is None else default.copy()

    @classmethod
    def get_default_copy(cls) -> Configuration:
        """A copy of the default configuration, or a new one where no default was set."""
        return cls() if cls._default is None else cls._default.copy()

    def copy(self) -> Configuration:
        """A configuration of its own with the same settings."""
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))
        twin.api_key = dict(self.api_key)
        twin.api_key_prefix = dict(self.api_key_prefix)
        return twin

    def __deepcopy__(self, memo: Any) -> Configuration:
        return self.copy()

    @property
    def debug(self) -> bool:
        """Log every call (method, URL without the token, status, milliseconds) through the logger `swagger_client`.

        The level is the logger's, so it holds for the whole process. Where nothing handles log records yet, they
        go to stderr.
        """
        return self._debug

    @debug.setter
    def debug(self, value: bool) -> None:
        self._debug = value
        _logger.setLevel(logging.DEBUG if value else logging.NOTSET)
        if value and not _logger.hasHandlers():
            _logger.addHandler(logging.StreamHandler())

    def get_api_key_with_prefix(self, identifier: str, alias: Optional[str] = None) -> Optional[str]:
        """The API token of a scheme with its prefix, renewed by the hook; None where there is none."""
        if self.refresh_api_key_hook is not None:
            self.refresh_api_key_hook(self)
        key = self.api_key.get(identifier) or (self.api_key.get(alias) if alias is not None else None)
        prefix = self.api_key_prefix.get(identifier)
        return f"{prefix} {key}" if key and prefix else key

    def get_basic_auth_token(self) -> str:
        """The value of an `Authorization` header made from `username` and `password`."""
        pair = f"{self.username or ''}:{self.password or ''}"
        return "Basic " + base64.b64encode(pair.encode()).decode("ascii")

    def auth_settings(self) -> dict[str, dict[str, Any]]:
        """The credentials that are set, by scheme: where each goes, under which name, with which value.

        Raises:
            ApiValueError: a token holds a line break, as one does that was read from a file and not stripped.
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
        return settings
