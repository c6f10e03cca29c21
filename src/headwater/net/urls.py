"""URLs of outgoing requests: origins, endpoints that people configure, and percent-encoding."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from headwater.domain.errors import LocationInvalidError
from headwater.domain.pasted import pasted_address

_DEFAULT_PORTS = {"http": 80, "https": 443}
_is_host_name = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?").fullmatch
_is_ipv6_address = re.compile(r"[0-9a-f:.]*:[0-9a-f:.]*").fullmatch
_needs_no_encoding = re.compile(r"[A-Za-z0-9_.~/-]*").fullmatch


class Origin(NamedTuple):
    """Where a connection goes. `host` is lower-case ASCII; an IPv6 address has no brackets."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The `Host` header. It omits the scheme's default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if _DEFAULT_PORTS[self.scheme] == self.port else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse_endpoint(url: str, member: str) -> tuple[Origin, str]:
    """Split an endpoint URL into its origin and its path, percent-encoded, without a slash at the end.

    Args:
        url: such as `https://storage.example.com:9000/base`.
        member: the config member or setting that holds the URL, for the error text.

    Raises:
        LocationInvalidError: the URL cannot be an endpoint; the text names the member.
    """
    host = ""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if ":" not in host:
            host = host.encode("idna").decode("ascii").lower()
        port = _DEFAULT_PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
    except (ValueError, UnicodeError):
        port = 0
    # urlsplit removes line breaks and tabs silently.
    if not port or re.search(r"[\x00-\x20\x7f]", url) or not (_is_host_name(host) or _is_ipv6_address(host)):
        raise LocationInvalidError(
            f"{member}: expected a URL such as https://storage.example.com, with a host name or address"
        )
    if (page := pasted_address(host)) is not None:
        raise LocationInvalidError(
            f"{member}: this is {page.what}; expected the URL at which the storage itself answers"
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise LocationInvalidError(f"{member}: expected a URL without a user, query or fragment")
    return Origin(parts.scheme, host, port), quote(parts.path.rstrip("/"), safe="/%~")


def is_http_url(url: str) -> bool:
    """Return whether this is an absolute http or https URL without user name and fragment."""
    if not re.fullmatch(r"https?://[!-~]+", url, re.IGNORECASE) or "#" in url:
        return False
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:  # an invalid port or IPv6 address
        return False


def split_http_url(url: str) -> tuple[Origin, str]:
    """Split a URL that `is_http_url` accepts into its origin and its target (path and query, unchanged)."""
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return Origin(parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]), target


def encode_path(path: str) -> str:
    """Percent-encode a key or path as UTF-8: everything except letters, digits and `-_.~/`."""
    return path if _needs_no_encoding(path) else quote(path, safe="/~")


def encode_value(text: str) -> str:
    """Percent-encode a path segment, or a name or value of a query string: also `/`."""
    return quote(text, safe="-_.~")


def encode_query(query: Mapping[str, str]) -> str:
    """Return a query string in canonical order and encoding, so that it can be sent as it is signed."""
    pairs = sorted((encode_value(name), encode_value(value)) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)
