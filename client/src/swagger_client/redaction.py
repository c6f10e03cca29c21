"""Tokens and signatures travel in the query of a URL, and URLs stand in error texts and log lines. Here they are taken
out."""

from __future__ import annotations

import logging
import re
from typing import Iterable, Optional
from urllib.parse import quote, quote_plus

_SECRET = re.compile(r"((?:token|signature|credential|awsaccesskeyid|\bsig)=|bearer\s+)[^&\s\"'<>\\)]+", re.IGNORECASE)
_URL_LOGGERS = ("urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager", "urllib3.util.retry")


_SHORTEST = 6
"""Characters of a secret that is looked for by itself: a shorter one could be part of any word."""


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with every token and signature in a query or `Authorization` header, and these secrets, as `***`."""
    for secret in sorted(secrets, key=len, reverse=True):  # one may be the beginning of another
        text = text.replace(secret, "***")
    return _SECRET.sub(r"\1***", text)


def spellings(*secrets: Optional[str]) -> set[str]:
    """The secrets as they are and as a URL has them, for `redact`."""
    known = [secret for secret in secrets if secret and len(secret) >= _SHORTEST]
    return {form for secret in known for form in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret))}


def redact_error(error: Optional[BaseException]) -> None:
    """Take the tokens out of an error, in place, and out of the errors that led to it. Its class stays."""
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
    """urllib3 logs the URLs of requests, retries (as warnings) and redirects."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(redact(arg) if isinstance(arg, str) else arg for arg in record.args)
        return True


def redact_logs() -> None:
    """Keep tokens out of what urllib3 logs, whoever has turned its loggers on. Doing it twice is doing it once."""
    for name in _URL_LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(present, _TokenFilter) for present in logger.filters):
            logger.addFilter(_TokenFilter())
