"""Authenticate requests by API token or JWT (contract.md#authentication).

Credentials are sent as the query parameter `token` and as the header `Authorization: Bearer …`. Each of them may hold
an API token or a JWT, because a published client uses the same place for both.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from headwater.auth.sightings import Sightings
from headwater.domain.errors import IssuerUnavailableError, JwtInvalidError, UnauthorizedError
from headwater.domain.users import ApiToken, Principal

if TYPE_CHECKING:  # jwt.py is slow to import, and `headwater token create` and most servers do not need it.
    from headwater.auth.jwt import JwtVerifier

_BEARER = re.compile(r"bearer[ \t]+(?P<token>.*)", re.IGNORECASE | re.DOTALL)
_JWT_SHAPE = re.compile(r"[^.]*\.[^.]*\.[^.]*")  # no API token has a dot


class TokenLookup(Protocol):
    """What `Authenticator` needs of the catalog."""

    async def find(self, digest: bytes) -> tuple[ApiToken, frozenset[str]] | None:
        """Return the API token with this digest and the groups of its user; None if there is none or it was revoked."""


def new_token() -> str:
    """Return a new API token: 192 random bits in hex, which no URL, form or header encoding changes.

    People and secret scanners recognize it by its prefix.
    """
    return f"hw_{secrets.token_hex(24)}"


def digest(token: str) -> bytes:
    """Return the SHA-256 by which the catalog finds an API token.

    A slow hash is not needed, because 192 random bits cannot be guessed. A lookup by digest does not leak the token
    through the time that a comparison takes.
    """
    # surrogatepass: a credential with any characters is unknown, not an encoding error.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class Authenticator:
    """Turns the credentials of a request into a principal.

    Attributes:
        jwt: as the argument.

    Args:
        tokens: finds API tokens.
        jwt: verifies JWTs; None on a server without a JWT issuer.
        sightings: records when tokens were used, and the groups of users; None to record nothing.
        now: returns Unix seconds.
    """

    def __init__(
        self,
        tokens: TokenLookup,
        jwt: JwtVerifier | None,
        sightings: Sightings | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = tokens
        self.jwt = jwt
        self._sightings = sightings
        self._now = now

    async def authenticate(self, query_tokens: Sequence[str], authorization: Sequence[str]) -> Principal:
        """Return the principal of a request.

        Every credential in the request must be valid. Otherwise a proxy and this server could assign one request to
        two different users. Of several valid credentials the first counts, and the query comes before the header,
        because published clients put their token there.

        Args:
            query_tokens: every value of the query parameter `token`, decoded. Generated clients can add the prefix
                `Bearer ` (their `api_key_prefix`).
            authorization: every value of the header `Authorization`.

        Raises:
            UnauthorizedError: there is no credential, or an invalid one (JwtMalformedError and JwtInvalidError are
                subclasses). The text never contains any part of a credential.
            IssuerUnavailableError: no credential is known to be invalid, but a JWT cannot be verified now.
        """
        tokens = [_without_scheme(value) for value in query_tokens]
        tokens += [_bearer(value) for value in authorization]
        if not tokens:
            raise UnauthorizedError(
                "no credential: send an API token as query parameter 'token', "
                "or an API token or a JWT as 'Authorization: Bearer …'"
            )
        principals: list[Principal] = []
        unchecked: IssuerUnavailableError | None = None
        for token in dict.fromkeys(tokens):
            try:
                principals.append(await self._principal(token))
            except IssuerUnavailableError as error:
                unchecked = error  # An invalid credential next to this one is still a 401.
        if unchecked is not None:
            raise unchecked
        return principals[0]

    async def _principal(self, token: str) -> Principal:
        if _JWT_SHAPE.fullmatch(token):
            if self.jwt is None:
                raise JwtInvalidError("a JWT was sent, but this server has no JWT issuer configured: use an API token")
            identity = await self.jwt.verify(token)
            if self._sightings is not None:
                self._sightings.saw_groups(identity.user, identity.groups)
            return Principal(identity.user, groups=identity.groups)
        if not token:
            raise UnauthorizedError("an empty credential was sent: expected an API token or a JWT")
        known = await self._tokens.find(digest(token))
        if known is None:
            raise UnauthorizedError(
                "a credential was sent that is neither a JWT nor a valid API token of this server; "
                "`headwater token create`, run with this server's settings, makes one"
            )
        api_token, groups = known
        now = int(self._now() * 1000)
        if not api_token.is_usable(now):
            raise UnauthorizedError("the API token has expired: make a new one")
        if self._sightings is not None:
            self._sightings.saw_token(api_token, now)
        if self.jwt is None or not self.jwt.tells_groups_of(api_token.user):
            groups = frozenset()  # they are those of another issuer, or of earlier settings
        limits = api_token.limits
        return Principal(api_token.user, limits.scope, limits.dataset_id, groups, api_token.id, limits.expires_at)


def _without_scheme(value: str) -> str:
    match = _BEARER.fullmatch(value)
    return match["token"] if match else value


def _bearer(value: str) -> str:
    match = _BEARER.fullmatch(value.strip(" \t"))
    if match is None:
        raise UnauthorizedError("header 'Authorization': expected the scheme Bearer, followed by an API token or a JWT")
    return match["token"]
