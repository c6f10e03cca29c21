"""HTTP: one request over urllib3's pool, with its retries, as an answer or an exception."""

from __future__ import annotations

import io
import json
import logging
import ssl
import time
from typing import Any, Mapping, Optional, Sequence, Union
from urllib.parse import urlencode, urlsplit

import urllib3

from swagger_client.configuration import Configuration
from swagger_client.exceptions import (
    ApiException,
    ApiTypeError,
    ApiValueError,
    ForbiddenException,
    NotFoundException,
    ServiceException,
    UnauthorizedException,
)
from swagger_client.redaction import redact, redact_error, redact_logs

RETRIES = 3
"""How often a call is tried once more, where `Configuration.retries` does not say."""

RETRIED_STATUSES = (429, 503)
"""Too many requests; the server, or the store behind it, is down or busy (contract, section 3)."""

BACKOFF = 0.5
"""Seconds, in urllib3's formula: no pause before the second try, then 1 second, then 2."""

LONGEST_WAIT = 30
"""Seconds that `Retry-After` is followed for, at most, before one try."""

Timeout = Union[float, Sequence[float], None]
"""Seconds for connecting plus answering, or a pair of seconds for each; None for no limit."""

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PATCH", "PUT", "DELETE")
"""The HTTP methods that can be sent."""

_EXCEPTIONS = {401: UnauthorizedException, 403: ForbiddenException, 404: NotFoundException}

logger = logging.getLogger(__name__)


class PatientRetry(urllib3.Retry):
    """urllib3's Retry, which waits as long as `Retry-After` says, but never longer than `LONGEST_WAIT`."""

    def get_retry_after(self, response: Any) -> Optional[float]:
        """Seconds to wait before the next try; None where the server did not say."""
        try:
            seconds = super().get_retry_after(response)
        except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
            return None
        return None if seconds is None else min(seconds, LONGEST_WAIT)


def retry_rules(retries: Union[int, urllib3.Retry, None]) -> Union[bool, urllib3.Retry]:
    """What urllib3 shall do for this value of `Configuration.retries`.

    Only methods that may be repeated (GET, PUT, DELETE …) are, as urllib3's own rules say. What is no connection
    error, such as a certificate that is not trusted, is not tried again. The server's last answer is handed on.
    """
    if isinstance(retries, (bool, urllib3.Retry)):
        return retries
    return PatientRetry(
        total=RETRIES if retries is None else retries,
        other=0,
        status_forcelist=RETRIED_STATUSES,
        backoff_factor=BACKOFF,
        raise_on_status=False,
    )


class RESTResponse(io.IOBase):
    """An answer that has been read.

    Attributes:
        status: the HTTP status.
        reason: the HTTP reason phrase.
        data: the body: bytes, or text once it was decoded.
    """

    def __init__(self, resp: urllib3.BaseHTTPResponse) -> None:
        self.urllib3_response = resp
        self.status = resp.status
        self.reason = resp.reason
        self.data: Any = resp.data

    def getheaders(self) -> Mapping[str, str]:
        """The headers, found in any letter case."""
        return self.urllib3_response.headers

    def getheader(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """One header, or the default."""
        return self.urllib3_response.headers.get(name, default)


class RESTClientObject:
    """urllib3's connection pool, set up as a configuration says. Threads may share it.

    Args:
        configuration: its connection settings are read once, here.
        pools_size: number of servers that connections are kept for.
        maxsize: number of connections that are kept to each. Default: the configuration's `connection_pool_maxsize`.
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
        if configuration.proxy and not _goes_past_the_proxy(configuration):
            self.pool_manager = urllib3.ProxyManager(
                configuration.proxy, proxy_headers=configuration.proxy_headers, **settings
            )
        else:
            self.pool_manager = urllib3.PoolManager(**settings)

    def close(self) -> None:
        """Close the connections that nobody is using. A later request opens new ones."""
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
        """Send one request and wait for its answer.

        Args:
            method: the HTTP method, one of `METHODS`.
            url: without a query.
            query_params: names and values of the query.
            headers: to send. Their content type is JSON unless they say otherwise.
            body: sent as JSON; a text or bytes as they are where the content type is another; None for no body. GET
                and HEAD have none.
            post_params: names and values of a form, where the content type is one of forms.
            _preload_content: False to get urllib3's response with its body still unread.
            _request_timeout: seconds for each try.

        Raises:
            ApiException: the status is not 2xx; a subclass for 401, 403, 404 and 5xx.
            ApiTypeError: the timeout is neither a number nor a pair of them.
            ApiValueError: there is no such method, or both a body and a form.
            urllib3.exceptions.HTTPError: no answer came.
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
            redact_error(error)
            raise
        milliseconds = (time.monotonic() - start) * 1000
        logger.debug("%s %s -> %d in %.0f ms", method, redact(url), response.status, milliseconds)
        if 200 <= response.status <= 299:
            return RESTResponse(response) if _preload_content else response
        kind = _EXCEPTIONS.get(response.status) or (ServiceException if response.status >= 500 else ApiException)
        raise kind(http_resp=RESTResponse(response))

    def GET(self, url: str, **options: Any) -> Any:
        """`request` with this method, as the six that follow."""
        return self.request("GET", url, **options)

    def HEAD(self, url: str, **options: Any) -> Any:
        """`request` with this method."""
        return self.request("HEAD", url, **options)

    def OPTIONS(self, url: str, **options: Any) -> Any:
        """`request` with this method."""
        return self.request("OPTIONS", url, **options)

    def DELETE(self, url: str, **options: Any) -> Any:
        """`request` with this method."""
        return self.request("DELETE", url, **options)

    def POST(self, url: str, **options: Any) -> Any:
        """`request` with this method."""
        return self.request("POST", url, **options)

    def PUT(self, url: str, **options: Any) -> Any:
        """`request` with this method."""
        return self.request("PUT", url, **options)

    def PATCH(self, url: str, **options: Any) -> Any:
        """`request` with this method."""
        return self.request("PATCH", url, **options)


def _body(method: str, body: Any, post_params: Any, headers: dict[str, str]) -> Any:
    """What to send as body, in the form that the content type in `headers` says; DELETE may be without one."""
    if post_params and body:
        raise ApiValueError("body parameter cannot be used with post_params parameter.")
    content_type = headers.get("Content-Type")
    if content_type is None and method != "DELETE":
        content_type = headers["Content-Type"] = "application/json"
    if content_type is None or "json" in content_type.lower():
        return None if body is None else json.dumps(body).encode("ascii")
    from swagger_client import forms  # no operation of the API needs it

    return forms.encoded(body, post_params or (), headers)


def _goes_past_the_proxy(configuration: Configuration) -> bool:
    """Whether `no_proxy` names the server."""
    if not configuration.no_proxy:
        return False
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # few programs need it

    names = configuration.no_proxy.replace(" ", "")
    return bool(proxy_bypass_environment(urlsplit(configuration.host).netloc.rpartition("@")[2], {"no": names}))


def _timeout(seconds: Timeout) -> Optional[urllib3.Timeout]:
    """What urllib3 calls it. None is no limit, and so is 0."""
    if not seconds:
        return None
    if isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
        return urllib3.Timeout(total=seconds)
    if isinstance(seconds, (tuple, list)) and len(seconds) == 2:
        return urllib3.Timeout(connect=seconds[0], read=seconds[1])
    raise ApiTypeError(
        "Invalid type for variable '_request_timeout'. Required value type is a number of seconds, or a pair of them",
        ["_request_timeout"],
        (float, tuple),
    )
