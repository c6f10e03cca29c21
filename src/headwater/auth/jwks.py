"""The public keys of a JWT issuer: fetched without blocking anyone, and kept.

Sources of the rules: JWK, RFC 7517 and 7518 section 6; Ed25519 keys, RFC 8037; where the keys are, OpenID Connect
Discovery 1.0 sections 4.1 and 4.3; when to ask again, OpenID Connect Core 1.0 section 10.1.1.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from jwt import PyJWK, PyJWTError

from headwater.domain.errors import IssuerUnavailableError

log = structlog.get_logger(__name__)

FRESH = 600.0
"""Seconds after which keys are fetched again, in the background."""

COOL_DOWN = 30.0
"""Seconds between two fetches that unknown keys cause: all that a flood of random key ids can cost the issuer."""

RETRY = 5.0
"""Seconds between a fetch that failed and the next; `IssuerUnavailableError.retry_after` tells callers the same."""

TIMEOUT = 5.0
"""Seconds that one document may take, from connecting to its last byte."""

MOST_BYTES = 512 * 1024
"""The largest document that is read."""

_SMALLEST_RSA = 2048  # RFC 7518, section 3.3

# What a public key is made of. Only these members are handed on, so that an issuer that publishes a private key
# by mistake does not make us hold one.
_PUBLIC_MEMBERS = ("kty", "crv", "n", "e", "x", "y")


_HEADERS: list[tuple[bytes | str, bytes | str]] = [
    ("Accept", "application/json"),
    ("Accept-Encoding", "identity"),
    ("User-Agent", "headwater"),
]


@dataclass(frozen=True, slots=True)
class Key:
    """One public key, good for exactly one algorithm."""

    kid: str | None
    algorithm: str
    jwk: PyJWK


Keys = tuple[Key, ...]


class IssuerError(Exception):
    """What the issuer answered is not what a JWT issuer answers; the text says how."""


def usable_keys(document: dict[str, Any]) -> Keys:
    """Read a JWK set and keep the keys that sign with RS256, ES256 or EdDSA (Ed25519).

    A key of another type, use or algorithm is left out, as RFC 7517 section 5 asks, and so is one that is broken.

    Raises:
        IssuerError: this is no JWK set.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise IssuerError("the document is no JWK set: it has no list 'keys'")
    return tuple(key for entry in entries if isinstance(entry, dict) and (key := _key(entry)) is not None)


def _key(entry: dict[str, Any]) -> Key | None:
    match entry.get("kty"), entry.get("crv"):
        case "RSA", _:
            algorithm = "RS256"
        case "EC", "P-256":
            algorithm = "ES256"
        case "OKP", "Ed25519":
            algorithm = "EdDSA"
        case _:
            return None
    kid, operations = entry.get("kid"), entry.get("key_ops")
    if entry.get("alg") not in (None, algorithm) or entry.get("use") not in (None, "sig"):
        return None
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return None
    if not isinstance(kid, str | None):
        return None
    try:
        jwk = PyJWK({name: entry[name] for name in _PUBLIC_MEMBERS if name in entry}, algorithm)
    except (PyJWTError, UnsupportedAlgorithm) as error:
        log.warning("jwks_key_unusable", kid=kid, reason=str(error))
        return None
    if algorithm == "RS256" and jwk.key.key_size < _SMALLEST_RSA:
        log.warning("jwks_key_unusable", kid=kid, reason=f"RSA key of less than {_SMALLEST_RSA} bits")
        return None
    return Key(kid, algorithm, jwk)


class Jwks:
    """An issuer's keys, fetched when first needed.

    At most one fetch is under way, and whoever needs it waits for the same one. Old keys stay in use while newer
    ones are fetched, and for as long as the issuer fails.

    Args:
        issuer: the issuer's name; without `url`, the URL that its discovery document lies under.
        url: where the JWK set is; None to find it through the discovery document.
        monotonic: a clock in seconds that never goes back.
    """

    def __init__(self, issuer: str, url: str | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._url = url
        self._monotonic = monotonic
        self._keys: Keys | None = None
        self._fetch: asyncio.Task[None] | None = None
        self._failed = False
        self._stale_at = self._retry_at = self._newer_at = -math.inf

    async def keys(self) -> Keys:
        """Return the keys at hand, waiting only where there are none yet.

        Raises:
            IssuerUnavailableError: there are none, and they cannot be fetched now.
        """
        if self._keys is None:
            await self._fetched()
        elif self._monotonic() >= self._stale_at:
            self._start_fetch()
        return self._at_hand()

    async def newer(self, than: Keys) -> Keys | None:
        """Return keys fetched later than these, or None where the issuer was asked a moment ago.

        Raises:
            IssuerUnavailableError: the issuer cannot be asked now.
        """
        if self._keys is than and (self._failed or self._fetch or self._monotonic() >= self._newer_at):
            self._newer_at = self._monotonic() + COOL_DOWN
            await self._fetched()
        if self._keys is not than:
            return self._at_hand()
        if self._failed:
            raise _unavailable()
        return None

    async def aclose(self) -> None:
        """Stop a fetch that is under way and close its connection."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait({self._fetch})

    def _at_hand(self) -> Keys:
        if self._keys is None:
            raise _unavailable()
        return self._keys

    async def _fetched(self) -> None:
        self._start_fetch()
        if self._fetch is not None:
            # Not `await self._fetch`: a request that is cancelled must not cancel what others wait for.
            await asyncio.wait({self._fetch})

    def _start_fetch(self) -> None:
        if self._fetch is None and self._monotonic() >= self._retry_at:
            self._fetch = asyncio.create_task(self._run_fetch())
            self._fetch.add_done_callback(self._forget_fetch)

    def _forget_fetch(self, fetch: asyncio.Task[None]) -> None:
        self._fetch = None

    async def _run_fetch(self) -> None:
        url = self._url
        try:
            url = url or await self._discovered()
            keys = usable_keys(await _document(url))
        except Exception as error:  # Whatever it was, those who wait need an answer, and the operator a line.
            self._failed = True
            self._retry_at = self._monotonic() + RETRY
            log.warning("jwks_fetch_failed", issuer=self._issuer, url=url, reason=_reason(error))
            return
        self._keys, self._failed = keys, False
        self._stale_at = self._monotonic() + FRESH
        if not keys:
            log.warning("jwks_without_usable_key", issuer=self._issuer, url=url, usable="RS256, ES256, EdDSA")

    async def _discovered(self) -> str:
        # "If the Issuer value contains a path component, any terminating / MUST be removed before appending
        # /.well-known/openid-configuration." (Discovery, section 4.1)
        issuer = self._issuer.removesuffix("/")
        document = await _document(f"{issuer}/.well-known/openid-configuration")
        # Section 4.3 asks for the very same issuer. A slash at the end is forgiven here, since issuers differ in
        # it and both forms lead to this same document; the `iss` of a token is still compared exactly.
        named = document.get("issuer")
        if not isinstance(named, str) or named.removesuffix("/") != issuer:
            raise IssuerError("the discovery document is another issuer's: its member 'issuer' differs")
        url = document.get("jwks_uri")
        if not isinstance(url, str) or not is_http_url(url):
            raise IssuerError("the discovery document has no http(s) URL as 'jwks_uri'")
        if _is_https(issuer) and not _is_https(url):
            raise IssuerError("the discovery document of an https issuer names a 'jwks_uri' without https")
        return url


def is_http_url(url: str) -> bool:
    """Whether this is an absolute http or https URL to fetch as it stands: no user name, no fragment."""
    if not re.fullmatch(r"https?://[!-~]+", url, re.IGNORECASE) or "#" in url:
        return False
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:  # A port or an IPv6 address that is none.
        return False


def _is_https(url: str) -> bool:
    return url[:6].lower() == "https:"


async def _document(url: str) -> dict[str, Any]:
    """Fetch one JSON object. Redirects are not followed: the URL is the operator's, or the issuer's own word."""
    body = bytearray()
    try:
        async with asyncio.timeout(TIMEOUT):
            # In a thread, because reading the certificates of all authorities takes tens of milliseconds. Neither
            # they nor a connection are kept: minutes lie between two fetches.
            context = await asyncio.to_thread(ssl.create_default_context) if _is_https(url) else None
            async with (
                httpcore.AsyncConnectionPool(ssl_context=context) as pool,
                pool.stream("GET", url, headers=_HEADERS) as response,
            ):
                if response.status != 200:
                    raise IssuerError(f"{url} answered with status {response.status}, expected 200")
                async for chunk in response.aiter_stream():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise IssuerError(f"{url} answered with more than {MOST_BYTES} bytes")
    except TimeoutError:
        raise IssuerError(f"{url} did not answer within {TIMEOUT:g} seconds") from None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise IssuerError(f"{url} answered with something that is no JSON") from None
    if not isinstance(document, dict):
        raise IssuerError(f"{url} answered with JSON that is no object")
    return document


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, IssuerError) else f"{type(error).__name__}: {error}"


def _unavailable() -> IssuerUnavailableError:
    return IssuerUnavailableError(
        "the JWT cannot be checked now: the public keys of its issuer cannot be fetched; try again in a moment"
    )
