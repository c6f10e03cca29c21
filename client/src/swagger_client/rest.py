"""Send HTTP requests over urllib3's connection pool, with retries; return a response or raise an exception."""

from __future__ import annotations

import io
import json
import logging
import ssl
import time
from typing import Any, Mapping, Optional, Sequence, Union, cast
from urllib.parse import urlencode, urlsplit

import urllib3

from swagger_client.call_options import Timeout as Timeout
from swagger_client.configuration import Configuration
from swagger_client.connection_errors import shorten
from swagger_client.exceptions import (
    ApiException,
    ApiTypeError,
    ApiValueError,
    ForbiddenException,
    NotFoundException,
    ServiceException,
    UnauthorizedException,
)
from swagger_client.forks import after_fork, renew_connections
from swagger_client.redaction import redact, redact_logs

DEFAULT_RETRIES = 3
"""The number of retries if `Configuration.retries` is None."""

RETRIED_STATUSES = (429, 502, 503, 504)
"""Too many requests; the server or its store is down or busy (contract.md#errors), or restarts behind a proxy."""

BACKOFF_SECONDS = 0.5
"""The factor of urllib3's formula: no delay before the second attempt, then 1 second, then 2."""

MAX_RETRY_AFTER_SECONDS = 30
"""The longest delay before one attempt, even if `Retry-After` is longer."""

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PATCH", "PUT", "DELETE")
"""The HTTP methods that a request can have."""

_EXCEPTIONS = {401: UnauthorizedException, 403: ForbiddenException, 404: NotFoundException}

logger = logging.getLogger(__name__)


class CappedRetry(urllib3.Retry):
    """urllib3's Retry with a limit for `Retry-After`: `MAX_RETRY_AFTER_SECONDS`."""

    def get_retry_after(self, response: Any) -> Optional[float]:
        """Return the seconds to wait before the next attempt; None without a valid `Retry-After`."""
        try:
            seconds = super().get_retry_after(response)
        except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
            return None
        return None if seconds is None else min(seconds, MAX_RETRY_AFTER_SECONDS)


def retry_rules(retries: Union[int, urllib3.Retry, None]) -> Union[bool, urllib3.Retry]:
    """Return the retries in urllib3's form for a value of `Configuration.retries`.

    urllib3 repeats only idempotent methods (GET, PUT, DELETE …). Errors that are not connection errors, such as an
    untrusted certificate, are not retried. After the last attempt the server's response is returned.
    """
    if isinstance(retries, (bool, urllib3.Retry)):
        return retries
    return CappedRetry(
        total=DEFAULT_RETRIES if retries is None else retries,
        other=0,
        status_forcelist=RETRIED_STATUSES,
        backoff_factor=BACKOFF_SECONDS,
        raise_on_status=False,
    )


class RESTResponse(io.IOBase):
    """A response whose body has been read.

    Attributes:
        status: the HTTP status.
        reason: the HTTP reason phrase.
        data: the body: bytes, or text after decoding.
    """

    def __init__(self, resp: urllib3.BaseHTTPResponse) -> None:
        self.urllib3_response = resp
        self.status = resp.status
        self.reason = resp.reason
        self.data: Any = resp.data

    def getheaders(self) -> Mapping[str, str]:
        """Return the headers; their names are case-insensitive."""
        return self.urllib3_response.headers

    def getheader(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """Return one header, or the default."""
        return self.urllib3_response.headers.get(name, default)


class RESTClientObject:
    """urllib3's connection pool with the settings of a configuration. Thread-safe.

    Args:
        configuration: the connection settings, which are read once.
        pools_size: the number of servers with pooled connections.
        maxsize: the number of pooled connections to each. Default: the configuration's `connection_pool_maxsize`.
    """

    def __init__(self, configuration: Configuration, pools_size: int = 4, maxsize: Optional[int] = None) -> None:
        redact_logs()
        settings: dict[str, Any] = {
            "num_pools": pools_size,
            "maxsize": maxsize or configuration.connection_pool_maxsize or pools_size,
            "cert_reqs": ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE,
            "ca_certs": configuration.ssl_ca_cert,
            "cert_file": configuration.cert_file,
            "key_file": configuration.key_file,
            "retries": retry_rules(configuration.retries),
        }
        if configuration.assert_hostname is not None:
            settings["assert_hostname"] = configuration.assert_hostname
        if configuration.socket_options is not None:
            settings["socket_options"] = configuration.socket_options
        self.pool_manager: urllib3.PoolManager
        if configuration.proxy and not _bypasses_proxy(configuration):
            self.pool_manager = urllib3.ProxyManager(
                configuration.proxy, proxy_headers=configuration.proxy_headers, **settings
            )
        else:
            self.pool_manager = urllib3.PoolManager(**settings)
        after_fork(self.pool_manager, renew_connections)

    def close(self) -> None:
        """Close the idle connections. A later request opens new ones."""
        self.pool_manager.clear()

    def request(
        self,
        method: str,
        url: str,
        query_params: Optional[Sequence[tuple[str, Any]]] = None,
        headers: Optional[Mapping[str, str]] = None,
        body: Any = None,
        post_params: Any = None,
        _preload_content: bool = True,
        _request_timeout: Timeout = None,
    ) -> Any:
        """Send one request and return its response.

        Args:
            method: the HTTP method, one of `METHODS`.
            url: without a query.
            query_params: names and values of the query.
            headers: the headers. Without a content type, it is JSON.
            body: a JSON value; with another content type, a text or bytes; None for no body. GET and HEAD have no
                body.
            post_params: names and values of a form, if the content type is that of a form.
            _preload_content: False to return urllib3's response with its body unread.
            _request_timeout: seconds for each attempt, or a pair of seconds for connecting and for reading.

        Raises:
            ApiException: the status is not 2xx; a subclass for 401, 403, 404 and 5xx.
            ApiTypeError: the timeout is neither a number nor a pair of numbers.
            ApiValueError: the method is unknown, or there are both a body and a form.
            urllib3.exceptions.HTTPError: no response was received.
        """
        method = method.upper()
        if method not in METHODS:
            raise ApiValueError(f"http method must be one of {', '.join(METHODS)}")
        if query_params:
            url = f"{url}?{urlencode(query_params)}"
        sent_headers = dict(headers or {})
        sent = None if method in ("GET", "HEAD") else _body(method, body, post_params, sent_headers)
        start = time.monotonic()
        try:
            response = self.pool_manager.urlopen(
                method,
                url,
                body=sent,
                headers=sent_headers,
                preload_content=_preload_content,
                enforce_content_length=True,
                timeout=_timeout(_request_timeout),
            )
        except urllib3.exceptions.SSLError as error:
            raise ApiException(status=0, reason=f"{type(error).__name__}\n{redact(str(error))}") from None
        except urllib3.exceptions.HTTPError as error:
            raise shorten(error, url) from None
        milliseconds = (time.monotonic() - start) * 1000
        logger.debug("%s %s -> %d in %.0f ms", method, redact(url), response.status, milliseconds)
        if 200 <= response.status <= 299:
            return RESTResponse(response) if _preload_content else response
        exception = _EXCEPTIONS.get(response.status) or (ServiceException if response.status >= 500 else ApiException)
        refusal = exception(http_resp=RESTResponse(response))
        if response.status == 404 and urlsplit(url).path.startswith("/v1/v1/"):
            refusal.advise("`host` of the configuration is the URL of the server without /v1")
        raise refusal

    def GET(self, url: str, **options: Any) -> Any:
        """Send a request with this method, see `request`."""
        return self.request("GET", url, **options)

    def HEAD(self, url: str, **options: Any) -> Any:
        """Send a request with this method, see `request`."""
        return self.request("HEAD", url, **options)

    def OPTIONS(self, url: str, **options: Any) -> Any:
        """Send a request with this method, see `request`."""
        return self.request("OPTIONS", url, **options)

    def DELETE(self, url: str, **options: Any) -> Any:
        """Send a request with this method, see `request`."""
        return self.request("DELETE", url, **options)

    def POST(self, url: str, **options: Any) -> Any:
        """Send a request with this method, see `request`."""
        return self.request("POST", url, **options)

    def PUT(self, url: str, **options: Any) -> Any:
        """Send a request with this method, see `request`."""
        return self.request("PUT", url, **options)

    def PATCH(self, url: str, **options: Any) -> Any:
        """Send a request with this method, see `request`."""
        return self.request("PATCH", url, **options)


def _body(method: str, body: Any, post_params: Any, headers: dict[str, str]) -> Any:
    """Return the encoded body for the content type in `headers`; set that to JSON if missing, except for DELETE."""
    if post_params and body:
        raise ApiValueError("body parameter cannot be used with post_params parameter.")
    content_type = headers.get("Content-Type")
    if content_type is None and method != "DELETE":
        content_type = headers["Content-Type"] = "application/json"
    if content_type is None or "json" in content_type.lower():
        return None if body is None else json.dumps(body).encode("ascii")
    from swagger_client import forms  # no operation of the API needs it

    return forms.encoded(body, post_params or (), headers)


def _bypasses_proxy(configuration: Configuration) -> bool:
    """Return whether `no_proxy` contains the server."""
    if not configuration.no_proxy:
        return False
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # few programs need it

    names = configuration.no_proxy.replace(" ", "")
    return bool(proxy_bypass_environment(urlsplit(configuration.host).netloc.rpartition("@")[2], {"no": names}))


def _timeout(seconds: Timeout) -> Optional[urllib3.Timeout]:
    """Return the timeout in urllib3's form. None and 0 mean no limit."""
    if not seconds:
        return None
    if _is_number(seconds):
        return urllib3.Timeout(total=float(cast(float, seconds)))
    if isinstance(seconds, (tuple, list)) and len(seconds) == 2:
        return urllib3.Timeout(connect=seconds[0], read=seconds[1])
    raise ApiTypeError(
        "Invalid type for variable '_request_timeout'. Required value type is a number of seconds, or a pair of them",
        ["_request_timeout"],
        (float, tuple),
    )


def _is_number(value: Any) -> bool:
    """Return whether a value is a number of Python or of another library; True and False are not numbers here."""
    if isinstance(value, (bool, int, float, str, tuple, list)):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    import numbers  # few programs need it

    return isinstance(value, numbers.Real)
