"""JWTs and their issuer's keys, against a real issuer on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import CapturingLogger

from headwater.auth import jwks
from headwater.auth.jwks import Jwks
from headwater.auth.jwt import JwtVerifier, jwt_verifier
from headwater.domain.errors import (
    IssuerUnavailableError,
    JwtInvalidError,
    JwtMalformedError,
    StartupError,
    UnauthorizedError,
)
from headwater.net.egress import Egress
from headwater.net.tasks import start_task
from headwater.net.transport import Transport
from headwater.service.background import BackgroundTasks
from tests.jwks import AUDIENCE, DISCOVERY, JWKS, Issuer, SigningKey, b64json, b64url, jws, self_signed, signing_key

ALGORITHMS = ["RS256", "ES256", "EdDSA"]


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@asynccontextmanager
async def open_verifier(
    issuer: str,
    audience: str,
    jwks_url: str | None = None,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    **options: Any,
) -> AsyncIterator[JwtVerifier]:
    transport = Transport(Egress())
    try:
        async with BackgroundTasks() as background:
            yield JwtVerifier(
                issuer, audience, Jwks(issuer, jwks_url, transport, background.start, monotonic), **options
            )
    finally:
        await transport.aclose()


@pytest.fixture
async def verifier(issuer: Issuer, clock: Clock) -> AsyncIterator[JwtVerifier]:
    async with open_verifier(issuer.url, AUDIENCE, issuer.jwks_url, monotonic=clock) as verifier:
        yield verifier


async def settled(condition: Any) -> None:
    """Wait until background work has made the condition true."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def refused(verifier: JwtVerifier, token: str, error: type[UnauthorizedError] = JwtInvalidError) -> str:
    """Assert that a token is refused with this error and not repeated in its text; return the text."""
    with pytest.raises(UnauthorizedError) as caught:
        await verifier.verify(token)
    assert type(caught.value) is error, caught.value
    assert caught.value.__cause__ is None
    assert all(part not in caught.value.message for part in token.split(".") if len(part) > 3)
    return caught.value.message


# --- signatures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kid", ["the-key", None])
@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_valid_token_names_its_user(issuer: Issuer, verifier: JwtVerifier, alg: str, kid: str | None) -> None:
    others = [signing_key(other, f"other-{other}", 1) for other in ALGORITHMS]
    issuer.keys = [*others, signing_key(alg, kid)]
    assert (await verifier.verify(issuer.token(issuer.keys[-1]))).user == f"{issuer.url}|auth0|someone"


@pytest.mark.parametrize("kid", ["the-key", None])
@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_other_key_or_changed_token_is_refused(
    issuer: Issuer, verifier: JwtVerifier, alg: str, kid: str | None
) -> None:
    issuer.keys = [signing_key(alg, kid)]
    forged = issuer.token(signing_key(alg, kid, number=1))
    assert "signature" in await refused(verifier, forged)

    header, _, signature = issuer.token().split(".")
    changed = f"{header}.{b64json(issuer.claims(sub='admin'))}.{signature}"
    assert "signature" in await refused(verifier, changed)
    assert "signature" in await refused(verifier, f"{changed.rsplit('.', 1)[0]}.{b64url(b'short')}")


async def test_public_key_is_not_a_shared_secret(issuer: Issuer, verifier: JwtVerifier) -> None:
    """Algorithm confusion: HS256 with the bytes of the public key, which is public, as the secret."""
    public = issuer.keys[0].private.public_key()
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        issuer.jwks(),
    ):
        signer = partial(hmac.digest, secret, digest=hashlib.sha256)
        token = jws({"alg": "HS256", "kid": "first"}, issuer.claims(), signer)
        assert "algorithm" in await refused(verifier, token)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", None, 7, ["RS256"], "RS384", "PS256", "ES256K", "HS256"])
async def test_other_algorithms_are_refused(issuer: Issuer, verifier: JwtVerifier, alg: object) -> None:
    token = issuer.token(header={"alg": alg})
    assert "algorithm" in await refused(verifier, token)
    assert issuer.requests == [], "a token that cannot be good must not make us ask the issuer"


@pytest.mark.parametrize(("alg", "shown"), list(itertools.permutations(ALGORITHMS, 2)))
async def test_key_decides_the_algorithm(issuer: Issuer, verifier: JwtVerifier, alg: str, shown: str) -> None:
    issuer.keys = [signing_key(alg, "the-key")]
    assert "algorithm" in await refused(verifier, issuer.token(header={"alg": shown}))
    assert issuer.fetches() == 1, "a known key id must not make us ask again"


async def test_token_cannot_bring_its_own_key(issuer: Issuer, verifier: JwtVerifier) -> None:
    mine = signing_key("RS256", "first", number=1)
    header = {"jwk": mine.jwk(), "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/x"}
    assert "signature" in await refused(verifier, issuer.token(mine, header))


# --- claims ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "value", "expected"),
    [
        ("iss", None, "issuer"),
        ("iss", "https://issuer.test/", "issuer"),
        ("iss", 7, "issuer"),
        ("iss", ["https://issuer.test"], "issuer"),
        ("aud", None, "audience"),
        ("aud", "", "audience"),
        ("aud", [], "audience"),
        ("aud", AUDIENCE + "/", "audience"),
        ("aud", [AUDIENCE + "/", 7], "audience"),
        ("aud", {AUDIENCE: True}, "audience"),
        ("exp", None, "no expiry"),
        ("exp", "9999999999", "exp is not a number"),
        ("exp", True, "exp is not a number"),
        ("exp", float("nan"), "exp is not a number"),
        ("exp", float("inf"), "exp is not a number"),
        ("exp", -1, "expired"),
        ("exp", 0, "expired"),
        ("nbf", "0", "nbf is not a number"),
        ("iat", [0], "iat is not a number"),
        ("nbf", 10**400, "not yet valid"),
        ("iat", 10**400, "in the future"),
        ("sub", None, "subject"),
        ("sub", "", "subject"),
        ("sub", 7, "subject"),
        ("sub", ["someone"], "subject"),
        ("sub", "s" * 256, "subject"),
        ("sub", "some\x00one", "subject"),
        ("sub", "some\none", "subject"),
        ("sub", "\ud800", "subject"),
    ],
)
async def test_invalid_claim_is_refused(
    issuer: Issuer, verifier: JwtVerifier, claim: str, value: object, expected: str
) -> None:
    assert expected in await refused(verifier, issuer.token(claims={claim: value}))
    assert issuer.requests == [], "a token that cannot be good must not make us ask the issuer"


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("aud", [AUDIENCE]),
        ("aud", ["another", AUDIENCE]),
        ("exp", 1e12),
        ("exp", 10**400),
        ("nbf", None),
        ("iat", None),
        ("iat", 0.5),
        ("sub", "s" * 255),
        ("sub", "ｓｏｍｅｏｎｅ é 🙂"),
        ("scope", "anything"),
    ],
)
async def test_valid_claim_is_accepted(issuer: Issuer, verifier: JwtVerifier, claim: str, value: object) -> None:
    sub = value if claim == "sub" else "auth0|someone"
    assert (await verifier.verify(issuer.token(claims={claim: value}))).user == f"{issuer.url}|{sub}"


@pytest.mark.parametrize(
    ("claim", "offset", "good"),
    [
        ("exp", 1, True),
        ("exp", 0, False),
        ("nbf", 5, True),
        ("nbf", 6, False),
        ("iat", 5, True),
        ("iat", 6, False),
    ],
)
async def test_leeway_applies_to_new_tokens_only(issuer: Issuer, claim: str, offset: int, good: bool) -> None:
    now = 2_000_000_000
    async with open_verifier(issuer.url, AUDIENCE, issuer.jwks_url, now=lambda: now) as verifier:
        times = {"exp": now + 600, "nbf": now, "iat": now, claim: now + offset}
        if good:
            await verifier.verify(issuer.token(claims=times))
        else:
            await refused(verifier, issuer.token(claims=times))


async def test_missing_slash_of_the_issuer_is_named(issuer: Issuer, verifier: JwtVerifier) -> None:
    assert "slash at the end" in await refused(verifier, issuer.token(iss=issuer.url + "/"))
    assert "slash" not in await refused(verifier, issuer.token(iss="https://issuer.test"))


# --- tokens that cannot be read -------------------------------------------------------------------------------

_HEADER = b64json({"alg": "RS256"})
_HUGE = b'{"exp":' + b"9" * 5000 + b"}"


_MALFORMED = {
    "no JSON at all": "aaaa.bbbb.cccc",
    "header no JSON": f"{b64url(b'no json')}.{b64json({})}.AAAA",
    "header a list": f"{b64json(['alg', 'RS256'])}.{b64json({})}.AAAA",
    "claims no JSON": f"{_HEADER}.{b64url(b'no json')}.AAAA",
    "claims a string": f"{_HEADER}.{b64json('a string')}.AAAA",
    "claims null": f"{_HEADER}.{b64json(None)}.AAAA",
    "claims not UTF-8": f"{_HEADER}.{b64url(bytes([0xFF, 0xFE, 0xFD]))}.AAAA",
    "signature no base64url": f"{_HEADER}.{b64json({})}.A",
    "claims too deep": f"{_HEADER}.{b64url(b'[' * 9000)}.AAAA",
    "integer too long": f"{_HEADER}.{b64url(_HUGE)}.AAAA",
    "payload elsewhere": f"{b64json({'alg': 'RS256', 'b64': False, 'crit': ['b64']})}.{b64json({})}.AAAA",
    "too long": f"{_HEADER}.{b64json({'pad': 'x' * 20000})}.AAAA",
    "two parts": f"{_HEADER}.{b64json({})}",
    "nothing": "",
}


@pytest.mark.parametrize("token", _MALFORMED.values(), ids=_MALFORMED)
async def test_unreadable_token_is_malformed(issuer: Issuer, verifier: JwtVerifier, token: str) -> None:
    await refused(verifier, token, JwtMalformedError)
    assert issuer.requests == []


@pytest.mark.parametrize("header", [{"kid": 7}, {"crit": ["unheard-of"], "unheard-of": 1}, {"crit": []}])
async def test_unaccepted_headers_are_refused(issuer: Issuer, verifier: JwtVerifier, header: Any) -> None:
    text = await refused(verifier, issuer.token(header=header))
    assert "header" in text
    assert "unheard-of" not in text


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk"]), _json), data=st.data())
def test_any_unsigned_token_is_unauthorized(issuer: Issuer, header: dict[str, Any], data: st.DataObject) -> None:
    """An unsigned token is Unauthorized, whatever its header and claims contain."""
    claims = issuer.claims(data.draw(st.dictionaries(st.sampled_from(["iss", "aud", "exp", "sub"]), _json)))
    if data.draw(st.booleans()):
        header["alg"] = "RS256"
    signature = data.draw(st.binary(min_size=1, max_size=300))

    async def check() -> None:
        async with open_verifier(issuer.url, AUDIENCE, issuer.jwks_url) as verifier:
            with pytest.raises(UnauthorizedError):
                await verifier.verify(jws(header, claims, lambda _: signature))

    asyncio.run(check())


# --- where the keys are ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/", "/realms/one", "/realms/one/"])
async def test_keys_are_found_through_the_discovery_document(path: str) -> None:
    with Issuer(path=path.removesuffix("/")) as issuer:
        issuer.url += "/" if path.endswith("/") else ""
        async with open_verifier(issuer.url, AUDIENCE) as verifier:
            assert (await verifier.verify(issuer.token())).user == f"{issuer.url}|auth0|someone"
            assert issuer.requests == [path.removesuffix("/") + DISCOVERY, JWKS]


async def test_discovery_document_may_differ_in_the_last_slash(issuer: Issuer) -> None:
    async with open_verifier(issuer.url, AUDIENCE) as verifier:
        issuer.discovery = lambda: json.dumps({"issuer": issuer.url + "/", "jwks_uri": issuer.jwks_url}).encode()
        await verifier.verify(issuer.token())


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://issuer.test"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": 7},
        {"jwks_uri": "file:///etc/hostname"},
        {"jwks_uri": "/keys"},
        {"jwks_uri": "http://[::1/keys"},
    ],
)
async def test_invalid_discovery_document_is_refused(issuer: Issuer, change: dict[str, Any]) -> None:
    good = json.loads(issuer.discovery())
    issuer.discovery = lambda: json.dumps(good | change).encode()
    async with open_verifier(issuer.url, AUDIENCE) as verifier:
        with pytest.raises(IssuerUnavailableError):
            await verifier.verify(issuer.token())
        assert issuer.requests == [DISCOVERY]


_NO_JWK_SETS = {
    "empty": b"",
    "HTML": b"<html>",
    "a list": b"[]",
    "null": b"null",
    "keys an object": b'{"keys": {}}',
    "no keys": b"{}",
    "too deep": b"[" * 100_000,
    "too long": b'{"keys": []}'.ljust(jwks.MAX_DOCUMENT_BYTES + 1),
}


@pytest.mark.parametrize("body", _NO_JWK_SETS.values(), ids=_NO_JWK_SETS)
async def test_invalid_jwk_set_is_refused(issuer: Issuer, verifier: JwtVerifier, body: bytes) -> None:
    issuer.jwks = lambda: body
    with pytest.raises(IssuerUnavailableError) as caught:
        await verifier.verify(issuer.token())
    assert caught.value.retry_after == jwks.RETRY_PAUSE_SECONDS


@pytest.mark.parametrize("status", [301, 302, 307, 404, 500])
async def test_only_status_200_counts_and_redirects_are_not_followed(
    issuer: Issuer, verifier: JwtVerifier, status: int
) -> None:
    issuer.status = status
    with pytest.raises(IssuerUnavailableError):
        await verifier.verify(issuer.token())
    assert issuer.requests == [JWKS]


def _changed(key: SigningKey, **changed: Any) -> dict[str, Any]:
    return {name: value for name, value in (key.jwk() | changed).items() if value is not None}


_SMALL = SigningKey(rsa.generate_private_key(public_exponent=65537, key_size=1024), "small", "RS256")
_RSA, _EC, _ED = (signing_key(alg, "odd", number=2) for alg in ALGORITHMS)


@pytest.mark.parametrize(
    ("key", "odd"),
    [
        (_RSA, _changed(_RSA, use="enc")),
        (_RSA, _changed(_RSA, alg="RS512")),
        (_RSA, _changed(_RSA, alg="PS256")),
        (_RSA, _changed(_RSA, alg=["RS256"])),
        (_RSA, _changed(_RSA, key_ops=["sign"])),
        (_RSA, _changed(_RSA, key_ops="verify")),
        (_RSA, _changed(_RSA, kid=7)),
        (_RSA, _changed(_RSA, kty="rsa")),
        (_RSA, _changed(_RSA, kty=["RSA"])),
        (_RSA, _changed(_RSA, n=None)),
        (_RSA, _changed(_RSA, n="!")),
        (_RSA, _changed(_RSA, n=7)),
        (_RSA, _changed(_RSA, e="AA")),
        (_RSA, {"kty": "oct", "kid": "odd", "k": "AAAA", "alg": "RS256"}),
        (_SMALL, _SMALL.jwk()),
        (_EC, _changed(_EC, crv="P-384")),
        (_EC, _changed(_EC, crv=None)),
        (_EC, _changed(_EC, x=_changed(_EC)["y"])),
        (_EC, _changed(_EC, x="AAAA")),
        (_ED, _changed(_ED, crv="Ed448")),
        (_ED, _changed(_ED, x="AAAA")),
        (_RSA, "no object"),
    ],
)
async def test_unusable_key_is_left_out(issuer: Issuer, verifier: JwtVerifier, key: SigningKey, odd: object) -> None:
    issuer.jwks = lambda: json.dumps({"keys": [odd, issuer.keys[0].jwk()]}).encode()
    assert "unknown key" in await refused(verifier, issuer.token(key))
    await verifier.verify(issuer.token())


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_invalid_key_does_not_affect_the_others(data: st.DataObject) -> None:
    good = signing_key("ES256", "good").jwk()
    odd = data.draw(st.sampled_from([_RSA, _EC, _ED])).jwk()
    odd |= data.draw(st.dictionaries(st.sampled_from([*odd, "d", "key_ops", "crv"]), _json, min_size=1, max_size=2))
    assert "good" in [key.kid for key in jwks.usable_keys({"keys": [odd, good]})]


@pytest.mark.parametrize(
    "change", [{"use": None}, {"alg": None}, {"key_ops": ["verify"]}, {"x5c": ["odd"]}, {"use": None, "alg": None}]
)
@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_optional_members_of_a_key(
    issuer: Issuer, verifier: JwtVerifier, alg: str, change: dict[str, Any]
) -> None:
    issuer.keys = [signing_key(alg, "the-key")]
    issuer.jwks = lambda: json.dumps({"keys": [_changed(issuer.keys[0], **change)]}).encode()
    await verifier.verify(issuer.token())


async def test_private_key_published_by_mistake_still_verifies(issuer: Issuer, verifier: JwtVerifier) -> None:
    """PyJWT makes a private key from a JWK with `d`, and a private RSA key has no `verify`."""
    private = issuer.keys[0].private
    assert isinstance(private, rsa.RSAPrivateKey)
    d = b64url(private.private_numbers().d.to_bytes(256, "big"))
    issuer.jwks = lambda: json.dumps({"keys": [issuer.keys[0].jwk() | {"d": d}]}).encode()
    await verifier.verify(issuer.token())


async def test_https_needs_a_trusted_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    with Issuer(certificate=certificate) as issuer:
        async with open_verifier(issuer.url, AUDIENCE) as verifier:
            with pytest.raises(IssuerUnavailableError):
                await verifier.verify(issuer.token())
        assert issuer.requests == []

        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with open_verifier(issuer.url, AUDIENCE) as verifier:
            await verifier.verify(issuer.token())


async def test_https_issuer_cannot_name_keys_without_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Issuer(certificate=certificate) as issuer, Issuer() as plain:
        issuer.jwks_url = plain.jwks_url
        async with open_verifier(issuer.url, AUDIENCE) as verifier:
            with pytest.raises(IssuerUnavailableError):
                await verifier.verify(plain.token(iss=issuer.url))
            assert (issuer.requests, plain.requests) == ([DISCOVERY], [])


# --- when the keys are fetched --------------------------------------------------------------------------------


async def test_concurrent_requests_cause_one_fetch(issuer: Issuer) -> None:
    issuer.delay = 0.1
    async with open_verifier(issuer.url, AUDIENCE) as verifier:
        token = issuer.token()
        assert len(set(await asyncio.gather(*(verifier.verify(token) for _ in range(50))))) == 1
        assert issuer.requests == [DISCOVERY, JWKS]
        await verifier.verify(token)
        assert issuer.requests == [DISCOVERY, JWKS]


async def test_cancelled_request_does_not_cancel_the_fetch(issuer: Issuer, verifier: JwtVerifier) -> None:
    issuer.delay = 0.2
    token = issuer.token()
    first, second = (asyncio.create_task(verifier.verify(token)) for _ in range(2))
    await settled(lambda: issuer.requests)
    first.cancel()
    assert (await second).user == f"{issuer.url}|auth0|someone"
    assert issuer.fetches() == 1


async def test_fetch_does_not_block_the_event_loop(issuer: Issuer, verifier: JwtVerifier) -> None:
    issuer.delay = 0.3
    waiting = asyncio.create_task(verifier.verify(issuer.token()))
    turns = 0
    while not waiting.done():
        turns += 1
        await asyncio.sleep(0.01)
    assert turns > 10


async def test_new_key_is_fetched_when_first_seen(issuer: Issuer, verifier: JwtVerifier) -> None:
    await verifier.verify(issuer.token())
    old = issuer.token()
    issuer.delay = 0.1
    issuer.keys = [signing_key("ES256", "second")]
    token = issuer.token()
    await asyncio.gather(*(verifier.verify(token) for _ in range(50)))
    assert issuer.fetches() == 2
    assert "unknown key" in await refused(verifier, old)


async def test_new_key_without_id_is_fetched(issuer: Issuer, verifier: JwtVerifier) -> None:
    issuer.keys = [signing_key("RS256", None)]
    await verifier.verify(issuer.token())
    issuer.keys = [signing_key("RS256", None, number=1)]
    await verifier.verify(issuer.token())
    assert issuer.fetches() == 2


async def test_unknown_keys_cause_few_fetches(issuer: Issuer, verifier: JwtVerifier, clock: Clock) -> None:
    await verifier.verify(issuer.token())
    unknown = [issuer.token(header={"kid": f"random-{number}"}) for number in range(30)]
    texts = await asyncio.gather(*(refused(verifier, token) for token in unknown))
    texts += [await refused(verifier, token) for token in unknown]
    assert len(set(texts)) == 1
    assert "unknown key" in texts[0]
    assert issuer.fetches() == 2

    clock.time += jwks.UNKNOWN_KEY_PAUSE_SECONDS - 0.1
    await refused(verifier, unknown[0])
    assert issuer.fetches() == 2
    clock.time += 0.1
    await refused(verifier, unknown[0])
    assert issuer.fetches() == 3
    await verifier.verify(issuer.token())
    assert issuer.fetches() == 3


async def test_keys_are_refreshed_in_the_background(issuer: Issuer, verifier: JwtVerifier, clock: Clock) -> None:
    token = issuer.token()
    await verifier.verify(token)
    clock.time += jwks.REFRESH_SECONDS - 0.1
    await verifier.verify(token)
    assert issuer.fetches() == 1

    clock.time += 0.1
    issuer.delay = 0.2
    issuer.keys = [signing_key("RS256", "second")]
    await verifier.verify(token)
    await verifier.verify(token)  # Still with the old key: neither waited for the new one.
    await settled(lambda: issuer.fetches() == 2)
    await verifier.verify(issuer.token())
    assert "unknown key" in await refused(verifier, token)


async def test_old_keys_stay_in_use_while_the_issuer_is_down(
    issuer: Issuer, verifier: JwtVerifier, clock: Clock
) -> None:
    token = issuer.token()
    await verifier.verify(token)
    issuer.stop()
    for _ in range(3):
        clock.time += jwks.REFRESH_SECONDS
        await verifier.verify(token)
        await asyncio.sleep(0.05)
    # A key that we do not know may be a new one of the issuer's: that is no fault of the caller's.
    with pytest.raises(IssuerUnavailableError):
        await verifier.verify(issuer.token(signing_key("ES256", "second")))

    issuer.keys.append(signing_key("ES256", "second"))
    issuer.come_back()
    clock.time += jwks.RETRY_PAUSE_SECONDS
    await verifier.verify(issuer.token(issuer.keys[1]))
    await verifier.verify(token)


async def test_failed_refresh_keeps_the_old_keys(issuer: Issuer, verifier: JwtVerifier, clock: Clock) -> None:
    token = issuer.token()
    await verifier.verify(token)
    issuer.status = 500
    clock.time += jwks.REFRESH_SECONDS
    await verifier.verify(token)
    with pytest.raises(IssuerUnavailableError):  # Waits for the fetch that the line above began.
        await verifier.verify(issuer.token(header={"kid": "unknown"}))
    await verifier.verify(token)
    assert issuer.fetches() == 2


async def test_issuer_can_remove_all_keys(issuer: Issuer, verifier: JwtVerifier) -> None:
    await verifier.verify(issuer.token())
    issuer.jwks = lambda: b'{"keys": []}'
    await refused(verifier, issuer.token(header={"kid": "unknown"}))
    assert "unknown key" in await refused(verifier, issuer.token())


async def test_unreachable_issuer_is_unavailable(issuer: Issuer, verifier: JwtVerifier, clock: Clock) -> None:
    issuer.stop()
    with pytest.raises(IssuerUnavailableError) as caught:
        await verifier.verify(issuer.token())
    assert (caught.value.status, caught.value.code) == (503, "MALFORMED_RESPONSE")
    assert caught.value.retry_after == jwks.RETRY_PAUSE_SECONDS
    assert str(issuer.port) not in caught.value.message
    assert "expired" in await refused(verifier, issuer.token(exp=1)), "this one is bad, whatever its key"

    issuer.come_back()
    with pytest.raises(IssuerUnavailableError):
        await verifier.verify(issuer.token())
    assert issuer.requests == [], "asked again too soon"
    clock.time += jwks.RETRY_PAUSE_SECONDS
    await verifier.verify(issuer.token())


async def test_log_has_the_reason_of_a_failed_fetch(
    issuer: Issuer, verifier: JwtVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = CapturingLogger()
    monkeypatch.setattr(jwks, "log", lines)
    issuer.status = 403
    token = issuer.token()
    with pytest.raises(IssuerUnavailableError):
        await verifier.verify(token)
    (line,) = lines.calls
    assert line.args == ("jwks_fetch_failed",)
    assert f"{issuer.jwks_url} answered with status 403" in line.kwargs["reason"]
    assert all(part not in str(line) for part in token.split("."))


@pytest.mark.parametrize("piecemeal", [False, True])
async def test_hanging_issuer_times_out(monkeypatch: pytest.MonkeyPatch, piecemeal: bool) -> None:
    monkeypatch.setattr(jwks, "FETCH_TIMEOUT_SECONDS", 0.3)
    closed = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" if piecemeal else b"")
            while not reader.at_eof():
                writer.write(b" " if piecemeal else b"")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        finally:
            writer.close()
            closed.set()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with open_verifier(url, AUDIENCE) as verifier:
        with Issuer() as other:
            token = other.token(iss=url)
        async with asyncio.timeout(3):
            with pytest.raises(IssuerUnavailableError):
                await verifier.verify(token)
            await closed.wait()
    server.close()
    await server.wait_closed()


async def test_stopping_the_service_cancels_the_fetch(issuer: Issuer) -> None:
    issuer.delay = 0.3
    async with open_verifier(issuer.url, AUDIENCE) as verifier:
        waiting = asyncio.create_task(verifier.verify(issuer.token()))
        await settled(lambda: issuer.requests)
    with pytest.raises(IssuerUnavailableError):
        await waiting


# --- settings -------------------------------------------------------------------------------------------------

_ISSUER, _KEYS = "https://issuer.test/", "https://issuer.test/keys"


@pytest.mark.parametrize(
    ("issuer", "audience", "jwks_url", "named"),
    [
        (_ISSUER, None, None, "HEADWATER_JWT_AUDIENCE: required"),
        (_ISSUER, "", _KEYS, "HEADWATER_JWT_AUDIENCE: required"),
        (None, AUDIENCE, None, "HEADWATER_JWT_ISSUER: required"),
        ("", AUDIENCE, _KEYS, "HEADWATER_JWT_ISSUER: required"),
        (None, None, _KEYS, "HEADWATER_JWT_ISSUER: required"),
        ("issuer.test", AUDIENCE, None, "HEADWATER_JWT_ISSUER: expected"),
        ("https://issuer.test/?a=b", AUDIENCE, None, "HEADWATER_JWT_ISSUER: expected"),
        ("https://issuer.test#", AUDIENCE, None, "HEADWATER_JWT_ISSUER: expected"),
        ("https://", AUDIENCE, None, "HEADWATER_JWT_ISSUER: expected"),
        (_ISSUER, AUDIENCE, "ftp://issuer.test", "HEADWATER_JWKS_URL: expected"),
        (_ISSUER, AUDIENCE, "https://user:word@issuer.test/keys", "HEADWATER_JWKS_URL: expected"),
        (_ISSUER, AUDIENCE, "https://issuer.test:port/keys", "HEADWATER_JWKS_URL: expected"),
        (_ISSUER, AUDIENCE, "https://issuer.test/key s", "HEADWATER_JWKS_URL: expected"),
    ],
)
def test_incomplete_settings_stop_the_start(
    issuer: str | None, audience: str | None, jwks_url: str | None, named: str
) -> None:
    with pytest.raises(StartupError, match=named):
        jwt_verifier(issuer, audience, jwks_url, None, Transport(Egress()), start_task)


@pytest.mark.parametrize(
    ("issuer", "jwks_url"),
    [(_ISSUER, None), (_ISSUER, ""), (_ISSUER, _KEYS + "?appid=1"), ("accounts.issuer.test", _KEYS)],
)
def test_complete_settings_make_a_verifier(issuer: str, jwks_url: str | None) -> None:
    assert isinstance(jwt_verifier(issuer, AUDIENCE, jwks_url, None, Transport(Egress()), start_task), JwtVerifier)


def test_without_settings_there_is_no_verifier() -> None:
    assert jwt_verifier(None, None, None, None, Transport(Egress()), start_task) is None
    assert jwt_verifier("", "", "", "", Transport(Egress()), start_task) is None
