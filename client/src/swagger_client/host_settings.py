"""The server settings of a client: `host`, or one of the servers in the API's document."""

from __future__ import annotations

import os
from typing import Any, Mapping, Optional, Sequence

DEFAULT_HOST = "https://api.lightly.ai"
"""The server of the published API, used if neither `host` nor the environment variable is set."""

HOST_VARIABLE = "LIGHTLY_SERVER_LOCATION"
"""The environment variable with the URL of the server."""


class HostSettings:
    """The server settings of a `Configuration`.

    The document of this API has one server, without variables, so the index of a server is 0 or None. Subclasses can
    return more servers from `get_host_settings`.

    Attributes:
        server_index: the index of the server; None for `host`. Setting `host` sets this to None.
        server_variables: values for the variables in the URL of a server.
        server_operation_index: the index for single operations, by their Python names.
        server_operation_variables: the variables for single operations, by their Python names.
    """

    def __init__(
        self,
        host: Optional[str],
        server_index: Optional[int],
        server_variables: Optional[Mapping[str, str]],
        server_operation_index: Optional[Mapping[str, int]],
        server_operation_variables: Optional[Mapping[str, Mapping[str, str]]],
    ) -> None:
        self._server = os.environ.get(HOST_VARIABLE) or DEFAULT_HOST
        self._base_path = self._server if host is None else host
        self.server_index = 0 if server_index is None and host is None else server_index
        self.server_variables = server_variables or {}
        self.server_operation_index = server_operation_index or {}
        self.server_operation_variables = server_operation_variables or {}

    @property
    def host(self) -> str:
        """URL of the server.

        Raises:
            ValueError: `server_index` or one of `server_variables` is invalid.
        """
        return self.get_host_from_settings(self.server_index, variables=self.server_variables)

    @host.setter
    def host(self, value: str) -> None:
        self._base_path = value
        self.server_index = None

    def get_host_settings(self) -> Sequence[Mapping[str, Any]]:
        """Return the servers, each with `url` and `description`. The environment variable replaces the document's."""
        return [{"url": self._server, "description": "No description provided"}]

    def get_host_from_settings(
        self,
        index: Optional[int],
        variables: Optional[Mapping[str, str]] = None,
        servers: Optional[Sequence[Mapping[str, Any]]] = None,
    ) -> str:
        """Return the URL of a server.

        Args:
            index: the index of the server; None for `host`.
            variables: values for the variables in its URL.
            servers: the servers in the form of `get_host_settings`, which is the default.

        Raises:
            ValueError: the index or the value of a variable is invalid.
        """
        if index is None:
            return self._base_path
        servers = self.get_host_settings() if servers is None else servers
        try:
            server = servers[index]
        except IndexError:
            raise ValueError(
                f"Invalid index {index} when selecting the host settings. Must be less than {len(servers)}"
            ) from None
        url: str = server["url"]
        for name, variable in server.get("variables", {}).items():
            value = (variables or {}).get(name, variable["default_value"])
            if "enum_values" in variable and value not in variable["enum_values"]:
                raise ValueError(
                    f"The variable `{name}` in the host URL has invalid value {value}. "
                    f"Must be {variable['enum_values']}."
                )
            url = url.replace(f"{{{name}}}", value)
        return url

    def host_of(self, operation: str, index: Optional[int] = None) -> str:
        """Return the URL of the server for an operation.

        Args:
            operation: its Python name.
            index: the index for this call (`_host_index`).

        Raises:
            ValueError: see `get_host_from_settings`.
        """
        if index is None:
            index = self.server_operation_index.get(operation, self.server_index)
        variables = self.server_operation_variables.get(operation, self.server_variables)
        return self.get_host_from_settings(index, variables=variables)
