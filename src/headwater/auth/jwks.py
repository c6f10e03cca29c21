"""The public keys of a JWT issuer: fetched in the background, and cached.

Sources of the rules: JWK, RFC 7517 and RFC 7518 section 6; Ed25519 keys, RFC 8037; the address of the keys, OpenID
Connect Discovery 1.0 sections 4.1 and 4.3; when to fetch again, OpenID Connect Core 1.0 section 10.1.1.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from jwt import PyJWK, PyJWTError

from headwater.domain.errors import IssuerUnavailableError, StoreError
from headwater.net.tasks import TaskStarter
from headwater.net.transport import Request, Transport
from headwater.net.urls import is_http_url, split_http_url

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 600.0
"""The age at which keys are fetched again, in the background."""

UNKNOWN_KEY_PAUSE_SECONDS = 30.0
"""The pause between two fetches that unknown keys cause. A flood of random key ids costs the issuer no more."""

RETRY_PAUSE_SECONDS = 5.0
"""The pause after a failed fetch; `IssuerUnavailableError.retry_after` tells callers the same."""

FETCH_TIMEOUT_SECONDS = 5.0
"""The time limit for one document, from connecting to its last byte."""

MAX_DOCUMENT_BYTES = 512 * 1024

MIN_RSA_BITS = 2048
"""RFC 7518, section 3.3."""

# Only the members of a public key are passed on, so that this server never holds a private key that an issuer
# publishes by mistake.
_PUBLIC_MEMBERS = ("kty", "crv", "n", "e", "x", "y")


@dataclass(frozen=True, slots=True)
class Key:
    """A public key for exactly one algorithm."""

    kid: str | None
    algorithm: str
    jwk: PyJWK


Keys = tuple[Key, ...]


class IssuerError(Exception):
    """The issuer's response is not what a JWT issuer sends; the text says why."""


def usable_keys(document: dict[str, Any]) -> Keys:
    """Return the keys of a JWK set that sign with RS256, ES256 or EdDSA (Ed25519).

    Keys of another type, use or algorithm are left out, as RFC 7517 section 5 requires, and so are invalid keys.

    Raises:
        IssuerError: the document is not a JWK set.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise IssuerError("the document is no JWK set: it has no list 'keys'")
    return tuple(key for entry in entries if isinstance(entry, dict) and (key := _usable_key(entry)) is not None)


def _usable_key(entry: dict[str, Any]) -> Key | None:
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
    if algorithm == "RS256" and jwk.key.key_size < MIN_RSA_BITS:
        log.warning("jwks_key_unusable", kid=kid, reason=f"RSA key of less than {MIN_RSA_BITS} bits")
        return None
    return Key(kid, algorithm, jwk)


class Jwks:
    """The keys of one issuer, fetched when they are first needed.

    At most one fetch is in flight, and all callers wait for the same one. Old keys stay in use while new ones are
    fetched, and as long as fetches fail.

    Args:
        issuer: the issuer's name. Without `url`, its discovery document is at a URL under this one.
        url: the URL of the JWK set; None to find it through the discovery document.
        transport: sends the requests; the caller closes it.
        start: starts fetches.
        monotonic: a clock in seconds that never goes back.
    """

    def __init__(
        self,
        issuer: str,
        url: str | None,
        transport: Transport,
        start: TaskStarter,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._url = url
        self._transport = transport
        self._start = start
        self._monotonic = monotonic
        self._keys: Keys | None = None
        self._fetch: asyncio.Task[None] | None = None
        self._failed = False
        self._refresh_at = self._retry_at = self._unknown_key_fetch_at = -math.inf

    async def keys(self) -> Keys:
        """Return the current keys. Waits only for the first fetch.

        Raises:
            IssuerUnavailableError: there are no keys yet, and they cannot be fetched now.
        """
        if self._keys is None:
            await self._wait_for_fetch()
        elif self._monotonic() >= self._refresh_at:
            self._start_fetch()
        return self._current_keys()

    async def newer(self, than: Keys) -> Keys | None:
        """Return keys that were fetched later than `than`, or None if the last fetch was a moment ago.

        Raises:
            IssuerUnavailableError: the keys cannot be fetched now.
        """
        if self._keys is than and (self._failed or self._fetch or self._monotonic() >= self._unknown_key_fetch_at):
            self._unknown_key_fetch_at = self._monotonic() + UNKNOWN_KEY_PAUSE_SECONDS
            await self._wait_for_fetch()
        if self._keys is not than:
            return self._current_keys()
        if self._failed:
            raise _unavailable()
        return None

    def _current_keys(self) -> Keys:
        if self._keys is None:
            raise _unavailable()
        return self._keys

    async def _wait_for_fetch(self) -> None:
        self._start_fetch()
        if self._fetch is not None:
            # Not `await self._fetch`: a request that is cancelled must not cancel the fetch for the others.
            await asyncio.wait({self._fetch})

    def _start_fetch(self) -> None:
        if self._fetch is None and self._monotonic() >= self._retry_at:
            self._fetch = self._start("fetch_jwks", self._fetch_keys())
            self._fetch.add_done_callback(self._forget_fetch)

    def _forget_fetch(self, fetch: asyncio.Task[None]) -> None:
        self._fetch = None

    async def _fetch_keys(self) -> None:
        url = self._url
        try:
            url = url or await self._discover()
            keys = usable_keys(await self._fetch_document(url))
        except Exception as error:  # Whatever it is, the waiting callers need a result, and the operator a log line.
            self._failed = True
            self._retry_at = self._monotonic() + RETRY_PAUSE_SECONDS
            log.warning("jwks_fetch_failed", issuer=self._issuer, url=url, reason=_reason(error))
            return
        self._keys, self._failed = keys, False
        self._refresh_at = self._monotonic() + REFRESH_SECONDS
        if not keys:
            log.warning("jwks_without_usable_key", issuer=self._issuer, url=url, usable="RS256, ES256, EdDSA")

    async def _discover(self) -> str:
        # "If the Issuer value contains a path component, any terminating / MUST be removed before appending
        # /.well-known/openid-configuration." (Discovery, section 4.1)
        issuer = self._issuer.removesuffix("/")
        document = await self._fetch_document(f"{issuer}/.well-known/openid-configuration")
        # Section 4.3 requires the same issuer. A difference in the slash at the end is accepted, because issuers
        # differ in it and both forms lead to this document; the `iss` of a token is still compared exactly.
        named = document.get("issuer")
        if not isinstance(named, str) or named.removesuffix("/") != issuer:
            raise IssuerError("the discovery document is another issuer's: its member 'issuer' differs")
        url = document.get("jwks_uri")
        if not isinstance(url, str) or not is_http_url(url):
            raise IssuerError("the discovery document has no http(s) URL as 'jwks_uri'")
        if _is_https(issuer) and not _is_https(url):
            raise IssuerError("the discovery document of an https issuer names a 'jwks_uri' without https")
        return url

    async def _fetch_document(self, url: str) -> dict[str, Any]:
        """Fetch a JSON object, in one attempt and without following redirects."""
        origin, target = split_http_url(url)
        request = Request(
            method="GET",
            origin=origin,
            target=target,
            headers={"accept": "application/json", "user-agent": "headwater"},
            # The operator configured the URL, or the issuer that the operator trusts names it.
            is_operator_endpoint=True,
            max_body_bytes=MAX_DOCUMENT_BYTES,
            is_idempotent=False,
            provider="jwt_issuer",
        )
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
                response = await self._transport.request(request)
        except TimeoutError:
            raise IssuerError(f"{url} did not answer within {FETCH_TIMEOUT_SECONDS:g} seconds") from None
        except StoreError as error:
            raise IssuerError(f"{url}: {error.message}") from None
        if response.status != 200:
            raise IssuerError(f"{url} answered with status {response.status}, expected 200")
        try:
            document = json.loads(response.body)
        except (ValueError, RecursionError):
            raise IssuerError(f"{url} answered with something that is no JSON") from None
        if not isinstance(document, dict):
            raise IssuerError(f"{url} answered with JSON that is no object")
        return document


def _is_https(url: str) -> bool:
    return url[:6].lower() == "https:"


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, IssuerError) else f"{type(error).__name__}: {error}"


def _unavailable() -> IssuerUnavailableError:
    return IssuerUnavailableError(
        "the JWT cannot be checked now: the public keys of its issuer cannot be fetched; try again in a moment"
    )
