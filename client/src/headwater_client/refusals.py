"""Tell what a store's refusal of a read URL means: what the store says, and whether a fresh URL can help."""

from __future__ import annotations

import html
import json
import re
import time
from datetime import datetime, timedelta, timezone
from typing import Any, Mapping, NamedTuple, Optional
from urllib.parse import parse_qsl, urlsplit

import urllib3
from urllib3 import exceptions as urllib3_exceptions

from headwater_client.times import server_seconds
from swagger_client.redaction import redact, spellings

REFUSED_STATUSES = frozenset((400, 401, 403, 409))
"""HTTP statuses of a refusal. Azure answers 409 for archived blobs."""

MAX_RENEWALS = 2
"""How many fresh URLs one file may use: the first can be a cached one that has expired too."""

MAX_BODY_BYTES = 64 * 1024
"""How much of the body of a refusal is read."""

MAX_MESSAGE_CHARACTERS = 300
"""How much of the store's text error texts show."""

_EXPIRED = frozenset(("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "RequestExpired"))
"""Codes of S3, GCS and similar stores for a session or URL that has ended."""

_ARCHIVED_OR_ENCRYPTED = re.compile(
    "InvalidObjectState|BlobArchived|BlobBeingRehydrated"
    "|BlobUsesCustomerSpecifiedEncryption|ResourceIsEncryptedWithCustomerEncryptionKey"
)
"""Codes of refusals that concern the file, and that a fresh URL does not change."""

_UNREADABLE = re.compile(
    r"KMS\..*|KMS[A-Z].*|DATASET_DATASOURCE_CREDENTIALS_ERROR"  # this server may not read a file of its disk
)
"""Codes of refusals that no fresh URL changes, and that concern the file, or the permission to read any file."""

_DENIED = re.compile("AccessDenied|PERMISSION_DENIED")
"""Codes of a policy, or a key that the datasource may not use: they concern the file, the permission to read any file,
or the former credentials with which the URL is signed."""

_SSE_C_TEXT = re.compile(r"server.side encryption", re.IGNORECASE)
"""Tells the `InvalidRequest` of an object with SSE-C from those that concern any request."""

_EXPIRED_TEXT = re.compile(r"\bexpired\b|not valid in the specified time frame", re.IGNORECASE)
_ELEMENT = re.compile(r"<(Code|Message|Details|AuthenticationErrorDetail)>([^<]*)</")


class Refusal(NamedTuple):
    """A store's refusal of a read URL.

    Attributes:
        status: the HTTP status.
        code: the store's error code, such as `InvalidObjectState`; None if the response has none.
        message: the store's text, shortened and without secrets; None if the response has none.
        max_renewals: how many fresh URLs to try; 0 if none can help.
        expired: whether the URL has expired.
        of_file: whether the refusal concerns the file, if the store refuses a fresh URL, too.
    """

    status: int
    code: Optional[str]
    message: Optional[str]
    max_renewals: int
    expired: bool = False
    of_file: bool = False

    def __str__(self) -> str:
        return ": ".join(filter(None, (" ".join(filter(None, (str(self.status), self.code))), self.message)))


def read_refusal(response: urllib3.BaseHTTPResponse, url: str) -> Refusal:
    """Return what a response with one of `REFUSED_STATUSES` means.

    Args:
        response: its body is unread.
        url: the URL that was refused, after redirects.
    """
    try:
        body = response.read(MAX_BODY_BYTES, decode_content=False).decode("utf-8", "replace")
    except (urllib3_exceptions.HTTPError, OSError):
        body = ""
    parts = _from_json(body) if body.lstrip("\ufeff \r\n").startswith("{") else dict(_ELEMENT.findall(body))
    code = _shown(parts.get("Code") or response.headers.get("x-ms-error-code"), url)
    message = _shown(parts.get("Message"), url)
    said = " ".join((message or "", parts.get("Details") or "", parts.get("AuthenticationErrorDetail") or ""))
    if code in _EXPIRED or _EXPIRED_TEXT.search(said) or _has_expired(url, response.headers):
        return Refusal(response.status, code, message, MAX_RENEWALS, expired=True)
    if code is not None and not urlsplit(url).path.endswith("/readurlRedirect"):
        sse_c = code in ("InvalidRequest", "InvalidArgument") and _SSE_C_TEXT.search(said)
        if sse_c or _ARCHIVED_OR_ENCRYPTED.fullmatch(code) or _UNREADABLE.fullmatch(code):
            return Refusal(response.status, code, message, 0, of_file=True)
        if _DENIED.fullmatch(code):
            return Refusal(response.status, code, message, MAX_RENEWALS, of_file=True)
    return Refusal(response.status, code, message, 1)  # it may be signed with former credentials


def may_concern_all_files(code: Optional[str]) -> bool:
    """Return whether a store that refuses a file with this code may refuse every file, for want of a permission."""
    return code is not None and bool(_DENIED.fullmatch(code) or _UNREADABLE.fullmatch(code))


def _from_json(body: str) -> Mapping[str, Optional[str]]:
    """Return the code and message of an error of this server, or of Google's JSON API."""
    try:
        error: Any = json.loads(body.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return {}
    if isinstance(error.get("error"), dict):
        error = error["error"]
    code, message = error.get("status", error.get("code")), error.get("message")
    return {
        "Code": code if isinstance(code, str) else None,
        "Message": message if isinstance(message, str) else None,
    }


def _shown(text: Optional[str], url: str) -> Optional[str]:
    """Return a text of a store in one line: shortened, and without the values in the query of the URL."""
    text = (text or "").strip()
    if not text:
        return None
    secrets = spellings(*(value for _, value in parse_qsl(urlsplit(url).query)))
    text = redact(html.unescape(text), secrets)  # before the text is cut: the cut could leave a part of a secret
    text = text.splitlines()[0]  # Azure adds lines with the request's id and time
    text = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    return text if len(text) <= MAX_MESSAGE_CHARACTERS else f"{text[:MAX_MESSAGE_CHARACTERS]}…"


def _has_expired(url: str, headers: Mapping[str, str]) -> bool:
    """Return whether a signed URL says that it has expired, by the clock of the store that refused it."""
    query = {name.lower(): value for name, value in parse_qsl(urlsplit(url).query)}
    seconds = server_seconds(headers)
    now = time.time() if seconds is None else seconds
    try:
        for date, life in (("x-amz-date", "x-amz-expires"), ("x-goog-date", "x-goog-expires")):
            if date in query:
                begin = datetime.strptime(query[date], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
                return (begin + timedelta(seconds=int(query[life]))).timestamp() <= now
        if "expires" in query:
            return int(query["expires"]) <= now
        if "se" in query:  # Azure; Python before 3.11 does not read a `Z`
            end = datetime.fromisoformat(query["se"].replace("Z", "+00:00"))
            return (end if end.tzinfo else end.replace(tzinfo=timezone.utc)).timestamp() <= now
    except (KeyError, ValueError, OverflowError):
        pass
    return False
