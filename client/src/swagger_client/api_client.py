"""One call of the API: parameters and credentials into a request, an answer into a model."""

from __future__ import annotations

import json
import re
import weakref
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, TypedDict
from urllib.parse import quote

from swagger_client.configuration import Configuration
from swagger_client.exceptions import ApiValueError
from swagger_client.model_utils import from_server, to_wire
from swagger_client.rest import RESTClientObject, RESTResponse, Timeout

if TYPE_CHECKING:
    from multiprocessing.pool import ThreadPool
    from types import TracebackType

_CHARSET = re.compile(r"charset=([a-zA-Z\-\d]+)")


class CallOptions(TypedDict, total=False):
    """What every operation takes beside its parameters. All of it may be left out."""

    async_req: bool
    """True to get an object at once whose `get()` waits for the result. Its threads: `ApiClient(pool_threads=…)`."""

    _return_http_data_only: bool
    """False to get the triple of data, status and headers. Default: True."""

    _preload_content: bool
    """False to get urllib3's response, its body unread; `release_conn()` it after use. Default: True."""

    _request_timeout: Timeout
    """Seconds for each try, or a pair of seconds for connecting and for answering. Default: no limit."""


class ApiClient:
    """Sends the calls of all APIs. Threads may share one; after use, `close()` it or make it in a `with`.

    Args:
        configuration: where the server is, and the credentials. Default: `Configuration.get_default_copy()`.
        header_name: name of a header to send with every request.
        header_value: its value.
        cookie: value of a `Cookie` header to send with every request.
        pool_threads: how many calls with `async_req` run at the same time.

    Attributes:
        default_headers: headers to send with every request.
    """

    def __init__(
        self,
        configuration: Optional[Configuration] = None,
        header_name: Optional[str] = None,
        header_value: Optional[str] = None,
        cookie: Optional[str] = None,
        pool_threads: int = 1,
    ) -> None:
        from swagger_client import __version__  # the package imports this module

        self.configuration = Configuration.get_default_copy() if configuration is None else configuration
        self.pool_threads = pool_threads
        self.cookie = cookie
        self.rest_client = RESTClientObject(self.configuration)
        self.default_headers: dict[str, str] = {"User-Agent": f"headwater-client/{__version__}"}
        if header_name is not None and header_value is not None:
            self.set_default_header(header_name, header_value)
        self._pool: Optional[ThreadPool] = None

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait for the calls with `async_req`, and close the connections."""
        if self._pool is not None:
            self._pool.close()
            self._pool.join()
            self._pool = None
        self.rest_client.close()

    @property
    def pool(self) -> ThreadPool:
        """The threads of calls with `async_req`, started when first needed."""
        if self._pool is None:
            from multiprocessing.pool import ThreadPool  # slow to import, and few programs need it

            self._pool = ThreadPool(self.pool_threads)
            weakref.finalize(self, self._pool.terminate)
        return self._pool

    @property
    def user_agent(self) -> str:
        """The `User-Agent` header."""
        return self.default_headers["User-Agent"]

    @user_agent.setter
    def user_agent(self, value: str) -> None:
        self.default_headers["User-Agent"] = value

    def set_default_header(self, header_name: str, header_value: str) -> None:
        """Send a header with every request from now on."""
        self.default_headers[header_name] = header_value

    def call_api(
        self,
        resource_path: str,
        method: str,
        path_params: Optional[Mapping[str, Any]] = None,
        query_params: Optional[Sequence[tuple[str, Any]]] = None,
        header_params: Optional[Mapping[str, str]] = None,
        body: Any = None,
        *,
        response_type: Optional[tuple[Any]] = None,
        auth_settings: Optional[Sequence[str]] = None,
        async_req: bool = False,
        _return_http_data_only: bool = False,
        _preload_content: bool = True,
        _request_timeout: Timeout = None,
    ) -> Any:
        """Make one call.

        Args:
            resource_path: the path, with `{name}` where a path parameter goes.
            method: the HTTP method, in capitals.
            path_params: by name.
            query_params: names and values.
            header_params: by name; `default_headers` go over them.
            body: what to send as JSON: a model, or what JSON can hold.
            response_type: a tuple of the one type that the answer has; None for an answer without a body.
            auth_settings: the schemes whose credentials to send, where they are configured.
            async_req: as in `CallOptions`, and so are the others.

        Returns:
            The triple of data, status and headers, or what the options ask for instead.

        Raises:
            ApiException: the server answered with another status than 2xx.
            ApiTypeError: the answer does not have the type.
            ApiValueError: a parameter, body or answer is not as it should be.
            urllib3.exceptions.HTTPError: no answer came.
        """
        arguments = (
            resource_path,
            method,
            path_params,
            query_params,
            header_params,
            body,
            response_type,
            auth_settings,
            _return_http_data_only,
            _preload_content,
            _request_timeout,
        )
        return self.pool.apply_async(self._call, arguments) if async_req else self._call(*arguments)

    def _call(
        self,
        resource_path: str,
        method: str,
        path_params: Optional[Mapping[str, Any]],
        query_params: Optional[Sequence[tuple[str, Any]]],
        header_params: Optional[Mapping[str, str]],
        body: Any,
        response_type: Optional[tuple[Any]],
        auth_settings: Optional[Sequence[str]],
        _return_http_data_only: bool,
        _preload_content: bool,
        _request_timeout: Timeout,
    ) -> Any:
        configuration = self.configuration
        for name, value in (path_params or {}).items():
            quoted = quote(str(to_wire(value)), safe=configuration.safe_chars_for_path_param)
            resource_path = resource_path.replace(f"{{{name}}}", quoted)
        queries = [(name, to_wire(value)) for name, value in query_params or ()]
        headers = {**(header_params or {}), **self.default_headers}
        if self.cookie:
            headers["Cookie"] = self.cookie
        self.update_params_for_auth(headers, queries, auth_settings)
        response = self.rest_client.request(
            method,
            configuration.host.rstrip("/") + resource_path,
            query_params=queries,
            headers=headers,
            body=to_wire(body),
            _preload_content=_preload_content,
            _request_timeout=_request_timeout,
        )
        if not isinstance(response, RESTResponse):
            return response
        data = None if response_type is None else self.deserialize(response, response_type)
        return data if _return_http_data_only else (data, response.status, response.getheaders())

    def update_params_for_auth(
        self, headers: dict[str, str], queries: list[tuple[str, Any]], auth_settings: Optional[Sequence[str]]
    ) -> None:
        """Add the credentials of these schemes, where they are configured, to headers and query.

        Raises:
            ApiValueError: a token holds a line break.
        """
        settings = self.configuration.auth_settings()
        for scheme in auth_settings or ():
            setting = settings.get(scheme)
            if setting is None or not setting["value"]:
                continue
            if setting["in"] == "query":
                queries.append((setting["key"], setting["value"]))
            else:
                headers[setting["key"]] = setting["value"]

    @staticmethod
    def sanitize_for_serialization(obj: Any) -> Any:
        """A model, or anything that holds models, as JSON has it.

        Raises:
            ApiValueError: JSON has no form for a value in it.
        """
        return to_wire(obj)

    def deserialize(self, response: Any, response_type: tuple[Any], _check_type: Optional[bool] = None) -> Any:
        """The body of an answer in the type that it has.

        Args:
            response: a 2xx answer, or anything whose `data` is a text.
            response_type: a tuple of the one type.
            _check_type: has no effect: types are checked.

        Raises:
            ApiTypeError: the body is not JSON of that type.
            ApiValueError: it holds a datasource of an unknown kind, or is no text in its declared encoding.
        """
        text = response.data
        if isinstance(text, bytes):
            charset = _CHARSET.search(response.getheader("Content-Type") or "")
            try:
                text = text.decode(charset.group(1) if charset else "utf-8")
            except (LookupError, UnicodeDecodeError) as error:
                raise ApiValueError(f"the answer's text cannot be decoded: {error}") from None
        try:
            data = json.loads(text)
        except ValueError:
            data = text
        return from_server(response_type[0], data)
