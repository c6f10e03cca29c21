"""Key files that are none, and access tokens: fetched once, renewed in time, and anew where they are refused early."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.auth.transport.requests import Request as GoogleRequest
from google.oauth2 import service_account

from headwater.domain.errors import CredentialsRefusedError, LocationInvalidError, StoreError, StoreUnavailableError
from headwater.net import refreshing as renewal
from headwater.net.egress import Egress
from headwater.net.refreshing import Expiring, RefreshingCache
from headwater.net.transport import Transport
from headwater.observability.work import observing
from headwater.stores.gcs import credentials as gcs_credentials
from headwater.stores.gcs.bucket import gcs_bucket
from headwater.stores.gcs.credentials import AccessTokens, read_key_file
from headwater.stores.gcs.store import CONFIGURED, GcsStore
from headwater.testing.fault_proxy import Delay, FaultProxy, Reset, Status
from tests.observability.recorder import Recorder
from tests.stores.gcs.bucket import LOOPBACK, open_store
from tests.stores.gcs.server import AUDIENCE, EMAIL, KEY_ID, SCOPE, GcsServer, key_file, pem, private_key


class Clock:
    """Time that the tests move."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def access(
    transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str], clock: Callable[[], float]
) -> AccessTokens:
    found = read_key_file(json.dumps(gcs.key_file()), "gcsCredentials", LOOPBACK)
    return AccessTokens(transport, found, "gcsCredentials", tokens, clock)


# --- key files ---

NO_KEY_FILES: dict[str, Any] = {
    "no JSON": "-----BEGIN PRIVATE KEY-----",
    "cut short": json.dumps(key_file())[:-10],
    "not UTF-8": '{"type": "service_account\udc80"}',
    "a list": "[]",
    "a text": '"service_account"',
    "deep": "[" * 20_000,
    "long": json.dumps(key_file(more="x" * 40_000)),
    "of a user": key_file(type="authorized_user", refresh_token="test-refresh-token"),
    "of a federation": key_file(type="external_account"),
    "of another kind": key_file(type="a-secret-kind"),
    "of no kind": key_file(type=None),
    "of an odd kind": key_file(type=["service_account"]),
    "without an email": key_file(client_email=None),
    "with an odd email": key_file(client_email="a@b\r\nx: y"),
    "with a foreign email": key_file(client_email="secret-value"),
    "without a key": key_file(private_key=None),
    "with an empty key": key_file(private_key=""),
    "with a number for a key": key_file(private_key=5),
    "without a key id": key_file(private_key_id=None),
    "with an odd key id": key_file(private_key_id="a b"),
    "without a token uri": key_file(token_uri=None),
    "of another cloud": key_file(universe_domain="secret-universe.example"),
}


@pytest.mark.parametrize("name", NO_KEY_FILES)
def test_other_texts_are_refused_and_not_repeated(name: str) -> None:
    found = NO_KEY_FILES[name]
    text = found if isinstance(found, str) else json.dumps(found)
    with pytest.raises(CredentialsRefusedError) as refusal:
        read_key_file(text, "gcsCredentials", Egress())
    message = refusal.value.message
    assert message.startswith("gcsCredentials: ")
    for secret in ("secret", "test-refresh-token", EMAIL, KEY_ID, "BEGIN", "x: y"):
        assert secret not in message


def test_credentials_of_a_user_are_named_as_such() -> None:
    with pytest.raises(CredentialsRefusedError, match="this is the credentials of a user"):
        read_key_file(json.dumps(key_file(type="authorized_user")), "gcsCredentials", Egress())


NO_KEYS = {
    "none": "hello",
    "broken": pem(private_key()).replace("A", "B"),
    "not ASCII": "ключ",
    "cut short": pem(private_key())[:900],
    "too long": pem(private_key()) * 4,
    "elliptic": pem(ec.generate_private_key(ec.SECP256R1())),
    "public": "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n",
}


@pytest.mark.parametrize("name", NO_KEYS)
async def test_an_invalid_private_key_is_refused(
    transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str], name: str
) -> None:
    found = read_key_file(json.dumps(gcs.key_file(private_key=NO_KEYS[name])), "gcsCredentials", LOOPBACK)
    store = GcsStore(transport, gcs_bucket("bucket", gcs.url), "", found, tokens, CONFIGURED)
    for call in (lambda: store.sign(["a"], 60), lambda: store.list_page("", None, 1), lambda: store.sign(["a"], 60)):
        with pytest.raises(CredentialsRefusedError, match="gcsCredentials: private_key of the key file") as refusal:
            await call()
        assert NO_KEYS[name][:10] not in refusal.value.message
    assert gcs.token_requests == 0


def test_the_repr_of_a_key_file_shows_no_secret() -> None:
    assert repr(read_key_file(json.dumps(key_file()), "gcsCredentials", Egress())) == "KeyFile()"


def test_cached_key_files_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs_credentials, "MAX_CACHED_KEY_FILES", 3)
    monkeypatch.setattr(gcs_credentials, "_key_files", OrderedDict())
    text = json.dumps(key_file(project_id="kept"))
    first = read_key_file(text, "gcsCredentials", Egress())
    for number in range(2):
        read_key_file(json.dumps(key_file(project_id=f"p{number}")), "gcsCredentials", Egress())
        assert read_key_file(text, "gcsCredentials", Egress()) is first
    for number in range(2, 9):
        read_key_file(json.dumps(key_file(project_id=f"p{number}")), "gcsCredentials", Egress())
    assert read_key_file(text, "gcsCredentials", Egress()) is not first
    assert len(gcs_credentials._key_files) == 3


async def test_the_private_key_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check takes 50 ms of CPU time, and every request opens a datasource."""
    checked = 0

    def counting(*arguments: Any) -> Any:
        nonlocal checked
        checked += 1
        return load_pem_private_key(*arguments)

    monkeypatch.setattr("headwater.stores.gcs.credentials.load_pem_private_key", counting)
    text = json.dumps(key_file(project_id="checked once"))
    files = [read_key_file(text, "gcsCredentials", Egress()) for _ in range(20)]
    assert len({id(key) for key in await asyncio.gather(*(file.private_key("x") for file in files))}) == 1
    assert checked == 1


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        ("http://oauth2.googleapis.com/token", "oauth2.googleapis.com"),
        ("https://oauth2.googleapis.com:8443/token", "oauth2.googleapis.com"),
        ("https://oauth2.googleapis.com.evil.example/token", "oauth2.googleapis.com.evil.example"),
        ("https://evil.example/token", "other.example, evil.example"),
        ("https://127.0.0.1/token", "127.0.0.1"),
        ("http://10.1.2.3:8080/token", "10.0.0.0/8"),
    ],
)
def test_tokens_come_from_google_or_an_allowed_host(uri: str, allowed: str) -> None:
    text = json.dumps(key_file(uri))
    with pytest.raises(
        LocationInvalidError, match=r"token_uri in gcsCredentials: .*HEADWATER_ALLOWED_ENDPOINTS"
    ) as refusal:
        read_key_file(text, "gcsCredentials", Egress())
    assert "evil" not in refusal.value.message
    assert read_key_file(text, "gcsCredentials", Egress.parse(allowed)).token_target == "/token"
    # What was allowed once is judged again: the file is remembered, its permission is not.
    with pytest.raises(LocationInvalidError):
        read_key_file(text, "gcsCredentials", Egress())


@pytest.mark.parametrize(
    "uri",
    [
        *(AUDIENCE, "https://accounts.google.com/o/oauth2/token", "https://www.googleapis.com/oauth2/v4/token"),
        "https://OAUTH2.googleapis.com/token",
    ],
)
def test_googles_own_token_endpoints_need_no_operator(uri: str) -> None:
    assert read_key_file(json.dumps(key_file(uri)), "gcsCredentials", Egress()).token_origin.scheme == "https"


@pytest.mark.parametrize(
    "uri", ["ftp://oauth2.googleapis.com", "oauth2.googleapis.com/token", "https://u:p@evil.example/"]
)
def test_an_invalid_token_uri_is_refused(uri: str) -> None:
    with pytest.raises(LocationInvalidError, match="token_uri in gcsCredentials") as refusal:
        read_key_file(json.dumps(key_file(uri)), "gcsCredentials", Egress())
    assert "evil" not in refusal.value.message


async def test_egress_rules_apply_to_an_allowed_token_host(gcs: GcsServer, tokens: RefreshingCache[str]) -> None:
    """The key file's host is a user's: it is never contacted as the operator's own endpoint is."""
    found = read_key_file(json.dumps(gcs.key_file()), "gcsCredentials", LOOPBACK)
    strict = Transport(Egress())
    store = GcsStore(strict, gcs_bucket("bucket", gcs.url), "", found, tokens, CONFIGURED)
    with pytest.raises(LocationInvalidError, match="HEADWATER_ALLOWED_ENDPOINTS"):
        await store.list_page("", None, 1)
    await strict.aclose()
    assert (gcs.token_requests, gcs.requests) == (0, [])


# --- access tokens ---


async def test_a_token_is_fetched_once(transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str]) -> None:
    gcs.put("bucket", "a")
    pages = await asyncio.gather(
        *(open_store(transport, gcs, tokens).list_page("", None, 1) for _ in range(50)), return_exceptions=False
    )
    assert all(len(page.objects) == 1 for page in pages)
    store = open_store(transport, gcs, tokens)
    for _ in range(5):
        await store.read("a", 1)
    assert gcs.token_requests == 1


async def test_each_key_file_has_its_own_tokens(
    transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str]
) -> None:
    """A file that differs in any way may belong to another account."""
    await open_store(transport, gcs, tokens).list_page("", None, 1)
    other = gcs.key_file(private_key=pem(rsa.generate_private_key(65537, 2048)))
    found = read_key_file(json.dumps(other), "gcsCredentials", LOOPBACK)
    store = GcsStore(transport, gcs_bucket("bucket", gcs.url), "", found, tokens, CONFIGURED)
    with pytest.raises(
        CredentialsRefusedError, match=r"invalid_grant \(Invalid JWT Signature\)\. Check gcsCredentials"
    ):
        await store.list_page("", None, 1)
    assert gcs.token_requests == 2


async def test_a_token_is_renewed_before_it_expires(transport: Transport, gcs: GcsServer) -> None:
    clock = Clock()
    gcs.now = clock
    tokens: RefreshingCache[str] = RefreshingCache(clock=clock)
    source = access(transport, gcs, tokens, clock)
    first = await source.get()
    clock.now += 1700
    assert await source.get() == first
    assert gcs.token_requests == 1
    clock.now += 200
    assert await asyncio.gather(*(source.get() for _ in range(20))) == [first] * 20, "nobody waits for the new one"
    for _ in range(200):
        if (second := await source.get()) != first:
            break
        await asyncio.sleep(0.01)
    assert second != first
    assert gcs.token_requests == 2
    clock.now += 7200
    assert len(set(await asyncio.gather(*(source.get() for _ in range(20))))) == 1
    assert gcs.token_requests == 3


@pytest.mark.parametrize(("life", "given"), [(3599, 3539), (100, 90), (1, 0.9), (10**9, 43_140)])
async def test_a_token_that_is_about_to_expire_is_not_used(
    transport: Transport, gcs: GcsServer, life: int, given: float
) -> None:
    clock = Clock()
    gcs.now, gcs.token_life = clock, life
    source = access(transport, gcs, RefreshingCache(clock=clock), clock)
    leased: Expiring[str] = await source._fetch()
    assert leased.expires_at - clock.now == pytest.approx(given)
    assert clock.now < leased.refresh_at < leased.expires_at


async def test_a_revoked_token_is_fetched_again_once(transport: Transport, gcs: GcsServer) -> None:
    """It was refused until its hour was over."""
    clock = Clock()
    gcs.now = clock
    tokens: RefreshingCache[str] = RefreshingCache(clock=clock)
    store = open_store(transport, gcs, tokens, clock=clock)
    gcs.put("bucket", "a")
    await store.list_page("", None, 1)
    gcs.tokens.clear()
    clock.now += renewal.RETRY_PAUSE_SECONDS + 1
    calls = [store.read("a", 1) if number % 2 else store.list_page("", None, 1) for number in range(40)]
    await asyncio.gather(*calls)
    assert gcs.token_requests == 2
    assert 41 < len(gcs.requests) <= 1 + 2 * 40


async def test_refused_tokens_are_not_fetched_endlessly(transport: Transport, gcs: GcsServer) -> None:
    clock = Clock()
    gcs.now = clock
    tokens: RefreshingCache[str] = RefreshingCache(clock=clock)
    store = open_store(transport, gcs, tokens, clock=clock)
    await store.list_page("", None, 1)
    gcs.refuses = True
    for fetched in (1, 2, 3):
        for _ in range(5):
            calls = [store.list_page("", None, 1) for _ in range(5)]
            for refusal in await asyncio.gather(*calls, return_exceptions=True):
                assert type(refusal) is CredentialsRefusedError
                assert "authError (Invalid Credentials). Google does not accept the access token" in refusal.message
            assert gcs.token_requests == fetched
        clock.now += renewal.RETRY_PAUSE_SECONDS + 1


async def test_forgetting_a_value() -> None:
    clock = Clock()
    values: RefreshingCache[int] = RefreshingCache(clock=clock)
    made = iter(range(10))

    async def fetch() -> Expiring[int]:
        return Expiring(next(made), clock.now + 500, clock.now + 1000)

    assert values.forget("k", 0), "nothing is kept of it"
    assert await values.get("k", fetch) == 0
    assert not values.forget("k", 0), "another would be refused as well"
    clock.now += renewal.RETRY_PAUSE_SECONDS
    assert values.forget("k", 0)
    assert await values.get("k", fetch) == 1
    assert values.forget("k", 0), "another caller dropped it"
    assert await values.get("k", fetch) == 1


async def test_the_assertion_is_what_google_documents(
    transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str]
) -> None:
    before = int(time.time())
    await access(transport, gcs, tokens, time.time).get()
    (request,) = gcs._proxy.requests
    assert (request.method, request.target) == ("POST", "/token")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assertion = Status(200, request.body).body.decode().partition("assertion=")[2]
    assert jwt.get_unverified_header(assertion) == {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}
    claims = jwt.decode(assertion, private_key().public_key(), algorithms=["RS256"], audience=AUDIENCE)
    assert before <= claims["iat"] <= time.time()
    assert claims == {
        "iss": EMAIL,
        "scope": SCOPE,
        "aud": AUDIENCE,
        "iat": claims["iat"],
        "exp": claims["iat"] + 3600,
    }


def test_the_token_endpoint_of_the_tests_serves_google_auth(gcs: GcsServer) -> None:
    credentials = service_account.Credentials.from_service_account_info(gcs.key_file(), scopes=[SCOPE])
    credentials.refresh(GoogleRequest())
    assert credentials.token in gcs.tokens


# --- what token endpoints answer ---


async def refusal_of(transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str]) -> StoreError:
    with pytest.raises(StoreError) as refusal:
        await open_store(transport, gcs, tokens).list_page("", None, 1)
    assert gcs.requests == []
    assert "ya29" not in refusal.value.message
    assert "eyJ" not in refusal.value.message
    return refusal.value


async def test_a_deleted_account_is_an_error(
    transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str]
) -> None:
    gcs.account_exists = False
    with observing(recorder := Recorder()):
        error = await refusal_of(transport, gcs, tokens)
    assert type(error) is CredentialsRefusedError
    assert recorder.counted("store_errors") == [["gcs", "invalid_grant"]]
    assert error.provider_code == "invalid_grant"
    assert "Google gave no access token: invalid_grant (Invalid grant: account not found). Check gcsC" in error.message
    await refusal_of(transport, gcs, tokens)
    assert gcs.token_requests == 1, "each request of the datasource cost a fetch"


@pytest.mark.parametrize("off", [-86_400, 86_400])
async def test_a_wrong_clock_is_the_operators_to_fix(
    transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str], off: int
) -> None:
    gcs.now = lambda: time.time() + off
    error = await refusal_of(transport, gcs, tokens)
    assert type(error) is StoreUnavailableError
    assert "the operator must set this server's clock" in error.message
    assert gcs.token_requests == 1


async def test_a_repeated_assertion_is_not_shown(
    transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str]
) -> None:
    await open_store(transport, gcs, tokens).list_page("", None, 1)
    assertion = gcs._proxy.requests[0].body.decode().partition("assertion=")[2]
    fresh: RefreshingCache[str] = RefreshingCache()
    body = json.dumps({"error": "invalid_grant", "error_description": f"Bad: {assertion}"}).encode()
    with FaultProxy(respond=lambda _: Status(400, body)) as other:
        found = read_key_file(json.dumps(key_file(f"{other.url}/token")), "gcsCredentials", LOOPBACK)
        with pytest.raises(CredentialsRefusedError) as refusal:
            await AccessTokens(transport, found, "gcsCredentials", fresh).get()
    assert assertion[-60:] not in refusal.value.message
    assert "Bad" in refusal.value.message


@pytest.mark.parametrize(
    "faults",
    [
        [Status(503), Status(500, b'{"error": "internal_failure"}'), Reset(0)],
        [Status(429), Status(400, b'{"error": "temporarily_unavailable"}')],
        [Delay(0.1), None],
    ],
)
async def test_transient_errors_of_the_token_endpoint_are_retried(
    transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str], faults: list[Any]
) -> None:
    gcs.faults += faults
    assert (await open_store(transport, gcs, tokens).list_page("", None, 1)).objects == []
    assert len(gcs.tokens) in (1, 2)


async def test_a_token_endpoint_that_stays_down_is_unavailable_in_time(
    transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str]
) -> None:
    """google-auth pauses for seconds between its own attempts, in a thread."""
    gcs.faults += [Status(503)] * 20
    began = time.monotonic()
    error = await refusal_of(transport, gcs, tokens)
    assert type(error) is StoreUnavailableError
    assert time.monotonic() - began < 2
    assert gcs.token_requests == 4


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"<html>hello</html>",
            b"[]",
            b"{}",
            b'{"access_token": "a"}',
            b'{"access_token": "a", "expires_in": 0}',
        ),
        *(b'{"access_token": "a b", "expires_in": 9}', b'{"access_token": "a\\r\\nx: y", "expires_in": 9}'),
        *(b'{"access_token": "", "expires_in": 9}', b'{"access_token": "a", "expires_in": "soon"}'),
        b'{"access_token": "\\u00e9", "expires_in": 9}',
    ],
)
async def test_a_response_without_a_token_is_an_error(
    transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str], body: bytes
) -> None:
    gcs.faults.append(Status(200, body))
    error = await refusal_of(transport, gcs, tokens)
    assert type(error) is LocationInvalidError
    assert "answered with no access token. Check token_uri in gcsCredentials" in error.message


@pytest.mark.parametrize("body", [b"<html>{key_id} nothing here</html>", b""])
@pytest.mark.parametrize("status", [204, 301, 400, 401, 404])
async def test_another_server_is_no_token_endpoint(
    transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str], status: int, body: bytes
) -> None:
    """An empty answer ended in a KeyError."""
    gcs.faults.append(Status(status, body, {"location": f"{gcs.url}/token"}))
    error = await refusal_of(transport, gcs, tokens)
    assert isinstance(error, LocationInvalidError | CredentialsRefusedError)
    assert "gcsCredentials" in error.message
    assert gcs.token_requests == 1, "redirects are not followed"


async def test_a_huge_response_is_not_read(transport: Transport, gcs: GcsServer, tokens: RefreshingCache[str]) -> None:
    gcs.faults.append(Status(200, b" " * 70_000))
    assert "more than 65536 bytes" in (await refusal_of(transport, gcs, tokens)).message
