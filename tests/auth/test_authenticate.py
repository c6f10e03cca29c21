"""Credentials of a request: which are accepted, and the error for those that are not."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headwater.auth.authenticate import Authenticator, digest, new_token
from headwater.auth.jwks import Jwks
from headwater.auth.jwt import JwtVerifier
from headwater.catalog.catalog import Catalog
from headwater.catalog.keyring import Keyring
from headwater.domain.errors import IssuerUnavailableError, JwtInvalidError, JwtMalformedError, UnauthorizedError
from headwater.domain.users import ApiToken, NewToken, Principal, Scope
from headwater.net.egress import Egress
from headwater.net.tasks import start_task
from headwater.net.transport import Transport
from tests.jwks import AUDIENCE, Issuer


class Tokens:
    """An in-memory `TokenLookup`."""

    def __init__(self) -> None:
        self.known: dict[bytes, ApiToken] = {}
        self.lookups = 0

    def add(self, user: str, *, admin: bool = False) -> str:
        token = new_token()
        limits = NewToken(scope=Scope.ADMIN if admin else Scope.WRITE)
        self.known[digest(token)] = ApiToken(id="0" * 24, user=user, limits=limits, created_at=0)
        return token

    async def find(self, digest: bytes) -> tuple[ApiToken, frozenset[str]] | None:
        self.lookups += 1
        return (self.known[digest], frozenset()) if digest in self.known else None


def principal(user: str, scope: Scope = Scope.WRITE) -> Principal:
    """Return the principal of a token of `Tokens`."""
    return Principal(user, scope, token_id="0" * 24)


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
async def authenticator(tokens: Tokens, issuer: Issuer) -> AsyncIterator[Authenticator]:
    transport = Transport(Egress())
    verifier = JwtVerifier(issuer.url, AUDIENCE, Jwks(issuer.url, None, transport, start_task))
    yield Authenticator(tokens, verifier)
    await transport.aclose()


async def refused(
    authenticator: Authenticator, query: list[str], header: list[str], error: type[UnauthorizedError]
) -> str:
    with pytest.raises(UnauthorizedError) as caught:
        await authenticator.authenticate(query, header)
    assert type(caught.value) is error, caught.value
    return caught.value.message


def test_new_token_survives_every_encoding() -> None:
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    for token in made:
        assert re.fullmatch(r"hw_[0-9a-f]{48}", token)
        assert token == quote(token, safe="") == quote_plus(token) == unquote_plus(token) == token.strip()


def test_digest_is_sha256() -> None:
    """The catalog stores digests: if they were calculated differently, every token would become invalid."""
    assert digest("hw_test").hex() == "082590dc4c7f216f02f40f2078f5e21d0f1cdebc6d919d0f50cac50236bf5ea8"
    assert digest("\ud800") != digest("\ud801")


async def test_token_is_valid_in_the_query_and_in_the_header(authenticator: Authenticator, tokens: Tokens) -> None:
    token, boss = tokens.add("ann"), tokens.add("bob", admin=True)
    assert await authenticator.authenticate([token], []) == principal("ann")
    assert await authenticator.authenticate([], [f"Bearer {token}"]) == principal("ann")
    assert await authenticator.authenticate([boss], []) == principal("bob", Scope.ADMIN)


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEaReR   ", "Bearer\t", "  Bearer "])
async def test_scheme_is_accepted_in_any_letter_case(authenticator: Authenticator, tokens: Tokens, scheme: str) -> None:
    assert (await authenticator.authenticate([], [scheme + tokens.add("ann") + " "])).user == "ann"


@pytest.mark.parametrize("prefix", ["Bearer ", "bearer "])
async def test_query_token_may_have_the_prefix_of_a_generated_client(
    authenticator: Authenticator, tokens: Tokens, issuer: Issuer, prefix: str
) -> None:
    assert (await authenticator.authenticate([prefix + tokens.add("ann")], [])).user == "ann"
    assert (await authenticator.authenticate([prefix + issuer.token()], [])).user == f"{issuer.url}|auth0|someone"


async def test_jwt_is_valid_in_the_query_and_in_the_header(authenticator: Authenticator, issuer: Issuer) -> None:
    expected = Principal(f"{issuer.url}|auth0|someone")
    assert await authenticator.authenticate([issuer.token(admin=True)], []) == expected
    assert await authenticator.authenticate([], [f"bearer {issuer.token()}"]) == expected


@pytest.mark.parametrize(
    "header",
    ["Basic dXNlcjp3b3Jk", "Token {valid}", "{valid}", "", "Bearer", "Bearer ", "Bearer,{valid}", "Bearer{valid}"],
)
async def test_other_scheme_is_unauthorized(authenticator: Authenticator, tokens: Tokens, header: str) -> None:
    valid = tokens.add("ann")
    text = await refused(authenticator, [], [header.format(valid=valid)], UnauthorizedError)
    assert "Bearer" in text
    assert valid not in text
    # A valid token next to it does not make it valid.
    await refused(authenticator, [valid], [header.format(valid=valid)], UnauthorizedError)


async def test_missing_credential_is_unauthorized(authenticator: Authenticator) -> None:
    text = await refused(authenticator, [], [], UnauthorizedError)
    assert "'token'" in text
    assert "Authorization: Bearer" in text


async def test_one_invalid_credential_is_unauthorized(
    authenticator: Authenticator, tokens: Tokens, issuer: Issuer
) -> None:
    valid, bad = tokens.add("ann"), new_token()
    jwt, expired = issuer.token(), issuer.token(exp=1)
    for query, header in [
        ([bad], []),
        ([""], []),
        (["Bearer "], []),
        ([valid, bad], []),
        ([bad, valid], []),
        ([valid, ""], []),
        ([valid], [f"Bearer {bad}"]),
        ([bad], [f"Bearer {valid}"]),
        ([valid], [f"Bearer {valid}", f"Bearer {bad}"]),
        ([], [f"Bearer {valid}, Bearer {valid}"]),
        ([valid + "\n"], []),
        ([bad], [f"Bearer {jwt}"]),
    ]:
        await refused(authenticator, query, header, UnauthorizedError)
    await refused(authenticator, [valid], [f"Bearer {expired}"], JwtInvalidError)
    await refused(authenticator, [expired], [f"Bearer {valid}"], JwtInvalidError)


async def test_first_valid_credential_of_the_query_counts(
    authenticator: Authenticator, tokens: Tokens, issuer: Issuer
) -> None:
    ann, bob = tokens.add("ann"), tokens.add("bob", admin=True)
    assert (await authenticator.authenticate([ann], [f"Bearer {bob}"])) == principal("ann")
    assert (await authenticator.authenticate([bob], [f"Bearer {ann}"])) == principal("bob", Scope.ADMIN)
    assert (await authenticator.authenticate([ann, bob], [])) == principal("ann")
    assert (await authenticator.authenticate([ann], [f"Bearer {issuer.token()}"])) == principal("ann")
    assert (await authenticator.authenticate([issuer.token()], [f"Bearer {ann}"])).user == f"{issuer.url}|auth0|someone"


async def test_repeated_token_is_looked_up_once(authenticator: Authenticator, tokens: Tokens) -> None:
    ann = tokens.add("ann")
    await authenticator.authenticate([ann] * 100, [f"Bearer {ann}"])
    assert tokens.lookups == 1


async def test_jwt_without_a_configured_issuer_is_invalid(tokens: Tokens, issuer: Issuer) -> None:
    text = await refused(Authenticator(tokens, None), [issuer.token()], [], JwtInvalidError)
    assert "no JWT issuer configured" in text
    assert tokens.lookups == 0


@pytest.mark.parametrize(
    ("credential", "error"),
    [
        ("aaaa.bbbb.cccc", JwtMalformedError),
        ("a.b.c", JwtMalformedError),
        ("aaaa.bbbb", UnauthorizedError),
        ("aaaa.bbbb.", JwtMalformedError),
        ("aaaa..cccc", JwtMalformedError),
        ("aaaa.bbbb.cc=c", JwtMalformedError),
        ("aaaa.bbbb.cccc.dddd.eeee", UnauthorizedError),
        ("aaaa.bbbb.cccc\n", JwtMalformedError),
    ],
)
async def test_credential_with_two_dots_is_a_jwt(
    authenticator: Authenticator, credential: str, error: type[UnauthorizedError]
) -> None:
    await refused(authenticator, [credential], [], error)


async def test_unreachable_issuer_does_not_hide_an_invalid_credential(
    authenticator: Authenticator, tokens: Tokens, issuer: Issuer
) -> None:
    issuer.stop()
    jwt = issuer.token()
    with pytest.raises(IssuerUnavailableError):
        await authenticator.authenticate([jwt], [f"Bearer {tokens.add('ann')}"])
    await refused(authenticator, [jwt], [f"Bearer {new_token()}"], UnauthorizedError)


async def test_revoked_token_is_unauthorized_at_once(tmp_path: Path) -> None:
    catalog = await Catalog.open(f"sqlite:///{tmp_path / 'catalog.db'}", Keyring([("test", bytes(32))]))
    try:
        authenticator, token = Authenticator(catalog.tokens, None), new_token()
        await refused(authenticator, [token], [], UnauthorizedError)
        made = await catalog.tokens.add("ann", NewToken(scope=Scope.ADMIN), digest(token))
        found = await authenticator.authenticate([token], [])
        assert found == Principal("ann", Scope.ADMIN, token_id=made.id)
        assert await catalog.tokens.revoke(made.id)
        await refused(authenticator, [token], [], UnauthorizedError)
    finally:
        await catalog.close()


_MARK = "zq7ZQ7zq7"
_wild = st.builds("{}{}{}".format, st.text(max_size=20), st.just(_MARK), st.text(max_size=20))
_base64url = st.from_regex(r"[A-Za-z0-9_-]{0,20}", fullmatch=True)
_dotted = st.builds("{}{}.{}.{}".format, st.just(_MARK), _base64url, _base64url, _base64url)
_credentials = st.lists(_wild | _dotted | st.characters(codec=None).map(lambda c: _MARK + c), max_size=3)


@pytest.mark.parametrize("with_issuer", [False, True])
@settings(max_examples=200, deadline=None)
@example(query=[_MARK + "\ud800"], header=[])
@example(query=[_MARK + ".e30.e30"], header=[])
@given(query=_credentials, header=_credentials)
def test_random_credentials_are_unauthorized_and_never_repeated(
    with_issuer: bool, query: list[str], header: list[str]
) -> None:
    async def check() -> None:
        transport = Transport(Egress())
        url = "http://127.0.0.1:9/"
        verifier = JwtVerifier(url, AUDIENCE, Jwks(url, None, transport, start_task)) if with_issuer else None
        with pytest.raises(UnauthorizedError) as caught:
            await Authenticator(Tokens(), verifier).authenticate(query, [f"Bearer {value}" for value in header])
        assert _MARK not in caught.value.message
        assert caught.value.__cause__ is None
        await transport.aclose()

    asyncio.run(check())


def test_module_does_not_import_jwt_libraries() -> None:
    """`headwater token create` needs `new_token` and `digest`, and should start fast."""
    code = "import sys, headwater.auth.authenticate; print(*({'jwt', 'httpcore', 'cryptography'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
