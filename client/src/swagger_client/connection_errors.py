"""Say in one sentence why no response was received."""

from __future__ import annotations

import re
from typing import Optional
from urllib.parse import urlsplit

from urllib3 import exceptions as urllib3_exceptions

from swagger_client.redaction import redact, redact_error

_SYSTEM_TEXT = re.compile(r"\[Errno -?\d+\] ([^'\")]+)")
_CERTIFICATE_TEXT = re.compile(r"certificate verify failed: ([^(\"']+?) *\(")


def shorten(error: urllib3_exceptions.HTTPError, url: str) -> urllib3_exceptions.HTTPError:
    """Return the same error with a text of one sentence, without secrets, and without the traceback inside urllib3.

    Its class and its attributes, such as `reason`, stay as they are.

    Args:
        error: raised by urllib3 for a request.
        url: the URL of the request.
    """
    redact_error(error)
    advice = "check that the server is running and that `host` of the configuration is its URL"
    reason = _reason(error)
    if isinstance(reason, urllib3_exceptions.LocationValueError) or not url.lower().startswith(("http://", "https://")):
        error.args = ("`host` of the configuration is not a URL: write http:// or https:// and the name of the server",)
        return error.with_traceback(None)
    if isinstance(reason, urllib3_exceptions.ResponseError):
        return error  # there was a response, which your own `Retry` does not accept
    if isinstance(reason, urllib3_exceptions.ReadTimeoutError):
        advice = "the server or its store is slow, or `_request_timeout` is too short"
    elif isinstance(reason, urllib3_exceptions.SSLError):
        advice = "check `host`, and `ssl_ca_cert` if the server has a certificate of your own"
    elif isinstance(reason, urllib3_exceptions.ProxyError):
        advice = "check `proxy` and `no_proxy` of the configuration"
    error.args = (f"no response from {origin(url)} ({describe(error)}): {advice}",)
    return error.with_traceback(None)


def origin(url: str) -> str:
    """Return scheme, host and port of a URL: without a path, a query and credentials."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an invalid URL"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def describe(error: BaseException) -> str:
    """Return in a few words why no response was received."""
    reason = _reason(error)
    text = redact(" ".join(str(reason).split()))
    said_by_system = _SYSTEM_TEXT.search(text)
    if isinstance(reason, urllib3_exceptions.ProxyError):
        return f"the proxy failed: {said_by_system[1]}" if said_by_system else "the proxy failed"
    if "Failed to resolve" in text or "Name or service not known" in text:  # urllib3 2, and 1.26
        return "its name cannot be resolved"
    if isinstance(reason, urllib3_exceptions.NewConnectionError) and said_by_system:
        return said_by_system[1].lower()
    if isinstance(reason, urllib3_exceptions.ConnectTimeoutError):
        return "no connection within the time limit"
    if isinstance(reason, urllib3_exceptions.ReadTimeoutError):
        return "no answer within the time limit"
    certificate = _CERTIFICATE_TEXT.search(text)
    if certificate:
        return f"its certificate is not trusted: {certificate[1]}"
    if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text:
        return "it does not speak TLS, so its URL may begin with http:"
    if "RemoteDisconnected" in text or "ConnectionReset" in text:
        return "it closed the connection"
    return f"{type(reason).__name__}: {text}"


def _reason(error: BaseException) -> BaseException:
    """Return the error of the last attempt."""
    reason: Optional[BaseException] = getattr(error, "reason", None)
    return reason if isinstance(error, urllib3_exceptions.MaxRetryError) and reason is not None else error
