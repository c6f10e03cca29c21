"""The options and arguments of a call."""

from __future__ import annotations

import io
from typing import Any, Mapping, NamedTuple, Optional, Sequence, TypedDict, Union

Timeout = Union[float, Sequence[float], None]
"""Seconds for the whole request, or a pair of seconds for connecting and for reading; None for no limit."""


class CallOptions(TypedDict, total=False):
    """The options that every operation takes in addition to its parameters. All are optional."""

    async_req: bool
    """True to return an object whose `get()` waits for the result. `ApiClient(pool_threads=…)` runs the call."""

    _return_http_data_only: bool
    """False to return the triple of data, status and headers. Default: True."""

    _preload_content: bool
    """False to return urllib3's response with its body unread; call its `release_conn()` after use. Default: True."""

    _request_timeout: Timeout
    """Seconds for each attempt, or a pair of seconds for connecting and for reading. Default: no limit."""

    _check_input_type: bool
    """False to send the parameters without checks or conversions. Default: True."""

    _check_return_type: bool
    """False to leave the members of the response as they are in JSON, whatever their type. Default: True."""

    _spec_property_naming: bool
    """True if the keys of a dict that is given for a model are JSON names. Default: False."""

    _content_type: Optional[str]
    """The content type of the body. Default: JSON."""

    _host_index: Optional[int]
    """The index of the server, see `HostSettings`. Default: the configuration's."""


class ApiCall(NamedTuple):
    """The arguments of one `ApiClient.call_api`."""

    resource_path: str
    method: str
    path_params: Mapping[str, Any]
    query_params: Sequence[tuple[str, Any]]
    header_params: Mapping[str, Any]
    body: Any
    post_params: Any
    files: Optional[Mapping[str, Sequence[io.IOBase]]]
    response_type: Optional[tuple[Any, ...]]
    auth_settings: Optional[Sequence[str]]
    collection_formats: Optional[Mapping[str, str]]
    data_only: bool
    preload_content: bool
    timeout: Timeout
    host: Optional[str]
    check_type: Optional[bool]
