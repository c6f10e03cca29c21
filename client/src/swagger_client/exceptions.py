"""Every exception of this package, as one tree.

    OpenApiException
    ├── ApiTypeError (TypeError)            a value of the wrong type; a member or parameter that is missing or unknown
    ├── ApiValueError (ValueError)          a value of the right type that its rules refuse
    ├── ApiAttributeError (AttributeError)  a model has no such attribute, or it is not set
    ├── ApiKeyError (KeyError)
    └── ApiException                        the server answered with another status than 2xx
        ├── UnauthorizedException           401
        ├── ForbiddenException              403
        ├── NotFoundException               404
        └── ServiceException                5xx

An answer that never came is an exception of urllib3 (`MaxRetryError` and its relatives), without the token.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Iterable, Mapping, Optional

from swagger_client.redaction import redact

if TYPE_CHECKING:
    from swagger_client.rest import RESTResponse

_SHOWN_OF_A_BODY = 1000
"""Characters of a body that is not an error of the API (a proxy's page, say) that the text of an exception shows."""


class OpenApiException(Exception):
    """The base class of all exceptions of this package."""


class ApiTypeError(OpenApiException, TypeError):
    """A value of the wrong type, or a member or parameter that is missing or unknown.

    Args:
        msg: what was wrong.
        path_to_item: the names and indices that lead to the value.
        valid_classes: the types that would have been right.
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
    """A value of the right type that its rules refuse."""

    def __init__(self, msg: str, path_to_item: Optional[Iterable[Any]] = None) -> None:
        self.path_to_item = path_to_item
        super().__init__(_located(msg, path_to_item))


class ApiAttributeError(OpenApiException, AttributeError):
    """A model has no such attribute, or it is not set."""

    def __init__(self, msg: str, path_to_item: Optional[Iterable[Any]] = None) -> None:
        self.path_to_item = path_to_item
        super().__init__(_located(msg, path_to_item))


class ApiKeyError(OpenApiException, KeyError):
    """A key that is not there."""

    def __init__(self, msg: str, path_to_item: Optional[Iterable[Any]] = None) -> None:
        self.path_to_item = path_to_item
        super().__init__(_located(msg, path_to_item))


class ApiException(OpenApiException):
    """The server answered with another status than 2xx.

    Attributes:
        status: the HTTP status; 0 where there was none.
        reason: the HTTP reason phrase.
        body: the body as text.
        headers: the headers, found in any letter case.
    """

    def __init__(
        self,
        status: Optional[int] = None,
        reason: Optional[str] = None,
        http_resp: Optional[RESTResponse] = None,
    ) -> None:
        super().__init__()
        self._text: Optional[str] = None
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

    def hide(self, secrets: Iterable[str]) -> None:
        """Show `***` from now on where the text of this error has one of these; `body` and `headers` stay."""
        self._text = self._describe(secrets)

    @property
    def code(self) -> Optional[str]:
        """The code of the API's error body, such as `DATASET_UNKNOWN`; None where the body is not one."""
        return self._member("code")

    @property
    def message(self) -> Optional[str]:
        """What was wrong and what to do, in the words of the API's error body; None where the body is not one."""
        return self._member("message") or self._member("error")

    @property
    def request_id(self) -> Optional[str]:
        """What to name when asking the server's operator about this failure; None where the server said none."""
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
        elif self.body:
            # What is hidden is hidden before the cut, which could leave a part of it.
            lines.append(f"HTTP response body: {redact(self.body, secrets)[:_SHOWN_OF_A_BODY]}")
        if self.request_id is not None:
            lines.append(f"Request id: {self.request_id}")
        return redact("\n".join(lines), secrets) + "\n"


class NotFoundException(ApiException):
    """404: the dataset, its datasource or the route does not exist."""


class UnauthorizedException(ApiException):
    """401: no credential, or one that is not good."""


class ForbiddenException(ApiException):
    """403: a good credential without access to this dataset."""


class ServiceException(ApiException):
    """5xx: the server failed, or what it depends on is down or busy."""


def render_path(path_to_item: Iterable[Any]) -> str:
    """A path of names and indices as a person reads it: `['data'][3]['fileName']`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f"['{part}']" for part in path_to_item)


def _located(msg: str, path_to_item: Optional[Iterable[Any]]) -> str:
    return f"{msg} at {render_path(path_to_item)}" if path_to_item else msg
