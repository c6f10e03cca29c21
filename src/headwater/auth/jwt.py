"""JWTs of one issuer, checked against its public keys (contract.md#authentication).

Only RS256, ES256 and EdDSA are accepted, never a shared secret and never `none`. The key decides the algorithm, and the
header of a token must name the same one (RFC 8725, sections 3.1 and 3.2).
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import structlog
from jwt import DecodeError, InvalidSignatureError, PyJWS, PyJWTError

from headwater.auth.jwks import Jwks, Key, Keys
from headwater.domain.errors import JwtInvalidError, JwtMalformedError, StartupError
from headwater.domain.users import is_jwt_user_name, is_printable_name, jwt_user_name
from headwater.net.tasks import TaskStarter
from headwater.net.transport import Transport
from headwater.net.urls import is_http_url

ALGORITHMS = ("RS256", "ES256", "EdDSA")

LEEWAY_SECONDS = 5.0
"""How far the issuer's clock may be ahead of this server's, so that a new token works at once."""

MAX_JWT_LENGTH = 16 * 1024

MAX_GROUPS = 1000
"""How many groups a JWT may name. Entra ID names at most 200."""

log = structlog.get_logger(__name__)

# At most 255 characters: OpenID Connect Core 1.0, section 2. JSON can contain control characters and lone surrogates,
# which the catalog cannot store and a log line cannot show.
_SUBJECT = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}")

_JWS = PyJWS(algorithms=ALGORITHMS)


class JwtIdentity(NamedTuple):
    """Whom a JWT identifies: the name of the user, and its groups."""

    user: str
    groups: frozenset[str]


class JwtVerifier:
    """Checks the JWTs of one issuer.

    Args:
        issuer: the exact value of the claim `iss`.
        audience: what the claim `aud` must be or contain.
        jwks: the public keys of the issuer.
        groups_claim: the name of the claim that lists the groups of the user; None for no groups.
        now: returns Unix seconds.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        jwks: Jwks,
        *,
        groups_claim: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._jwks = jwks
        self._groups_claim = groups_claim
        self._now = now

    async def verify(self, token: str) -> JwtIdentity:
        """Return whom a JWT identifies.

        Claims are checked before the signature, so that only a token with valid claims can cause a request to its
        issuer.

        Raises:
            JwtMalformedError: the token cannot be parsed as a JWT.
            JwtInvalidError: a check failed; the text says which, and contains no part of the token.
            IssuerUnavailableError: the claims are valid, but the keys to check the signature cannot be fetched now.
        """
        header, claims = _read(token)
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise JwtInvalidError(f"the JWT's algorithm (alg) is not allowed: expected one of {', '.join(ALGORITHMS)}")
        subject = self._checked_subject(claims)
        await self._check_signature(token, algorithm, header.get("kid"))
        return JwtIdentity(jwt_user_name(self._issuer, subject), self._groups(claims))

    def tells_groups_of(self, user: str) -> bool:
        """Return whether JWTs of this issuer tell the groups of a user with this name."""
        return bool(self._groups_claim) and is_jwt_user_name(user, self._issuer)

    async def fetch_keys(self) -> int:
        """Return how many public keys of the issuer can be used.

        Raises:
            IssuerUnavailableError: the keys cannot be fetched now.
        """
        return len(await self._jwks.keys())

    def _groups(self, claims: dict[str, Any]) -> frozenset[str]:
        """Return the groups that a JWT names. A claim of another form gives no group, and is logged."""
        listed = claims.get(self._groups_claim) if self._groups_claim else None
        if listed is None:
            return frozenset()
        groups = [listed] if isinstance(listed, str) else listed
        if not isinstance(groups, list) or len(groups) > MAX_GROUPS or not all(map(is_printable_name, groups)):
            log.warning(
                "jwt_groups_unusable",
                claim=self._groups_claim,
                expected=f"at most {MAX_GROUPS} texts of 1 to 255 characters without control characters",
            )
            return frozenset()
        return frozenset(groups)

    def _checked_subject(self, claims: dict[str, Any]) -> str:
        issuer, audiences = claims.get("iss"), claims.get("aud")
        if issuer != self._issuer:
            slash = isinstance(issuer, str) and issuer.removesuffix("/") == self._issuer.removesuffix("/")
            raise JwtInvalidError(
                "the JWT's issuer (iss) is not the one this server is configured with"
                + (": they differ in the slash at the end" if slash else "")
            )
        if self._audience not in (audiences if isinstance(audiences, list) else [audiences]):
            raise JwtInvalidError("the JWT's audience (aud) is not, and does not contain, the one of this server")

        now = self._now()
        expires, not_before, issued = (_seconds(claims, name) for name in ("exp", "nbf", "iat"))
        if expires is None:
            raise JwtInvalidError("the JWT has no expiry (exp)")
        # The leeway is added to the clock, not subtracted from the claim: a claim may be too large for a float.
        if now >= expires:
            raise JwtInvalidError("the JWT has expired (exp): get a new one from its issuer")
        if not_before is not None and now + LEEWAY_SECONDS < not_before:
            raise JwtInvalidError("the JWT is not yet valid (nbf)")
        if issued is not None and now + LEEWAY_SECONDS < issued:
            raise JwtInvalidError("the JWT is not yet valid: it was issued in the future (iat)")

        subject = claims.get("sub")
        if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
            raise JwtInvalidError(
                "the JWT's subject (sub) cannot be a user: expected 1 to 255 characters, no control characters"
            )
        return subject

    async def _check_signature(self, token: str, algorithm: str, kid: str | None) -> None:
        keys = await self._jwks.keys()
        fault = _signature_fault(token, keys, algorithm, kid)
        if fault is not None and (kid is None or not _keys_with_id(keys, kid)):
            # The issuer may have changed its keys. A known key of this name cannot have changed.
            newer = await self._jwks.newer(keys)
            if newer is not None:
                fault = _signature_fault(token, newer, algorithm, kid)
        if fault is not None:
            raise JwtInvalidError(fault)


def jwt_verifier(
    issuer: str | None,
    audience: str | None,
    jwks_url: str | None,
    groups_claim: str | None,
    transport: Transport,
    start: TaskStarter,
) -> JwtVerifier | None:
    """Return the verifier that the settings describe, or None if all of them are unset or empty.

    Raises:
        StartupError: a setting is missing or is not a URL; the text names the setting.
    """
    if not (issuer or audience or jwks_url or groups_claim):
        return None
    if not issuer:
        raise StartupError(
            "HEADWATER_JWT_ISSUER: required with HEADWATER_JWT_AUDIENCE, HEADWATER_JWKS_URL and "
            "HEADWATER_JWT_GROUPS_CLAIM"
        )
    if not audience:
        raise StartupError("HEADWATER_JWT_AUDIENCE: required with HEADWATER_JWT_ISSUER and HEADWATER_JWKS_URL")
    if jwks_url and not is_http_url(jwks_url):
        raise StartupError("HEADWATER_JWKS_URL: expected an http or https URL without user name or fragment")
    if not jwks_url and (not is_http_url(issuer) or "?" in issuer):
        raise StartupError(
            "HEADWATER_JWT_ISSUER: expected an http or https URL without user name, query or fragment; "
            "for an issuer with another name, set HEADWATER_JWKS_URL"
        )
    jwks = Jwks(issuer, jwks_url or None, transport, start)
    return JwtVerifier(issuer, audience, jwks, groups_claim=groups_claim or None)


def _read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims, unchecked. The texts of PyJWT are not passed on: they may quote the token."""
    if len(token) > MAX_JWT_LENGTH:
        raise JwtMalformedError(f"the JWT is longer than {MAX_JWT_LENGTH} characters")
    try:
        parts = _JWS.decode_complete(token, options={"verify_signature": False})
        claims = json.loads(parts["payload"])
    except (DecodeError, ValueError, RecursionError):
        raise JwtMalformedError("the JWT cannot be read: its header or its claims are no JSON in base64url") from None
    except PyJWTError:
        raise JwtInvalidError("the JWT's header holds a key id (kid) or extension (crit) not accepted here") from None
    if not isinstance(claims, dict):
        raise JwtMalformedError("the JWT cannot be read: its claims are no JSON object")
    return parts["header"], claims


def _seconds(claims: dict[str, Any], name: str) -> float | None:
    """Return a time claim (a NumericDate of RFC 7519), or None if the token lacks it."""
    value = claims.get(name)
    if value is None:
        return None
    # Python's JSON parser accepts NaN and Infinity, and with NaN no comparison would find a token expired.
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return value
    raise JwtInvalidError(f"the JWT's claim {name} is not a number of seconds")


def _keys_with_id(keys: Keys, kid: str) -> list[Key]:
    return [key for key in keys if key.kid == kid]


def _signature_fault(token: str, keys: Keys, algorithm: str, kid: str | None) -> str | None:
    """Return what is wrong with a signature, or None if it was made with one of the keys."""
    candidates = list(keys) if kid is None else _keys_with_id(keys, kid)
    if not candidates:
        return "the JWT is signed with an unknown key: its issuer publishes none of this key id (kid)"
    fitting = [key for key in candidates if key.algorithm == algorithm]
    if not fitting:
        return "the JWT's algorithm (alg) is not that of its key"
    for key in fitting:
        try:
            _JWS.decode_complete(token, key.jwk, [algorithm])
        except InvalidSignatureError:
            continue
        return None
    return "the JWT's signature is wrong"
