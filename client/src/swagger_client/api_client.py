"""Make calls of the API: convert parameters and credentials to a request, and the response to a model."""

from __future__ import annotations

import io
import json
import re
import threading
import weakref
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence
from urllib.parse import quote

from swagger_client.call_options import ApiCall, CallOptions, Timeout
from swagger_client.configuration import Configuration
from swagger_client.exceptions import ApiException, ApiValueError
from swagger_client.forks import after_fork
from swagger_client.model_utils import from_server, to_json
from swagger_client.redaction import spellings
from swagger_client.rest import METHODS, RESTClientObject, RESTResponse
from swagger_client.version import __version__

if TYPE_CHECKING:
    from multiprocessing.pool import ThreadPool
    from types import TracebackType

_CHARSET = re.compile(r"charset=([a-zA-Z\-\d]+)")
_SEPARATORS = {"ssv": " ", "tsv": "\t", "pipes": "|"}

__all__ = ["ApiClient", "CallOptions"]


class ApiClient:
    """Send the calls of all APIs. Thread-safe. Call `close()` after use, or create it in a `with` statement.

    A pickled client, and a client in a forked process, has its credentials, and opens its own connections and threads.

    Args:
        configuration: the server, the credentials and the connection settings. Default:
            `Configuration.get_default_copy()`.
        header_name: the name of a header for every request.
        header_value: the value of that header.
        cookie: the value of a `Cookie` header for every request.
        pool_threads: how many calls with `async_req` run concurrently.

    Attributes:
        default_headers: the headers for every request.
        last_response: the response to the last call, by any thread.
    """

    def __init__(
        self,
        configuration: Optional[Configuration] = None,
        header_name: Optional[str] = None,
        header_value: Optional[str] = None,
        cookie: Optional[str] = None,
        pool_threads: int = 1,
    ) -> None:
        self.configuration = Configuration.get_default_copy() if configuration is None else configuration
        self.pool_threads = pool_threads
        self.cookie = cookie
        self.rest_client = RESTClientObject(self.configuration)
        self.last_response: Any = None
        self.default_headers: dict[str, str] = {"User-Agent": f"headwater-client/{__version__}"}
        if header_name is not None and header_value is not None:
            self.set_default_header(header_name, header_value)
        self._start_without_threads()

    def _start_without_threads(self) -> None:
        self._pool: Optional[ThreadPool] = None
        self._pool_lock = threading.Lock()  # so that concurrent calls do not start the threads twice
        after_fork(self, ApiClient._start_without_threads)

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "rest_client": None, "last_response": None, "_pool": None, "_pool_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.rest_client = RESTClientObject(self.configuration)
        self._start_without_threads()

    def close(self) -> None:
        """Wait for the calls with `async_req`, then close the connections."""
        if self._pool is not None:
            self._pool.close()
            self._pool.join()
            self._pool = None
        self.rest_client.close()

    @property
    def pool(self) -> ThreadPool:
        """The threads for calls with `async_req`. The first use starts them."""
        from multiprocessing.pool import ThreadPool  # slow to import; few programs need it

        with self._pool_lock:
            if self._pool is None:
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
        """Add a header to every later request."""
        self.default_headers[header_name] = header_value

    def call_api(  # noqa: PLR0913  the signature of the generated client
        self,
        resource_path: str,
        method: str,
        path_params: Optional[Mapping[str, Any]] = None,
        query_params: Optional[Sequence[tuple[str, Any]]] = None,
        header_params: Optional[Mapping[str, Any]] = None,
        body: Any = None,
        post_params: Any = None,
        files: Optional[Mapping[str, Sequence[io.IOBase]]] = None,
        response_type: Optional[tuple[Any, ...]] = None,
        auth_settings: Optional[Sequence[str]] = None,
        async_req: Optional[bool] = None,
        _return_http_data_only: Optional[bool] = None,
        collection_formats: Optional[Mapping[str, str]] = None,
        _preload_content: bool = True,
        _request_timeout: Timeout = None,
        _host: Optional[str] = None,
        _check_type: Optional[bool] = None,
    ) -> Any:
        """Call an operation that this package has no method for.

        Args:
            resource_path: the path, with `{name}` for each path parameter.
            method: the HTTP method, in capitals.
            path_params: the path parameters by name.
            query_params: names and values.
            header_params: the headers by name; `default_headers` override them.
            body: what to send as JSON: a model or a JSON value.
            post_params: names and values of a form; `header_params` must then have the `Content-Type` of a form.
            files: lists of open files by the names of their form fields; they are read and closed.
            response_type: a tuple of possible types of the response, `[type, …]` for lists of them, `{str: (type, …)}`
                for dicts, `io.IOBase` to save it as a file; None for a response without a body.
            auth_settings: the schemes whose credentials to send, if configured.
            async_req: see `CallOptions`, as for the other options.
            _return_http_data_only: True to return only the data.
            collection_formats: the format of each parameter that is a list: `csv`, `ssv`, `tsv`, `pipes` or `multi`.
            _host: the server to use instead of the configuration's.
            _check_type: True to check the members of the response and convert them to models; else they stay as they
                are in JSON.

        Returns:
            The triple of data, status and headers, or what the options request instead.

        Raises:
            ApiException: the response has another status than 2xx.
            ApiTypeError: the response does not have the type.
            ApiValueError: a parameter, the body or the response is invalid.
            urllib3.exceptions.HTTPError: no response was received.
        """
        call = ApiCall(
            resource_path=resource_path,
            method=method,
            path_params=path_params or {},
            query_params=query_params or [],
            header_params=header_params or {},
            body=body,
            post_params=post_params,
            files=files,
            response_type=response_type,
            auth_settings=auth_settings,
            collection_formats=collection_formats,
            data_only=bool(_return_http_data_only),
            preload_content=_preload_content,
            timeout=_request_timeout,
            host=_host,
            check_type=_check_type,
        )
        return self.pool.apply_async(self._send, (call,)) if async_req else self._send(call)

    def _send(self, call: ApiCall) -> Any:
        configuration = self.configuration
        path = self._path(call)
        queries = self.parameters_to_tuples(to_json(call.query_params), call.collection_formats)
        headers = dict(
            self.parameters_to_tuples(to_json({**call.header_params, **self.default_headers}), call.collection_formats)
        )
        if self.cookie:
            headers["Cookie"] = self.cookie
        post_params = self._form(call, headers)
        body = to_json(call.body)
        self.update_params_for_auth(headers, queries, call.auth_settings, path, call.method, body)
        host = configuration.host if call.host is None else call.host
        try:
            response = self.request(
                call.method,
                host.rstrip("/") + path,
                query_params=queries,
                headers=headers,
                post_params=post_params,
                body=body,
                _preload_content=call.preload_content,
                _request_timeout=call.timeout,
            )
        except ApiException as error:
            error.hide(spellings(*configuration.api_key.values(), configuration.access_token))
            raise
        self.last_response = response
        if not call.preload_content:
            return response
        data = None
        if call.response_type is not None:
            data = self.deserialize(response, call.response_type, call.check_type)
        return data if call.data_only else (data, response.status, response.getheaders())

    def _path(self, call: ApiCall) -> str:
        """Return the path of a call with its parameters filled in."""
        path = call.resource_path
        for name, value in self.parameters_to_tuples(to_json(call.path_params), call.collection_formats):
            quoted = quote(str(value), safe=self.configuration.safe_chars_for_path_param)
            path = path.replace(f"{{{name}}}", quoted)
        return path

    def _form(self, call: ApiCall, headers: Mapping[str, str]) -> Any:
        """Return the form fields of a call, with its files."""
        if not (call.post_params or call.files):
            return call.post_params
        fields = self.parameters_to_tuples(to_json(call.post_params or []), call.collection_formats)
        fields += self.files_parameters(call.files)
        multipart = headers.get("Content-Type", "").startswith("multipart")
        return self.parameters_to_multipart(fields, dict) if multipart else fields

    def request(
        self,
        method: str,
        url: str,
        query_params: Optional[Sequence[tuple[str, Any]]] = None,
        headers: Optional[Mapping[str, str]] = None,
        post_params: Any = None,
        body: Any = None,
        _preload_content: bool = True,
        _request_timeout: Timeout = None,
    ) -> Any:
        """Send one request without credentials, and return the response: see `RESTClientObject.request`.

        Raises:
            ApiValueError: the method is unknown; methods are in capitals.
        """
        if method not in METHODS:
            raise ApiValueError(f"http method must be one of {', '.join(METHODS)}")
        return self.rest_client.request(
            method,
            url,
            query_params=query_params,
            headers=headers,
            body=body,
            post_params=post_params,
            _preload_content=_preload_content,
            _request_timeout=_request_timeout,
        )

    def update_params_for_auth(
        self,
        headers: dict[str, str],
        queries: list[tuple[str, Any]],
        auth_settings: Optional[Sequence[str]],
        resource_path: Optional[str] = None,
        method: Optional[str] = None,
        body: Any = None,
    ) -> None:
        """Add the credentials of these schemes, if configured, to the headers and the query.

        Args:
            headers: changed in place.
            queries: changed in place.
            auth_settings: the names of the schemes.
            resource_path: not used by the schemes of this API, like the next two.
            method: not used.
            body: not used.

        Raises:
            ApiValueError: a token contains a line break.
        """
        if not auth_settings:
            return
        settings = self.configuration.auth_settings()
        for scheme in auth_settings:
            setting = settings.get(scheme)
            if setting is None or not setting["value"]:
                continue
            if setting["in"] == "cookie":
                headers["Cookie"] = setting["value"]
            elif setting["in"] == "header":
                headers[setting["key"]] = setting["value"]
            elif setting["in"] == "query":
                queries.append((setting["key"], setting["value"]))
            else:
                raise ApiValueError("Authentication token must be in `query` or `header`")

    @staticmethod
    def sanitize_for_serialization(obj: Any) -> Any:
        """Return a model, or anything that contains models, as a JSON value; an open file as its content, and close it.

        Raises:
            ApiValueError: JSON cannot represent one of its values.
        """
        return to_json(obj)

    def deserialize(self, response: Any, response_type: tuple[Any, ...], _check_type: Optional[bool] = None) -> Any:
        """Return the body of a response in the given type.

        Args:
            response: a 2xx response, or anything whose `data` is a text.
            response_type: see `call_api`.
            _check_type: True to check the members and convert them to models; else they stay as they are in JSON.

        Raises:
            ApiTypeError: the body is not JSON of that type.
            ApiValueError: it contains a datasource of an unknown type, or its declared encoding is wrong.
        """
        data = response.data
        if response_type == (io.IOBase,):
            from swagger_client import forms  # no operation of the API needs it

            folder = self.configuration.temp_folder_path
            return forms.saved(data, folder, response.getheader("Content-Disposition"))
        if isinstance(data, bytes):
            charset = _CHARSET.search(response.getheader("Content-Type") or "")
            try:
                data = data.decode(charset.group(1) if charset else "utf-8")
            except (LookupError, UnicodeDecodeError) as error:
                raise ApiValueError(f"the text of the response cannot be decoded: {error}") from None
        if isinstance(response, RESTResponse):
            response.data = data
        try:
            data = json.loads(data)
        except ValueError:
            pass
        return from_server(response_type, data, check_type=bool(_check_type))

    def parameters_to_tuples(self, params: Any, collection_formats: Optional[Mapping[str, str]]) -> list[Any]:
        """Return parameters (a dict or pairs) as pairs; those that are lists in their collection format."""
        pairs: list[Any] = []
        for name, value in params.items() if isinstance(params, dict) else params:
            collection_format = (collection_formats or {}).get(name)
            if collection_format is None:
                pairs.append((name, value))
            elif collection_format == "multi":
                pairs += [(name, each) for each in value]
            else:
                pairs.append((name, _SEPARATORS.get(collection_format, ",").join(str(each) for each in value)))
        return pairs

    def parameters_to_multipart(self, params: Any, collection_types: Any) -> list[Any]:
        """Return parameters as fields of a multipart form; values of these types (default: a dict) as JSON."""
        from swagger_client import forms

        return forms.multipart_fields(params, collection_types)

    def files_parameters(self, files: Optional[Mapping[str, Sequence[io.IOBase]]] = None) -> list[tuple[str, Any]]:
        """Return open files, by the names of their form fields, as fields of a form. The files are read and closed.

        Raises:
            ApiValueError: a file is closed.
        """
        if not files:
            return []
        from swagger_client import forms

        return forms.file_fields(files)

    @staticmethod
    def get_file_data_and_close_file(file_instance: io.IOBase) -> Any:
        """Return the content of an open file, and close it."""
        from swagger_client import forms

        return forms.read_and_close(file_instance)

    def select_header_accept(self, accepts: Sequence[str]) -> Optional[str]:
        """Return the `Accept` header for these content types: JSON if it is among them, else all; None for no types."""
        lower = [each.lower() for each in accepts or ()]
        return "application/json" if "application/json" in lower else ", ".join(lower) or None

    def select_header_content_type(self, content_types: Sequence[str]) -> str:
        """Return the `Content-Type` header to use of these: JSON if possible, else the first."""
        lower = [each.lower() for each in content_types or ()]
        return "application/json" if not lower or {"application/json", "*/*"} & set(lower) else lower[0]
