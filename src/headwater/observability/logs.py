"""Logs: one line per event on stderr, as JSON or, at a terminal, readable. Secrets are redacted.

The event is a short, stable snake_case name such as `request_failed`; details are fields:

    log.warning("file_read_failed", reason=error.message)
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from headwater.domain.text import visible

_SECRET_PARAMETERS = re.compile(
    r"(?i)\b(token|publictoken|signature|x-amz-signature|x-amz-security-token|x-amz-credential|sig|x-goog-signature|"
    r"x-goog-credential|cursor)=[^&\s\"'<>]+"
)
_CREDENTIAL = r"[A-Za-z0-9._~+/:-]"
# After a scheme in a header, any credential; elsewhere what looks like one, so that "a bearer token" stays readable.
_HEADER = re.compile(rf"(?i)(authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|sharedkey)\s+){_CREDENTIAL}+=*")
_LIKE_A_CREDENTIAL = r"(?=[a-z._~+/:-]*[A-Z0-9]|[a-z._~+/:-]{20})"
_BEARER = re.compile(rf"\b([Bb]earer|BEARER)(\s+|%20|\+){_LIKE_A_CREDENTIAL}{_CREDENTIAL}{{8,}}=*")
_API_TOKEN = re.compile(r"\bhw_[A-Za-z0-9_-]{8,}")


MAX_CHARACTERS = 1000
"""The longest value of a field. Clients decide what some fields contain, and a path can have 60,000 characters."""

MAX_TRACEBACK_CHARACTERS = 20_000
"""The longest traceback."""


def redact(text: str) -> str:
    """Replace tokens and signatures in a text, such as a traceback of a library."""
    text = _SECRET_PARAMETERS.sub(r"\1=[redacted]", text)
    text = _HEADER.sub(r"\1[redacted]", text)
    return _API_TOKEN.sub("[redacted]", _BEARER.sub(r"\1\2[redacted]", text))


def _redact_event(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {name: _printable(name, value) if isinstance(value, str) else value for name, value in event.items()}


def _printable(name: str, value: str) -> str:
    """Return a value without secrets and terminal control characters, and not too long. A traceback keeps its lines."""
    if name == "exception":
        return "\n".join(visible(line) for line in _shortened(redact(value), MAX_TRACEBACK_CHARACTERS).split("\n"))
    return visible(_shortened(redact(value), MAX_CHARACTERS))


def _shortened(text: str, most: int) -> str:
    """Return a text, or its beginning and end and how much is missing in between."""
    left_out = len(text) - most
    return text if left_out <= 0 else f"{text[: most // 2]}[{left_out} characters]{text[-(most // 2) :]}"


def log_to_stderr(level: str = "WARNING") -> None:
    """Set up logging for this process, for Headwater and for libraries.

    Args:
        level: the minimum severity.
    """
    terminal = sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact_event,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    render: Any = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpcore", "asyncio", "sqlalchemy", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
