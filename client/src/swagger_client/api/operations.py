"""What the operations of all APIs have in common."""

from __future__ import annotations

from typing import Any, Mapping, Optional, TypeVar, cast

from swagger_client.api_client import ApiClient, CallOptions
from swagger_client.exceptions import ApiTypeError

T = TypeVar("T")

_AUTH = ("ApiKeyAuth", "auth0Bearer")
_NOTHING: Any = type(None)
"""What an operation answers whose body is empty."""
_OPTIONS = frozenset(CallOptions.__annotations__)


class Operations:
    """The base of an API.

    Args:
        api_client: sends the calls. Default: a new one, with the default configuration.
    """

    def __init__(self, api_client: Optional[ApiClient] = None) -> None:
        self.api_client = ApiClient() if api_client is None else api_client

    def _call(
        self,
        method: str,
        path: str,
        answer: type[T],
        options: CallOptions,
        path_params: Mapping[str, Any],
        query_params: Optional[Mapping[str, Any]] = None,
        body: Any = None,
    ) -> T:
        """Make a call, and say to type checkers what it answers when no option asks for something else."""
        for name in options:
            if name not in _OPTIONS:
                raise ApiTypeError(f"Got an unexpected parameter '{name}'")
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        result = self.api_client.call_api(
            path,
            method,
            path_params,
            [(name, value) for name, value in (query_params or {}).items() if value is not None],
            headers,
            body,
            response_type=None if answer is _NOTHING else (answer,),
            auth_settings=_AUTH,
            **cast("dict[str, Any]", {"_return_http_data_only": True, **options}),
        )
        return cast(T, result)
