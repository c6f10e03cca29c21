"""All exceptions of this package.

    OpenApiException
    ├── ApiTypeError (TypeError)            a value has the wrong type; a member or parameter is missing or unknown
    ├── ApiValueError (ValueError)          a value has the right type but breaks a rule
    ├── ApiAttributeError (AttributeError)  a model has no such attribute, or it is not set
    ├── ApiKeyError (KeyError)
    └── ApiException                        the response has another status than 2xx
        ├── UnauthorizedException           401
        ├── ForbiddenException              403
        ├── NotFoundException               404
        └── ServiceException                5xx

If no response is received, urllib3's exception (such as `MaxRetryError`) is raised, without the token in its text.
"""

from __future__ import annotations

import json
import re
from typing import Any, Iterable, Mapping, Optional, Protocol

from swagger_client.redaction import redact

_HTML = re.compile(r"[\ufeff\s]*(?:<[?!]-{0,2}[^>]*>\s*)*<(?:!doctype\s+html|html|head)\b", re.IGNORECASE)
_MAX_BODY_CHARACTERS = 1000
"""How much of a body that is not an API error (such as a proxy's page) the text of an exception shows."""


class HttpResponse(Protocol):
    """What an `ApiException` reads from a response; `rest.RESTResponse` has it."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def reason(self) -> Optional[str]:
        """The HTTP reason phrase."""

    @property
    def data(self) -> Any:
        """The body, as bytes or text."""

    def getheaders(self) -> Mapping[str, str]:
        """Return the headers."""


class OpenApiException(Exception):
    """The base class of all exceptions of this package."""


class ApiTypeError(OpenApiException, TypeError):
    """A value has the wrong type, or a member or parameter is missing or unknown.

    Args:
        msg: what is wrong.
        path_to_item: the names and indices that lead to the value.
        valid_classes: the valid types.
        key_type: whether the value is the key of a dict.
    """

    def __init__(
        self,
        msg: str,
        path_to_item: Optional[Iterable[Any]] = None,
        valid_classes: Optional[tuple[Any, ...]] = None,
        key_type: Optional[bool] = None,
    ) -> None:
        self.path_to_item = path_to_item
        self.valid_classes = valid_classes
        self.key_type = key_type
        super().__init__(_located(msg, path_to_item))


class ApiValueError(OpenApiException, ValueError):
    """A value has the right type but breaks a rule."""

    def __init__(self, msg: str, path_to_item: Optional[Iterable[Any]] = None) -> None:
        self.path_to_item = path_to_item
        super().__init__(_located(msg, path_to_item))


class ApiAttributeError(OpenApiException, AttributeError):
    """A model has no such attribute, or it is not set."""

    def __init__(self, msg: str, path_to_item: Optional[Iterable[Any]] = None) -> None:
        self.path_to_item = path_to_item
        super().__init__(_located(msg, path_to_item))


class ApiKeyError(OpenApiException, KeyError):
    """A key does not exist."""

    def __init__(self, msg: str, path_to_item: Optional[Iterable[Any]] = None) -> None:
        self.path_to_item = path_to_item
        super().__init__(_located(msg, path_to_item))


class ApiException(OpenApiException):
    """The response has another status than 2xx.

    Attributes:
        status: the HTTP status; 0 if there was no response.
        reason: the HTTP reason phrase.
        body: the body as text.
        headers: the headers; their names are case-insensitive.
    """

    def __init__(
        self,
        status: Optional[int] = None,
        reason: Optional[str] = None,
        http_resp: Optional[HttpResponse] = None,
    ) -> None:
        super().__init__()
        self._text: Optional[str] = None
        self._advice: Optional[str] = None
        self.status = status
        self.reason = reason
        self.body: Optional[str] = None
        self.headers: Optional[Mapping[str, str]] = None
        if http_resp is not None:
            self.status = http_resp.status
            self.reason = http_resp.reason
            data = http_resp.data
            self.body = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
            self.headers = http_resp.getheaders()

    def advise(self, advice: str) -> None:
        """Add to the text of this error what to do."""
        self._advice = advice

    def hide(self, secrets: Iterable[str]) -> None:
        """Replace these secrets by `***` in the text of this error; `body` and `headers` keep them."""
        self._text = self._describe(secrets)

    @property
    def code(self) -> Optional[str]:
        """The code of the API error in the body, such as `DATASET_UNKNOWN`; None if the body is not an API error."""
        return self._member("code")

    @property
    def message(self) -> Optional[str]:
        """What was wrong and what to do, from the API error in the body; None if the body is not an API error."""
        return self._member("message") or self._member("error")

    @property
    def request_id(self) -> Optional[str]:
        """The id of the request, to find it in the server's log; None if the server sent none."""
        return self._member("requestId") or (self.headers or {}).get("X-Request-Id")

    def _member(self, name: str) -> Optional[str]:
        try:
            body = json.loads(self.body or "")
        except ValueError:
            return None
        value = body.get(name) if isinstance(body, dict) else None
        return value if isinstance(value, str) else None

    def __str__(self) -> str:
        return self._describe() if self._text is None else self._text

    def _describe(self, secrets: Iterable[str] = ()) -> str:
        lines = [f"({self.status})", f"Reason: {self.reason}"]
        if self.code is not None:
            lines.append(f"Error: {self.code}: {self.message}")
        elif _HTML.match(self.body or ""):
            lines.append("HTTP response body: an HTML page, as proxies send it; `body` of this exception has it")
        elif self.body:
            # Redact before the text is cut: the cut could leave a part of a secret.
            lines.append(f"HTTP response body: {redact(self.body, secrets)[:_MAX_BODY_CHARACTERS]}")
        if self._advice is not None:
            lines.append(f"Advice: {self._advice}")
        if self.request_id is not None:
            lines.append(f"Request id: {self.request_id}")
        return redact("\n".join(lines), secrets) + "\n"


class NotFoundException(ApiException):
    """404: the dataset, its datasource or the route does not exist."""


class UnauthorizedException(ApiException):
    """401: the credential is missing or invalid."""


class ForbiddenException(ApiException):
    """403: the credential is valid but has no access to this dataset."""


class ServiceException(ApiException):
    """5xx: the server failed, or a service that it depends on is down or busy."""


def render_path(path_to_item: Iterable[Any]) -> str:
    """Return a path of names and indices in readable form: `['data'][3]['fileName']`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f"['{part}']" for part in path_to_item)


def _located(msg: str, path_to_item: Optional[Iterable[Any]]) -> str:
    return f"{msg} at {render_path(path_to_item)}" if path_to_item else msg
