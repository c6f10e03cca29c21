"""Remove secrets from texts.

Tokens and signatures are part of the query of a URL, and error texts and log lines contain URLs.
"""

from __future__ import annotations

import logging
import re
from typing import Iterable, Optional
from urllib.parse import quote, quote_plus

_END = r"[^&\s\"'<>\\)]+"
# A text that describes a request has an ellipsis here, which stays readable.
_PARAMETER = re.compile(rf"((?:token|signature|credential|awsaccesskeyid|\bsig)=)(?!…|\.\.\.){_END}", re.IGNORECASE)
# After a scheme in a header, any credential; elsewhere what looks like one, so that "a bearer token" stays readable.
_HEADER = re.compile(rf"(authorization[\"']*\s*[:=,]\s*[\"']?bearer\s+)(?!…|\.\.\.){_END}", re.IGNORECASE)
_LIKE_A_CREDENTIAL = r"(?=[a-z._~+/:-]*[A-Z0-9]|[a-z._~+/:-]{20})"
_BEARER = re.compile(rf"(\b(?:[Bb]earer|BEARER)(?:\s+|%20|\+)){_LIKE_A_CREDENTIAL}[A-Za-z0-9._~+/:-]{{8}}(?:{_END})?")
_API_TOKEN = re.compile(r"()\bhw_[A-Za-z0-9_-]{8,}")
_URL_LOGGERS = ("urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager", "urllib3.util.retry")

_MIN_SECRET_LENGTH = 6
"""The shortest secret that is searched for: a shorter one could be part of any word."""


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text with `***` for each of the secrets, and for tokens and signatures in URLs and headers."""
    for secret in sorted(secrets, key=len, reverse=True):  # one may be a prefix of another
        text = text.replace(secret, "***")
    for pattern in (_PARAMETER, _HEADER, _BEARER, _API_TOKEN):
        text = pattern.sub(r"\1***", text)
    return text


def spellings(*secrets: Optional[str]) -> set[str]:
    """Return the secrets, unchanged and in the forms that a URL can have them, for `redact`."""
    known = [secret for secret in secrets if secret and len(secret) >= _MIN_SECRET_LENGTH]
    return {form for secret in known for form in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret))}


def redact_error(error: Optional[BaseException]) -> None:
    """Remove the tokens from an error and from the errors that caused it, in place."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        current.args = tuple(redact(arg) if isinstance(arg, str) else arg for arg in current.args)
        for name, value in list(vars(current).items()):
            if isinstance(value, str):
                setattr(current, name, redact(value))
            elif isinstance(value, BaseException):
                waiting.append(value)
        waiting += (current.__cause__, current.__context__)


class _TokenFilter(logging.Filter):
    """Redacts the URLs of requests, retries (logged as warnings) and redirects that urllib3 logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(redact(arg) if isinstance(arg, str) else arg for arg in record.args)
        return True


def redact_logs() -> None:
    """Redact what urllib3 logs, even if another program part enabled its loggers. Idempotent."""
    for name in _URL_LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(present, _TokenFilter) for present in logger.filters):
            logger.addFilter(_TokenFilter())
