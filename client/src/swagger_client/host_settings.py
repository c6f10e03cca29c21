"""Which server is asked: the one of `host`, or one of the servers that the API's document names."""

from __future__ import annotations

import os
from typing import Any, Mapping, Optional, Sequence

DEFAULT_HOST = "https://api.lightly.ai"
"""The server of the published API, where neither `host` nor the environment names one."""

HOST_VARIABLE = "LIGHTLY_SERVER_LOCATION"
"""The environment variable that names the server."""


class HostSettings:
    """The part of a `Configuration` that says which server is asked.

    The document of this API names one server, so the index of a server is 0 or None, and no server has variables;
    subclasses may name more in `get_host_settings`.

    Attributes:
        server_index: which of the servers; None for the one of `host`. Setting `host` sets this to None.
        server_variables: values for the variables in a server's URL.
        server_operation_index: the index for single operations, by their names in Python.
        server_operation_variables: the variables for single operations, by their names in Python.
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
            ValueError: there is no server of this `server_index`, or one of `server_variables` is not allowed.
        """
        return self.get_host_from_settings(self.server_index, variables=self.server_variables)

    @host.setter
    def host(self, value: str) -> None:
        self._base_path = value
        self.server_index = None

    def get_host_settings(self) -> Sequence[Mapping[str, Any]]:
        """The servers of the API's document, each with `url` and `description`; the environment's goes before them."""
        return [{"url": self._server, "description": "No description provided"}]

    def get_host_from_settings(
        self,
        index: Optional[int],
        variables: Optional[Mapping[str, str]] = None,
        servers: Optional[Sequence[Mapping[str, Any]]] = None,
    ) -> str:
        """The URL of a server.

        Args:
            index: which one; None for the one that was given as `host`.
            variables: values for the variables in its URL.
            servers: in the form of `get_host_settings`, which is the default.

        Raises:
            ValueError: there is no such server, or a value is not among those that it allows.
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
        """The URL of the server that an operation asks.

        Args:
            operation: its name in Python.
            index: the choice of this one call (`_host_index`).

        Raises:
            ValueError: as `get_host_from_settings`.
        """
        if index is None:
            index = self.server_operation_index.get(operation, self.server_index)
        variables = self.server_operation_variables.get(operation, self.server_variables)
        return self.get_host_from_settings(index, variables=variables)
