"""Proxies that the environment names. No outgoing request uses them: egress rules judge the addresses of stores."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed lacks it

import structlog

_NAMES = ("https_proxy", "http_proxy", "all_proxy")

log = structlog.get_logger(__name__)


def ignored_variables(host: str | None = None, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the variables that name a proxy which other programs would use.

    Args:
        host: for requests to this host; None is any host.
        environ: the environment.
    """
    excluded = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if excluded.strip() == "*" or (host and proxy_bypass_environment(host, {"no": excluded})):
        return []
    return [name for name in environ if name.lower() in _NAMES and environ[name].strip()]


def proxy_advice(host: str | None = None) -> str:
    """Return the sentence for an error text that a host cannot be reached; empty if no variable names a proxy."""
    names = ignored_variables(host)
    if not names:
        return ""
    return (
        f". This server connects directly and does not use the proxy in {', '.join(names)}: its operator must let it "
        f"reach the host without the proxy"
    )


def warn_about_proxies() -> None:
    """Log a warning if the environment names a proxy."""
    if names := ignored_variables():
        log.warning("proxy_ignored", variables=names)
