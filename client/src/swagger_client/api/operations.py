"""What the operations of all APIs have in common."""

from __future__ import annotations

from typing import Any, Mapping, Optional, TypeVar, cast

from swagger_client.api_client import ApiClient, CallOptions
from swagger_client.exceptions import ApiTypeError, ApiValueError
from swagger_client.model.mongo_object_id import MongoObjectID
from swagger_client.model_utils import as_parameter, wrong_type

T = TypeVar("T")

_AUTH = ("ApiKeyAuth", "auth0Bearer")
_NOTHING: Any = type(None)
"""What an operation answers whose body is empty."""
_OPTIONS = frozenset(CallOptions.__annotations__)
_FLAGS = _OPTIONS - {"_request_timeout", "_content_type", "_host_index"}


class Operations:
    """The base of an API.

    Args:
        api_client: sends the calls. Default: a new one, with the default configuration.
    """

    def __init__(self, api_client: Optional[ApiClient] = None) -> None:
        self.api_client = ApiClient() if api_client is None else api_client

    def _parameter(self, kind: Any, value: Any, name: str, options: CallOptions) -> Any:
        """A parameter in its type, or as it is where `_check_input_type` is False.

        Raises:
            ApiTypeError: it is not of the type, nor can be made into it.
            ApiValueError: the rules of the type refuse it; or it is None, and not checked.
        """
        if options.get("_check_input_type", True) is not False:
            naming = options.get("_spec_property_naming", False)
            return as_parameter(kind, value, name, self.api_client.configuration, naming)
        if value is None:
            raise ApiValueError(f"Value may not be None for non-nullable parameter `{name}`")
        return value

    def _optional(self, kind: Any, value: Any, name: str, options: CallOptions) -> Any:
        """As `_parameter`, for one that may be left out, and is where it is None."""
        return None if value is None else self._parameter(kind, value, name, options)

    def _dataset(self, dataset_id: Any, options: CallOptions) -> Mapping[str, Any]:
        """The path parameters of the operations on one dataset."""
        return {"datasetId": self._parameter(MongoObjectID, dataset_id, "dataset_id", options)}

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        answer: type[T],
        options: CallOptions,
        path_params: Mapping[str, Any],
        query_params: Optional[Mapping[str, Any]] = None,
        body: Any = None,
    ) -> T:
        """Make a call, and say to type checkers what it answers when no option asks for something else."""
        _check_options(operation, options)
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = options.get("_content_type") or "application/json"
        result = self.api_client.call_api(
            path,
            method,
            path_params,
            [(name, value) for name, value in (query_params or {}).items() if value is not None],
            headers,
            body,
            response_type=None if answer is _NOTHING else (answer,),
            auth_settings=_AUTH,
            async_req=options.get("async_req", False),
            _return_http_data_only=options.get("_return_http_data_only", True),
            _preload_content=options.get("_preload_content", True),
            _request_timeout=options.get("_request_timeout"),
            _host=self.api_client.configuration.host_of(operation, options.get("_host_index")),
            _check_type=options.get("_check_return_type", True),
        )
        return cast(T, result)


def _check_options(operation: str, options: CallOptions) -> None:
    """See to it that the options are options.

    Raises:
        ApiTypeError: there is no option of this name, or its value has the wrong type.
    """
    for name, value in options.items():
        if name not in _OPTIONS:
            raise ApiTypeError(f"Got an unexpected parameter '{name}' to method `{operation}`")
        if name in _FLAGS and not isinstance(value, bool):
            raise wrong_type(value, bool, (name,))
        if name == "_host_index" and value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise wrong_type(value, int, (name,))
