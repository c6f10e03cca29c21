"""Who is asking: API tokens and JWTs (contract.md#authentication).

Credentials come as query parameter `token` and as header `Authorization: Bearer …`. Either place takes an API
token or a JWT, because published clients send what they have in the place they know.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from headwater.domain.errors import IssuerUnavailableError, JwtInvalidError, UnauthorizedError
from headwater.domain.users import ApiToken, Principal

if TYPE_CHECKING:  # A server without a JWT issuer, and `headwater token create`, need none of what jwt.py imports.
    from headwater.auth.jwt import JwtVerifier

_BEARER = re.compile(r"bearer[ \t]+(?P<token>.*)", re.IGNORECASE | re.DOTALL)
_JWT_SHAPE = re.compile(r"[^.]*\.[^.]*\.[^.]*")  # no API token has a dot


class TokenLookup(Protocol):
    """What `Access` needs of the catalog."""

    async def find(self, digest: bytes) -> ApiToken | None:
        """Return the API token that has this digest; None where there is none, or it was revoked."""


def new_token() -> str:
    """Make a new API token: 192 random bits as hex, which no URL, form or header encoding changes.

    The prefix lets people and secret scanners see what it is.
    """
    return f"hw_{secrets.token_hex(24)}"


def digest(token: str) -> bytes:
    """Return the SHA-256 under which the catalog knows an API token.

    A slow hash would add nothing: 192 random bits cannot be guessed. Looking a token up by its digest leaves
    nothing to learn from how long a comparison takes.
    """
    # surrogatepass: a credential of any characters is merely unknown, never an error of encoding.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class Authenticator:
    """Turns the credentials of a request into the one who makes it.

    Args:
        catalog: where API tokens are looked up.
        jwt: checks JWTs; None on a server without a JWT issuer.
    """

    def __init__(self, catalog: TokenLookup, jwt: JwtVerifier | None) -> None:
        self._catalog = catalog
        self._jwt = jwt

    async def authenticate(self, query_tokens: Sequence[str], authorization: Sequence[str]) -> Principal:
        """Return who makes a request.

        Every credential in it must be good, or a proxy and this server could take one request for two different
        people's. Of several good ones the first counts, and those of the query come before those of the header,
        because the query is where published clients put their token.

        Args:
            query_tokens: every value of the query parameter `token`, decoded. Generated clients can put
                `Bearer ` before it (their `api_key_prefix`).
            authorization: every value of the header `Authorization`.

        Raises:
            Unauthorized: there is no credential, or a bad one (also as JwtMalformedError and JwtInvalidError). The text
                never holds any part of a credential.
            IssuerUnavailableError: no credential is known to be bad, but a JWT could not be checked now.
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
                unchecked = error  # A bad credential beside this one is still a 401.
        if unchecked is not None:
            raise unchecked
        return principals[0]

    async def _principal(self, token: str) -> Principal:
        if _JWT_SHAPE.fullmatch(token):
            if self._jwt is None:
                raise JwtInvalidError("a JWT was sent, but this server has no JWT issuer configured: use an API token")
            return Principal(user=await self._jwt.verify(token))
        if not token:
            raise UnauthorizedError("an empty credential was sent: expected an API token or a JWT")
        known = await self._catalog.find(digest(token))
        if known is None:
            raise UnauthorizedError(
                "a credential was sent that is neither a JWT nor an API token in force here; `headwater token create`, "
                "run with this server's settings, makes one"
            )
        return Principal(user=known.user, admin=known.admin)


def _without_scheme(value: str) -> str:
    match = _BEARER.fullmatch(value)
    return match["token"] if match else value


def _bearer(value: str) -> str:
    match = _BEARER.fullmatch(value.strip(" \t"))
    if match is None:
        raise UnauthorizedError("header 'Authorization': expected the scheme Bearer, followed by an API token or a JWT")
    return match["token"]
