"""One call of the API: parameters and credentials into a request, an answer into a model."""

from __future__ import annotations

import io
import json
import re
import threading
import weakref
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, TypedDict
from urllib.parse import quote

from swagger_client.configuration import Configuration
from swagger_client.exceptions import ApiException, ApiValueError
from swagger_client.model_utils import from_server, to_wire
from swagger_client.redaction import spellings
from swagger_client.rest import METHODS, RESTClientObject, RESTResponse, Timeout

if TYPE_CHECKING:
    from multiprocessing.pool import ThreadPool
    from types import TracebackType

_CHARSET = re.compile(r"charset=([a-zA-Z\-\d]+)")
_SEPARATORS = {"ssv": " ", "tsv": "\t", "pipes": "|"}


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

    _check_input_type: bool
    """False to send the parameters as they are, whatever they are. Default: True."""

    _check_return_type: bool
    """False to leave the members of the answer as JSON has them, whatever their type. Default: True."""

    _spec_property_naming: bool
    """True where a dict given for a model has its members by their names in JSON. Default: False."""

    _content_type: Optional[str]
    """The content type to send a body as. Default: JSON."""

    _host_index: Optional[int]
    """Which of the servers to ask, see `HostSettings`. Default: what the configuration says."""


_starting = threading.Lock()
"""Held while a client starts its threads, so that two calls do not start them twice."""


class ApiClient:
    """Sends the calls of all APIs. Threads may share one; after use, `close()` it or make it in a `with`.

    It can be pickled, without its connections and threads, and with its credentials.

    Args:
        configuration: where the server is, and the credentials. Default: `Configuration.get_default_copy()`.
        header_name: name of a header to send with every request.
        header_value: its value.
        cookie: value of a `Cookie` header to send with every request.
        pool_threads: how many calls with `async_req` run at the same time.

    Attributes:
        default_headers: headers to send with every request.
        last_response: what the last call got; of some call where threads share the client.
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
        self.last_response: Any = None
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

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "rest_client": None, "last_response": None, "_pool": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.rest_client = RESTClientObject(self.configuration)

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
        from multiprocessing.pool import ThreadPool  # slow to import, and few programs need it

        with _starting:
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
        """Send a header with every request from now on."""
        self.default_headers[header_name] = header_value

    def call_api(
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
        """Make one call, of an operation that no API of this package has.

        Args:
            resource_path: the path, with `{name}` where a path parameter goes.
            method: the HTTP method, in capitals.
            path_params: by name.
            query_params: names and values.
            header_params: by name; `default_headers` go over them.
            body: what to send as JSON: a model, or what JSON can hold.
            post_params: names and values of a form, with a `Content-Type` of forms in `header_params`.
            files: lists of open files by the names of their fields in the form; they are read and closed.
            response_type: a tuple of the types that the answer may have, `[type, …]` for lists of them, `{str: (type,
                …)}` for dicts, `io.IOBase` to save it as a file; None for an answer without a body.
            auth_settings: the schemes whose credentials to send, where they are configured.
            async_req: as in `CallOptions`, and so are the others.
            collection_formats: how a parameter that is a list is sent: `csv`, `ssv`, `tsv`, `pipes` or `multi`.
            _host: the server, in place of the configuration's.
            _check_type: True to check, and make into models, the members of the answer; else they stay as JSON has
                them.

        Returns:
            The triple of data, status and headers, or what the options ask for instead.

        Raises:
            ApiException: the server answered with another status than 2xx.
            ApiTypeError: the answer does not have the type.
            ApiValueError: a parameter, body or answer is not as it should be.
            urllib3.exceptions.HTTPError: no answer came.
        """
        arguments = (
            *(resource_path, method, path_params, query_params, header_params, body, post_params, files),
            *(response_type, auth_settings, _return_http_data_only, collection_formats),
            *(_preload_content, _request_timeout, _host, _check_type),
        )
        return self.pool.apply_async(self._call, arguments) if async_req else self._call(*arguments)

    def _call(
        self,
        resource_path: str,
        method: str,
        path_params: Optional[Mapping[str, Any]],
        query_params: Optional[Sequence[tuple[str, Any]]],
        header_params: Optional[Mapping[str, Any]],
        body: Any,
        post_params: Any,
        files: Optional[Mapping[str, Sequence[io.IOBase]]],
        response_type: Optional[tuple[Any, ...]],
        auth_settings: Optional[Sequence[str]],
        _return_http_data_only: Optional[bool],
        collection_formats: Optional[Mapping[str, str]],
        _preload_content: bool,
        _request_timeout: Timeout,
        _host: Optional[str],
        _check_type: Optional[bool],
    ) -> Any:
        configuration = self.configuration
        for name, value in self.parameters_to_tuples(to_wire(path_params or {}), collection_formats):
            quoted = quote(str(value), safe=configuration.safe_chars_for_path_param)
            resource_path = resource_path.replace(f"{{{name}}}", quoted)
        given = to_wire(query_params or [])
        queries = self.parameters_to_tuples(given, collection_formats)
        headers = dict(
            self.parameters_to_tuples(to_wire({**(header_params or {}), **self.default_headers}), collection_formats)
        )
        if self.cookie:
            headers["Cookie"] = self.cookie
        if post_params or files:
            post_params = self.parameters_to_tuples(to_wire(post_params or []), collection_formats)
            post_params += self.files_parameters(files)
            if headers.get("Content-Type", "").startswith("multipart"):
                post_params = self.parameters_to_multipart(post_params, dict)
        body = to_wire(body)
        self.update_params_for_auth(headers, queries, auth_settings, resource_path, method, body)
        host = configuration.host if _host is None else _host
        try:
            response = self.request(
                method,
                host.rstrip("/") + resource_path,
                query_params=queries,
                headers=headers,
                post_params=post_params,
                body=body,
                _preload_content=_preload_content,
                _request_timeout=_request_timeout,
            )
        except ApiException as error:
            error.hide(spellings(*configuration.api_key.values(), configuration.access_token))
            raise
        self.last_response = response
        if not _preload_content:
            return response
        data = None if response_type is None else self.deserialize(response, response_type, _check_type)
        return data if _return_http_data_only else (data, response.status, response.getheaders())

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
        """Send one request as it is, without credentials: see `RESTClientObject.request`.

        Raises:
            ApiValueError: there is no such method; methods are in capitals.
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
        """Add the credentials of these schemes, where they are configured, to headers and query.

        Args:
            headers: changed in place.
            queries: changed in place.
            auth_settings: the names of the schemes.
            resource_path: not used by a scheme of this API, as the two that follow.
            method: not used.
            body: not used.

        Raises:
            ApiValueError: a token holds a line break.
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
        """A model, or anything that holds models, as JSON has it; the content of an open file, which is closed.

        Raises:
            ApiValueError: JSON has no form for a value in it.
        """
        return to_wire(obj)

    def deserialize(self, response: Any, response_type: tuple[Any, ...], _check_type: Optional[bool] = None) -> Any:
        """The body of an answer in the type that it has.

        Args:
            response: a 2xx answer, or anything whose `data` is a text.
            response_type: see `call_api`.
            _check_type: True to check, and make into models, the members; else they stay as JSON has them.

        Raises:
            ApiTypeError: the body is not JSON of that type.
            ApiValueError: it holds a datasource of an unknown kind, or is no text in its declared encoding.
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
                raise ApiValueError(f"the answer's text cannot be decoded: {error}") from None
        if isinstance(response, RESTResponse):
            response.data = data
        try:
            data = json.loads(data)
        except ValueError:
            pass
        return from_server(response_type, data, check_type=bool(_check_type))

    def parameters_to_tuples(self, params: Any, collection_formats: Optional[Mapping[str, str]]) -> list[Any]:
        """Parameters, as a dict or pairs, as pairs; one that is a list in the form that `call_api` says."""
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
        """Parameters as fields of a multipart form, those of these types (default: a dict) as JSON."""
        from swagger_client import forms

        return forms.multipart_fields(params, collection_types)

    def files_parameters(self, files: Optional[Mapping[str, Sequence[io.IOBase]]] = None) -> list[tuple[str, Any]]:
        """Lists of open files, by the names of their fields, as fields of a form. The files are read and closed.

        Raises:
            ApiValueError: a file is closed.
        """
        if not files:
            return []
        from swagger_client import forms

        return forms.file_fields(files)

    @staticmethod
    def get_file_data_and_close_file(file_instance: io.IOBase) -> Any:
        """What is in an open file, which is closed."""
        from swagger_client import forms

        return forms.read_and_close(file_instance)

    def select_header_accept(self, accepts: Sequence[str]) -> Optional[str]:
        """The `Accept` header for these content types: JSON where it is among them, else all; None for none."""
        lower = [each.lower() for each in accepts or ()]
        return "application/json" if "application/json" in lower else ", ".join(lower) or None

    def select_header_content_type(self, content_types: Sequence[str]) -> str:
        """The `Content-Type` header to choose among these: JSON where it can be, else the first."""
        lower = [each.lower() for each in content_types or ()]
        return "application/json" if not lower or {"application/json", "*/*"} & set(lower) else lower[0]
