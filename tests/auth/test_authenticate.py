"""Credentials in a request: which are good, and what is said of those that are not."""

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
from headwater.auth.jwt import JwtVerifier
from headwater.catalog.catalog import Catalog
from headwater.catalog.keyring import Keyring
from headwater.domain.errors import IssuerUnavailableError, JwtInvalidError, JwtMalformedError, UnauthorizedError
from headwater.domain.users import ApiToken, Principal
from tests.jwks import AUDIENCE, Issuer


class Tokens:
    """The one thing that `Access` asks of the catalog."""

    def __init__(self) -> None:
        self.known: dict[bytes, ApiToken] = {}
        self.lookups = 0

    def add(self, user: str, *, admin: bool = False) -> str:
        token = new_token()
        self.known[digest(token)] = ApiToken(id="0" * 24, user=user, admin=admin, created_at=0, revoked_at=None)
        return token

    async def find(self, digest: bytes) -> ApiToken | None:
        self.lookups += 1
        return self.known.get(digest)


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
async def access(tokens: Tokens, issuer: Issuer) -> AsyncIterator[Authenticator]:
    verifier = JwtVerifier(issuer.url, AUDIENCE)
    yield Authenticator(tokens, verifier)
    await verifier.aclose()


async def refused(access: Authenticator, query: list[str], header: list[str], error: type[UnauthorizedError]) -> str:
    with pytest.raises(UnauthorizedError) as caught:
        await access.authenticate(query, header)
    assert type(caught.value) is error, caught.value
    return caught.value.message


def test_a_token_survives_every_encoding() -> None:
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    for token in made:
        assert re.fullmatch(r"hw_[0-9a-f]{48}", token)
        assert token == quote(token, safe="") == quote_plus(token) == unquote_plus(token) == token.strip()


def test_a_digest_is_sha256() -> None:
    """The catalog keeps digests: were they made differently one day, every token would stop working."""
    assert digest("hw_test").hex() == "082590dc4c7f216f02f40f2078f5e21d0f1cdebc6d919d0f50cac50236bf5ea8"
    assert digest("\ud800") != digest("\ud801")


async def test_a_token_is_good_in_the_query_and_in_the_header(access: Authenticator, tokens: Tokens) -> None:
    token, boss = tokens.add("ann"), tokens.add("bob", admin=True)
    assert await access.authenticate([token], []) == Principal("ann", admin=False)
    assert await access.authenticate([], [f"Bearer {token}"]) == Principal("ann", admin=False)
    assert await access.authenticate([boss], []) == Principal("bob", admin=True)


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "bEaReR   ", "Bearer\t", "  Bearer "])
async def test_the_scheme_in_any_letter_case(access: Authenticator, tokens: Tokens, scheme: str) -> None:
    assert (await access.authenticate([], [scheme + tokens.add("ann") + " "])).user == "ann"


@pytest.mark.parametrize("prefix", ["Bearer ", "bearer "])
async def test_a_query_token_may_carry_the_prefix_of_a_generated_client(
    access: Authenticator, tokens: Tokens, issuer: Issuer, prefix: str
) -> None:
    assert (await access.authenticate([prefix + tokens.add("ann")], [])).user == "ann"
    assert (await access.authenticate([prefix + issuer.token()], [])).user == f"{issuer.url}|auth0|someone"


async def test_a_jwt_is_good_in_the_query_and_in_the_header(access: Authenticator, issuer: Issuer) -> None:
    expected = Principal(f"{issuer.url}|auth0|someone", admin=False)
    assert await access.authenticate([issuer.token(admin=True)], []) == expected
    assert await access.authenticate([], [f"bearer {issuer.token()}"]) == expected


@pytest.mark.parametrize(
    "header",
    ["Basic dXNlcjp3b3Jk", "Token {good}", "{good}", "", "Bearer", "Bearer ", "Bearer,{good}", "Bearer{good}"],
)
async def test_another_scheme_is_no_credential_we_know(access: Authenticator, tokens: Tokens, header: str) -> None:
    good = tokens.add("ann")
    text = await refused(access, [], [header.format(good=good)], UnauthorizedError)
    assert "Bearer" in text
    assert good not in text
    # … and it is not made good by a good token beside it.
    await refused(access, [good], [header.format(good=good)], UnauthorizedError)


async def test_no_credential(access: Authenticator) -> None:
    text = await refused(access, [], [], UnauthorizedError)
    assert "'token'" in text
    assert "Authorization: Bearer" in text


async def test_one_bad_credential_is_enough(access: Authenticator, tokens: Tokens, issuer: Issuer) -> None:
    good, bad = tokens.add("ann"), new_token()
    jwt, expired = issuer.token(), issuer.token(exp=1)
    for query, header in [
        ([bad], []),
        ([""], []),
        (["Bearer "], []),
        ([good, bad], []),
        ([bad, good], []),
        ([good, ""], []),
        ([good], [f"Bearer {bad}"]),
        ([bad], [f"Bearer {good}"]),
        ([good], [f"Bearer {good}", f"Bearer {bad}"]),
        ([], [f"Bearer {good}, Bearer {good}"]),
        ([good + "\n"], []),
        ([bad], [f"Bearer {jwt}"]),
    ]:
        await refused(access, query, header, UnauthorizedError)
    await refused(access, [good], [f"Bearer {expired}"], JwtInvalidError)
    await refused(access, [expired], [f"Bearer {good}"], JwtInvalidError)


async def test_of_several_good_ones_the_query_counts(access: Authenticator, tokens: Tokens, issuer: Issuer) -> None:
    ann, bob = tokens.add("ann"), tokens.add("bob", admin=True)
    assert (await access.authenticate([ann], [f"Bearer {bob}"])) == Principal("ann")
    assert (await access.authenticate([bob], [f"Bearer {ann}"])) == Principal("bob", admin=True)
    assert (await access.authenticate([ann, bob], [])) == Principal("ann")
    assert (await access.authenticate([ann], [f"Bearer {issuer.token()}"])) == Principal("ann")
    assert (await access.authenticate([issuer.token()], [f"Bearer {ann}"])).user == f"{issuer.url}|auth0|someone"


async def test_a_token_sent_many_times_is_looked_up_once(access: Authenticator, tokens: Tokens) -> None:
    ann = tokens.add("ann")
    await access.authenticate([ann] * 100, [f"Bearer {ann}"])
    assert tokens.lookups == 1


async def test_a_jwt_where_no_issuer_is_configured(tokens: Tokens, issuer: Issuer) -> None:
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
async def test_what_is_taken_for_a_jwt(access: Authenticator, credential: str, error: type[UnauthorizedError]) -> None:
    await refused(access, [credential], [], error)


async def test_an_unreachable_issuer_does_not_hide_a_bad_credential(
    access: Authenticator, tokens: Tokens, issuer: Issuer
) -> None:
    issuer.stop()
    jwt = issuer.token()
    with pytest.raises(IssuerUnavailableError):
        await access.authenticate([jwt], [f"Bearer {tokens.add('ann')}"])
    await refused(access, [jwt], [f"Bearer {new_token()}"], UnauthorizedError)


async def test_with_the_catalog_a_revoked_token_is_bad_at_once(tmp_path: Path) -> None:
    catalog = await Catalog.open(f"sqlite:///{tmp_path / 'catalog.db'}", Keyring([("test", bytes(32))]))
    try:
        access, token = Authenticator(catalog.tokens, None), new_token()
        await refused(access, [token], [], UnauthorizedError)
        made = await catalog.tokens.add("ann", True, digest(token))
        assert await access.authenticate([token], []) == Principal("ann", admin=True)
        assert await catalog.tokens.revoke(made.id)
        await refused(access, [token], [], UnauthorizedError)
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
        verifier = JwtVerifier("http://127.0.0.1:9/", AUDIENCE) if with_issuer else None
        with pytest.raises(UnauthorizedError) as caught:
            await Authenticator(Tokens(), verifier).authenticate(query, [f"Bearer {value}" for value in header])
        assert _MARK not in caught.value.message
        assert caught.value.__cause__ is None
        if verifier:
            await verifier.aclose()

    asyncio.run(check())


def test_signing_in_with_an_api_token_imports_no_jwt() -> None:
    """`headwater token create` needs `new_token` and `digest`, and should start fast."""
    code = "import sys, headwater.auth.authenticate; print(*({'jwt', 'httpcore', 'cryptography'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
