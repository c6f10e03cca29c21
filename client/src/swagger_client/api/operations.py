"""What the operations of all APIs have in common."""

from __future__ import annotations

from typing import Any, Generic, Mapping, Optional, TypeVar, cast

from swagger_client.api_client import ApiClient, CallOptions
from swagger_client.exceptions import ApiTypeError, ApiValueError
from swagger_client.model.mongo_object_id import MongoObjectID
from swagger_client.model_utils import as_parameter, wrong_type

T = TypeVar("T")

_AUTH = ("ApiKeyAuth", "auth0Bearer")
_NO_BODY: Any = type(None)
_OPTIONS = frozenset(CallOptions.__annotations__)
_FLAGS = _OPTIONS - {"_request_timeout", "_content_type", "_host_index"}


class Operation(Generic[T]):
    """One operation of the contract.

    Args:
        name: the name of its method.
        method: the HTTP method.
        path: the path, with `{name}` for each path parameter.
        response_type: the type of the response; `type(None)` for a response without a body.
    """

    __slots__ = ("method", "name", "path", "response_type")

    def __init__(self, name: str, method: str, path: str, response_type: type[T]) -> None:
        self.name = name
        self.method = method
        self.path = path
        self.response_type = response_type


class Operations:
    """The base class of the APIs.

    Args:
        api_client: sends the calls. Default: a new one with the default configuration.
    """

    def __init__(self, api_client: Optional[ApiClient] = None) -> None:
        self.api_client = ApiClient() if api_client is None else api_client

    def _parameter(self, value_type: Any, value: Any, name: str, options: CallOptions) -> Any:
        """Return a parameter in its type, or unchanged if `_check_input_type` is False.

        Raises:
            ApiTypeError: it has the wrong type and cannot be converted.
            ApiValueError: it breaks a rule of its type; or it is None and `_check_input_type` is False.
        """
        if options.get("_check_input_type", True) is not False:
            naming = options.get("_spec_property_naming", False)
            return as_parameter(value_type, value, name, self.api_client.configuration, naming)
        if value is None:
            raise ApiValueError(f"Value may not be None for non-nullable parameter `{name}`")
        return value

    def _optional(self, value_type: Any, value: Any, name: str, options: CallOptions) -> Any:
        """Return an optional parameter like `_parameter`; None if it is None."""
        return None if value is None else self._parameter(value_type, value, name, options)

    def _dataset(self, dataset_id: Any, options: CallOptions) -> Mapping[str, Any]:
        """Return the path parameters of an operation on one dataset."""
        return {"datasetId": self._parameter(MongoObjectID, dataset_id, "dataset_id", options)}

    def _call(
        self,
        operation: Operation[T],
        options: CallOptions,
        path_params: Mapping[str, Any],
        query_params: Optional[Mapping[str, Any]] = None,
        body: Any = None,
    ) -> T:
        """Call an operation. The return type is the one without options that change it."""
        _check_options(operation.name, options)
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = options.get("_content_type") or "application/json"
        result = self.api_client.call_api(
            operation.path,
            operation.method,
            path_params,
            [(name, value) for name, value in (query_params or {}).items() if value is not None],
            headers,
            body,
            response_type=None if operation.response_type is _NO_BODY else (operation.response_type,),
            auth_settings=_AUTH,
            async_req=options.get("async_req", False),
            _return_http_data_only=options.get("_return_http_data_only", True),
            _preload_content=options.get("_preload_content", True),
            _request_timeout=options.get("_request_timeout"),
            _host=self.api_client.configuration.host_of(operation.name, options.get("_host_index")),
            _check_type=options.get("_check_return_type", True),
        )
        return cast(T, result)


def _check_options(operation: str, options: CallOptions) -> None:
    """Check the names and types of the options.

    Raises:
        ApiTypeError: an option is unknown, or has the wrong type.
    """
    for name, value in options.items():
        if name not in _OPTIONS:
            raise ApiTypeError(f"Got an unexpected parameter '{name}' to method `{operation}`")
        if name in _FLAGS and not isinstance(value, bool):
            raise wrong_type(value, bool, (name,))
        if name == "_host_index" and value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise wrong_type(value, int, (name,))
