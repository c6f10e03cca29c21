"""JWTs of one issuer, checked against its public keys (contract.md#authentication).

Only RS256, ES256 and EdDSA are taken, never a shared secret and never `none`. Which of them a key is for comes
from the key, and the header of a token must name the same (RFC 8725, sections 3.1 and 3.2).
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from typing import Any

from jwt import DecodeError, InvalidSignatureError, PyJWS, PyJWTError

from headwater.auth.jwks import Jwks, Key, Keys, is_http_url
from headwater.domain.errors import JwtInvalidError, JwtMalformedError, StartupError
from headwater.domain.users import jwt_user_name

ALGORITHMS = ("RS256", "ES256", "EdDSA")

LEEWAY = 5.0
"""Seconds that the issuer's clock may be ahead of ours, so that a token works as soon as it is there."""

LONGEST = 16 * 1024
"""Characters of the longest JWT that is read."""

# At most 255 characters: OpenID Connect Core 1.0, section 2. No control characters and no lone surrogates, which
# JSON can hold: the catalog could not store them, and a log line could not show them.
_SUBJECT = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}")

_JWS = PyJWS(algorithms=ALGORITHMS)


class JwtVerifier:
    """Checks the JWTs of one issuer.

    Args:
        issuer: what the claim `iss` must be, to the character.
        audience: what the claim `aud` must be or hold.
        jwks_url: where the issuer's JWK set is; None to find it through the issuer's discovery document.
        now: the time in seconds since 1970.
        monotonic: a clock in seconds that never goes back, for the age of the keys.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        jwks_url: str | None = None,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._now = now
        self._jwks = Jwks(issuer, jwks_url, monotonic)

    async def verify(self, token: str) -> str:
        """Return the name of the user that a JWT speaks for.

        Claims come before the signature, so that only a token that looks good can make us ask its issuer.

        Raises:
            JwtMalformedError: this cannot be read as a JWT.
            JwtInvalidError: a check failed; the text says which, and holds no part of the token.
            IssuerUnavailableError: the token looks good, but the keys to check it with cannot be fetched now.
        """
        header, claims = _read(token)
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise JwtInvalidError(f"the JWT's algorithm (alg) is not allowed: expected one of {', '.join(ALGORITHMS)}")
        subject = self._checked_subject(claims)
        await self._check_signature(token, algorithm, header.get("kid"))
        return jwt_user_name(self._issuer, subject)

    async def aclose(self) -> None:
        """Stop fetching keys."""
        await self._jwks.aclose()

    def _checked_subject(self, claims: dict[str, Any]) -> str:
        issuer, audiences = claims.get("iss"), claims.get("aud")
        if issuer != self._issuer:
            slash = isinstance(issuer, str) and issuer.removesuffix("/") == self._issuer.removesuffix("/")
            raise JwtInvalidError(
                "the JWT's issuer (iss) is not the one this server is configured with"
                + (": they differ in the slash at the end" if slash else "")
            )
        if self._audience not in (audiences if isinstance(audiences, list) else [audiences]):
            raise JwtInvalidError("the JWT's audience (aud) is not, and does not hold, the one of this server")

        now = self._now()
        expires, not_before, issued = (_seconds(claims, name) for name in ("exp", "nbf", "iat"))
        if expires is None:
            raise JwtInvalidError("the JWT has no expiry (exp)")
        # The clock carries the leeway, not the claim: a claim may be an integer too large for a float.
        if now >= expires:
            raise JwtInvalidError("the JWT has expired (exp): get a new one from its issuer")
        if not_before is not None and now + LEEWAY < not_before:
            raise JwtInvalidError("the JWT is not yet valid (nbf)")
        if issued is not None and now + LEEWAY < issued:
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
        if fault is not None and (kid is None or not _named(keys, kid)):
            # The issuer may have changed its keys. A key of this name that we know has not changed with them.
            newer = await self._jwks.newer(keys)
            if newer is not None:
                fault = _signature_fault(token, newer, algorithm, kid)
        if fault is not None:
            raise JwtInvalidError(fault)


def jwt_verifier(issuer: str | None, audience: str | None, jwks_url: str | None) -> JwtVerifier | None:
    """Make the verifier that the settings ask for; None where all three are unset or empty.

    Raises:
        StartupError: they ask for half of one, or hold something that is no URL; the text names the setting.
    """
    if not (issuer or audience or jwks_url):
        return None
    if not issuer:
        raise StartupError("HEADWATER_JWT_ISSUER: required with HEADWATER_JWT_AUDIENCE and HEADWATER_JWKS_URL")
    if not audience:
        raise StartupError("HEADWATER_JWT_AUDIENCE: required with HEADWATER_JWT_ISSUER and HEADWATER_JWKS_URL")
    if jwks_url and not is_http_url(jwks_url):
        raise StartupError("HEADWATER_JWKS_URL: expected an http or https URL without user name or fragment")
    if not jwks_url and (not is_http_url(issuer) or "?" in issuer):
        raise StartupError(
            "HEADWATER_JWT_ISSUER: expected an http or https URL without user name, query or fragment; "
            "for an issuer with another name, set HEADWATER_JWKS_URL"
        )
    return JwtVerifier(issuer, audience, jwks_url or None)


def _read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims, unchecked. No text of PyJWT gets out: it may quote the token."""
    if len(token) > LONGEST:
        raise JwtMalformedError(f"the JWT is longer than {LONGEST} characters")
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
    """Return a time claim, a NumericDate of RFC 7519; None where the token has none."""
    value = claims.get(name)
    if value is None:
        return None
    # JSON as Python reads it has NaN and Infinity, and no comparison with NaN would ever call a token expired.
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return value
    raise JwtInvalidError(f"the JWT's claim {name} is not a number of seconds")


def _named(keys: Keys, kid: str) -> list[Key]:
    return [key for key in keys if key.kid == kid]


def _signature_fault(token: str, keys: Keys, algorithm: str, kid: str | None) -> str | None:
    """Say what is wrong with a signature; None where one of the keys made it."""
    candidates = list(keys) if kid is None else _named(keys, kid)
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
