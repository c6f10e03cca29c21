"""S3DelegatedAccess: a role is assumed once, refreshed in time, and every error says who has to act.

moto checks signatures, the trust policy, the external id and the role's policy; a proxy counts, delays and refuses.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import CredentialRetrievalError

from headwater.domain.datasource import S3DelegatedAccessConfig, parse_config
from headwater.domain.datasource_checks import S3_REGIONS
from headwater.domain.errors import CredentialsRefusedError, LocationInvalidError, StoreError, StoreUnavailableError
from headwater.net.refreshing import REFUSAL_SECONDS, RETRY_PAUSE_SECONDS, RefreshingCache
from headwater.net.transport import Transport
from headwater.net.users import working_for
from headwater.observability.work import observing
from headwater.stores.s3 import assumed_role, sts
from headwater.stores.s3.assumed_role import open_delegated
from headwater.stores.s3.bucket import signed_region
from headwater.stores.s3.error_codes import RULES, STS_RULES
from headwater.stores.s3.sigv4 import Credentials
from headwater.stores.s3.store import S3Store
from headwater.testing.fault_proxy import Delay, FaultProxy, Raw, Request, Status
from tests.observability.recorder import Recorder
from tests.servers import AwsUser, GuardedAws, free_port, rclone_s3, trust
from tests.stores.s3.server import answering, error_xml, fetch, list_xml

EXTERNAL_ID = "external-id-of-ada"
Open = Callable[[str], S3Store]
ALL = ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"]


class Clock:
    """The time, which tests advance."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def s3(guarded: GuardedAws) -> Iterator[FaultProxy]:
    with FaultProxy(guarded.url) as proxy:
        yield proxy


@pytest.fixture
def aws_sts(guarded: GuardedAws) -> Iterator[FaultProxy]:
    with FaultProxy(guarded.url) as proxy:
        yield proxy


@pytest.fixture
def bucket(guarded: GuardedAws) -> str:
    name = guarded.bucket()
    guarded.s3.put_object(Bucket=name, Key="data/a.jpg", Body=b"content")
    return name


@pytest.fixture
def role(guarded: GuardedAws, own_identity: AwsUser) -> str:
    return guarded.role(ALL, trust(own_identity, EXTERNAL_ID))


def config(
    role: str, bucket: str = "bucket", external_id: str = EXTERNAL_ID, region: str = "us-east-1"
) -> S3DelegatedAccessConfig:
    made = parse_config(
        {
            "type": "S3DelegatedAccess",
            "fullPath": f"s3://{bucket}/data/",
            "s3Region": region,
            "s3ExternalId": external_id,
            "s3ARN": role,
        }
    )
    assert isinstance(made, S3DelegatedAccessConfig)
    return made


@pytest.fixture
def sessions(clock: Clock) -> RefreshingCache[Credentials]:
    return RefreshingCache(clock=clock)


@pytest.fixture
def store(
    transport: Transport,
    sessions: RefreshingCache[Credentials],
    s3: FaultProxy,
    aws_sts: FaultProxy,
    role: str,
    bucket: str,
    clock: Clock,
) -> S3Store:
    return open_delegated(config(role, bucket), transport, sessions, s3.url, aws_sts.url, clock)


async def names(store: S3Store) -> list[str]:
    return [found.key for found in (await store.list_page("", None, 10)).objects]


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came to that")


# --- a session of the role ---


async def test_role_gives_access(store: S3Store, aws_sts: FaultProxy, guarded: GuardedAws, bucket: str) -> None:
    assert await names(store) == ["a.jpg"]
    assert await store.read("a.jpg", 100) == b"content"
    await store.write("b.txt", b"new")
    assert guarded.keys(bucket) == ["data/a.jpg", "data/b.txt"]
    await store.delete("b.txt")
    assert guarded.keys(bucket) == ["data/a.jpg"]
    (request,) = aws_sts.requests
    asked = dict(parse_qsl(request.body.decode()))
    assert asked["RoleSessionName"] == "headwater-datasources"
    assert (asked["ExternalId"], asked["DurationSeconds"]) == (EXTERNAL_ID, "3600")
    assert "/us-east-1/sts/" in request.headers["authorization"]


async def test_requests_and_urls_carry_the_session(store: S3Store, s3: FaultProxy) -> None:
    await names(store)
    headers = s3.requests[0].headers
    assert headers["x-amz-security-token"]
    assert "x-amz-security-token" in headers["authorization"].split("SignedHeaders=")[1].split(",")[0]
    (url,) = await store.sign(["a.jpg"], 60)
    assert parse_qs(urlsplit(url).query)["X-Amz-Security-Token"] == [headers["x-amz-security-token"]]


async def test_writes_name_the_kms_key(
    transport: Transport,
    sessions: RefreshingCache[Credentials],
    s3: FaultProxy,
    aws_sts: FaultProxy,
    role: str,
    bucket: str,
) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/test-key-id"
    raw = {**config(role, bucket).to_wire(), "s3ServerSideEncryptionKMSKey": key}
    made = parse_config(raw)
    assert isinstance(made, S3DelegatedAccessConfig)
    await open_delegated(made, transport, sessions, s3.url, aws_sts.url).write("a", b"x")
    assert s3.requests[0].headers["x-amz-server-side-encryption-aws-kms-key-id"] == key


async def test_urls_signed_with_the_session_are_accepted(
    tmp_path: Path, transport: Transport, sessions: RefreshingCache[Credentials], guarded: GuardedAws, role: str
) -> None:
    """moto returns 500 for signed URLs; rclone, started with the keys of the session, checks them."""
    (tmp_path / "bucket" / "data").mkdir(parents=True)
    (tmp_path / "bucket" / "data" / "a b.jpg").write_bytes(b"content")
    store = open_delegated(config(role), transport, sessions, "http://127.0.0.1:1", guarded.url)
    session = await store._credentials.credentials()
    assert session.session_token
    with rclone_s3(tmp_path, session.access_key_id, session.secret_access_key) as url:
        signing = open_delegated(config(role), transport, sessions, url, guarded.url)
        get, head, put = [
            (await signing.sign(["a b.jpg"], 60, "GET"))[0],
            (await signing.sign(["a b.jpg"], 60, "HEAD"))[0],
            (await signing.sign(["new"], 60, "PUT"))[0],
        ]
        assert fetch(get) == (200, b"content")
        assert fetch(head, "HEAD") == (200, b"")
        assert fetch(put, "PUT", b"by url")[0] == 200
        assert fetch(get.replace("X-Amz-Security-Token=", "X-Amz-Security-Token=x"))[0] == 403
        assert await signing.read("new", 100) == b"by url"


async def test_url_does_not_outlive_the_session(store: S3Store, clock: Clock) -> None:
    async def life() -> int:
        (url,) = await store.sign(["a.jpg"], 86_400)
        return int(parse_qs(urlsplit(url).query)["X-Amz-Expires"][0])

    assert 3500 < await life() <= 3600
    clock.ahead = 1490
    assert 2100 < await life() <= 2110


# --- once for all, and in time ---


async def test_many_requests_assume_the_role_once(store: S3Store, aws_sts: FaultProxy) -> None:
    aws_sts.faults.append(Delay(0.3))
    found = await asyncio.gather(*(names(store) for _ in range(50)))
    assert found == [["a.jpg"]] * 50
    assert len(aws_sts.requests) == 1


async def test_stores_of_one_role_share_the_session(
    transport: Transport,
    sessions: RefreshingCache[Credentials],
    s3: FaultProxy,
    aws_sts: FaultProxy,
    role: str,
    bucket: str,
) -> None:
    for _ in range(3):
        await names(open_delegated(config(role, bucket), transport, sessions, s3.url, aws_sts.url))
    assert len(aws_sts.requests) == 1
    # Who does not know the external id gets nothing of it.
    other = config(role, bucket, "external-id-of-eve")
    with pytest.raises(CredentialsRefusedError):
        await names(open_delegated(other, transport, sessions, s3.url, aws_sts.url))
    assert len(aws_sts.requests) == 2


@pytest.mark.parametrize("idle", [1490.0, 1790.0, 1810.0, 3000.0, 3500.0])
async def test_url_lives_at_least_half_an_hour(
    transport: Transport, sessions: RefreshingCache[Credentials], role: str, clock: Clock, idle: float
) -> None:
    """The first caller after a pause got the rest of the old session: a few minutes."""
    with FaultProxy(respond=lambda _: Status(200, session_xml(clock() + 3600))) as fake:
        store = open_delegated(config(role), transport, sessions, "http://127.0.0.1:1", fake.url, clock)
        await store.sign(["a.jpg"], 86_400)
        clock.ahead = idle
        (url,) = await store.sign(["a.jpg"], 86_400)
        assert int(parse_qs(urlsplit(url).query)["X-Amz-Expires"][0]) >= 1795


async def test_session_is_refreshed_in_the_background(
    store: S3Store, aws_sts: FaultProxy, s3: FaultProxy, clock: Clock
) -> None:
    await names(store)
    clock.ahead = 1490
    await names(store)
    assert len(aws_sts.requests) == 1
    clock.ahead = 1510
    aws_sts.faults.append(Delay(2.0))
    began = time.monotonic()
    await asyncio.gather(*(names(store) for _ in range(10)))
    assert time.monotonic() - began < 1.8
    await until(lambda: len(aws_sts.requests) == 2)
    before = s3.requests[-1].headers["x-amz-security-token"]
    until_then = time.monotonic() + 15
    while s3.requests[-1].headers["x-amz-security-token"] == before:
        assert time.monotonic() < until_then
        await asyncio.sleep(0.1)
        await names(store)
    assert len(aws_sts.requests) == 2


async def test_session_stays_in_use_if_the_refresh_fails(store: S3Store, aws_sts: FaultProxy, clock: Clock) -> None:
    await names(store)
    clock.ahead = 1810
    aws_sts.faults += [Status(403, sts_error("AccessDenied"))] * 2
    for _ in range(5):
        assert await names(store) == ["a.jpg"]
        await asyncio.sleep(0.1)
    assert len(aws_sts.requests) == 2, "not with every request"
    clock.ahead += RETRY_PAUSE_SECONDS + 1
    assert await names(store) == ["a.jpg"]
    await until(lambda: len(aws_sts.requests) == 3)
    # Once it has ended, what is wrong is told.
    await asyncio.sleep(0.2)
    clock.ahead = 3600
    aws_sts.faults.append(Status(403, sts_error("AccessDenied")))
    with pytest.raises(CredentialsRefusedError, match="AccessDenied"):
        await names(store)


async def test_event_loop_is_not_blocked(store: S3Store, aws_sts: FaultProxy) -> None:
    aws_sts.faults.append(Delay(0.5))
    listing = asyncio.ensure_future(names(store))
    ticks = 0
    while not listing.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 25
    assert listing.result() == ["a.jpg"]


def test_botocore_is_imported_with_the_first_role_only() -> None:
    code = "import sys, headwater.stores.s3.assumed_role; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- sessions that S3 refuses ---

EXPIRED = Status(400, error_xml("ExpiredToken", "The provided token has expired."))


async def test_refused_session_is_replaced_once(
    store: S3Store, s3: FaultProxy, aws_sts: FaultProxy, clock: Clock
) -> None:
    await names(store)
    clock.ahead = RETRY_PAUSE_SECONDS + 1
    s3.faults += [EXPIRED] * 20
    assert await asyncio.gather(*(names(store) for _ in range(20))) == [["a.jpg"]] * 20
    assert len(aws_sts.requests) == 2
    assert len(s3.requests) == 1 + 20 + 20


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidToken", "TokenRefreshRequired"])
async def test_reads_and_writes_continue_with_a_new_session(
    store: S3Store, s3: FaultProxy, aws_sts: FaultProxy, clock: Clock, code: str
) -> None:
    for number, call in enumerate((lambda: store.read("a.jpg", 9), lambda: store.write("n", b"x")), 1):
        await names(store)
        clock.ahead += RETRY_PAUSE_SECONDS + 1
        s3.faults.append(Status(400, error_xml(code)))
        await call()
        assert len(aws_sts.requests) == 1 + number


async def test_store_that_refuses_all_sessions_costs_few_fetches(
    store: S3Store, s3: FaultProxy, aws_sts: FaultProxy, clock: Clock
) -> None:
    await names(store)
    s3.faults += [EXPIRED] * 500
    for _ in range(5):
        # It was only just fetched: another one would fare no better.
        with pytest.raises(CredentialsRefusedError, match=r"ExpiredToken.*The session has expired"):
            await names(store)
    assert (len(aws_sts.requests), len(s3.requests)) == (1, 1 + 5)
    clock.ahead = RETRY_PAUSE_SECONDS + 1
    refused = await asyncio.gather(*(names(store) for _ in range(30)), return_exceptions=True)
    assert {type(error) for error in refused} == {CredentialsRefusedError}
    assert (len(aws_sts.requests), len(s3.requests)) == (2, 6 + 60)


# --- refusals ---


async def refused(store: S3Store) -> StoreError:
    with pytest.raises(StoreError) as error:
        await names(store)
    return error.value


@pytest.fixture
def at(
    transport: Transport, sessions: RefreshingCache[Credentials], guarded: GuardedAws, role: str, clock: Clock
) -> Open:
    """Opens a store whose roles are assumed at the given URL."""

    def at(url: str) -> S3Store:
        return open_delegated(config(role), transport, sessions, guarded.url, url, clock)

    return at


async def test_wrong_external_id_is_refused(
    transport: Transport, sessions: RefreshingCache[Credentials], guarded: GuardedAws, role: str, own_identity: AwsUser
) -> None:
    wrong = config(role, external_id="external-id-of-eve")
    with observing(recorder := Recorder()):
        error = await refused(open_delegated(wrong, transport, sessions, guarded.url, guarded.url))
    assert type(error) is CredentialsRefusedError
    assert error.provider_code == "AccessDenied"
    assert ["sts", "AccessDenied"] in recorder.counted("store_errors")
    (work,) = {work for kind, work, *_ in recorder.told if kind == "end" and work.provider == "sts"}
    assert work.status == "error"
    for word in ("s3ARN", "s3ExternalId", "trust policy", "sts:AssumeRole", own_identity.arn):
        assert word in error.message
    assert own_identity.secret not in error.message


async def test_refused_role_is_assumed_again_only_after_a_pause(
    transport: Transport,
    sessions: RefreshingCache[Credentials],
    guarded: GuardedAws,
    aws_sts: FaultProxy,
    role: str,
    clock: Clock,
) -> None:
    """Each request of the datasource cost an AssumeRole: reads, writes and read URLs as well as listings."""
    wrong = config(role, external_id="external-id-of-eve")
    store = open_delegated(wrong, transport, sessions, guarded.url, aws_sts.url, clock)
    for call in (lambda: names(store), lambda: store.read("a.jpg", 1), lambda: store.sign(["a.jpg"], 60)):
        with pytest.raises(CredentialsRefusedError, match="s3ExternalId"):
            await call()
    assert len(aws_sts.requests) == 1
    clock.ahead += REFUSAL_SECONDS
    await refused(store)
    assert len(aws_sts.requests) == 2


async def test_missing_permission_of_the_role_is_named(
    transport: Transport,
    sessions: RefreshingCache[Credentials],
    guarded: GuardedAws,
    own_identity: AwsUser,
    bucket: str,
) -> None:
    role = guarded.role(["s3:GetObject"], trust(own_identity, EXTERNAL_ID))
    store = open_delegated(config(role, bucket), transport, sessions, guarded.url, guarded.url)
    error = await refused(store)
    assert type(error) is CredentialsRefusedError
    assert f"Allow s3:ListBucket on the bucket '{bucket}' for the role of s3ARN" in error.message
    assert await store.read("a.jpg", 100) == b"content"
    with pytest.raises(
        CredentialsRefusedError, match=rf"Allow s3:PutObject on the path '{bucket}/data/\*' for the role"
    ):
        await store.write("b", b"x")


async def test_unknown_access_key_of_the_server_is_refused(
    transport: Transport,
    sessions: RefreshingCache[Credentials],
    guarded: GuardedAws,
    role: str,
    bucket: str,
    own_identity: AwsUser,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATESTKEYID")
    store = open_delegated(config(role, bucket), transport, sessions, guarded.url, guarded.url)
    error = await refused(store)
    assert type(error) is CredentialsRefusedError
    assert "InvalidClientTokenId" in error.message
    assert "this server's own credentials" in error.message
    assert "its operator must" in error.message
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", own_identity.key_id)
    clock.ahead += REFUSAL_SECONDS
    assert await names(store) == ["a.jpg"], "without a restart"


def sts_error(code: str, message: str = "Said by STS.") -> bytes:
    return (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{message}</Message></Error><RequestId>x</RequestId></ErrorResponse>"
    ).encode()


ROWS = [
    ("AccessDenied", 403, CredentialsRefusedError, "Check s3ARN and s3ExternalId: the role's trust policy"),
    ("ExpiredToken", 403, CredentialsRefusedError, "this server's own credentials"),
    ("ExpiredTokenException", 400, CredentialsRefusedError, "this server's own credentials"),
    ("IncompleteSignature", 400, CredentialsRefusedError, "this server's own credentials"),
    ("InvalidClientTokenId", 403, CredentialsRefusedError, "their account has not enabled the region"),
    ("MissingAuthenticationToken", 403, CredentialsRefusedError, "its operator must"),
    ("OptInRequired", 403, CredentialsRefusedError, "its operator must"),
    (
        "RegionDisabledException",
        403,
        CredentialsRefusedError,
        "STS is not active in this region for the role's account",
    ),
    ("SignatureDoesNotMatch", 403, CredentialsRefusedError, "its operator must"),
    ("UnrecognizedClientException", 400, CredentialsRefusedError, "its operator must"),
    ("ValidationError", 400, CredentialsRefusedError, "Check s3ARN and s3ExternalId: STS does not accept them"),
    ("SomethingNew", 403, CredentialsRefusedError, "Check s3ARN and s3ExternalId: the role's trust policy"),
    ("SomethingNew", 400, CredentialsRefusedError, "Check s3ARN and s3ExternalId: STS does not accept them"),
    ("SomethingNew", 500, StoreUnavailableError, "try again"),
    ("InternalFailure", 500, StoreUnavailableError, "try again"),
    ("ServiceUnavailable", 503, StoreUnavailableError, "try again"),
    ("Throttling", 400, StoreUnavailableError, "fewer requests"),
    ("ThrottlingException", 400, StoreUnavailableError, "fewer requests"),
    ("RequestLimitExceeded", 503, StoreUnavailableError, "fewer requests"),
]


@pytest.mark.usefixtures("own_identity")
@pytest.mark.parametrize(("code", "status", "kind", "advice"), ROWS)
def test_error_code_of_sts_is_explained(code: str, status: int, kind: type[StoreError], advice: str) -> None:
    with FaultProxy(respond=answering(status, sts_error(code))) as server, pytest.raises(StoreError) as error:
        sts.Sts().assume("arn:aws:iam::123456789012:role/test", EXTERNAL_ID, "eu-west-1", server.url)
    assert type(error.value) is kind
    assert error.value.provider_code == code
    start = f"STS at HEADWATER_STS_ENDPOINT did not let this server assume the role: {code} (Said by STS). "
    assert error.value.message.startswith(start)
    assert advice in error.value.message


def test_every_rule_of_sts_is_tested() -> None:
    # Transient errors have the rules of S3, which are tested there.
    own = {code for code, rule in STS_RULES.items() if RULES.get(code) is not rule}
    assert len(own) == 11
    assert own <= {code for code, *_ in ROWS}


@pytest.mark.usefixtures("own_identity")
def test_wrong_clock_is_distinguished_from_a_wrong_secret() -> None:
    body = sts_error("SignatureDoesNotMatch", "Signature expired: 20240101T000000Z is now earlier than …")
    with (
        FaultProxy(respond=answering(403, body)) as server,
        pytest.raises(StoreUnavailableError, match="the operator must set the clock"),
    ):
        sts.Sts().assume("arn:aws:iam::123456789012:role/test", EXTERNAL_ID, "eu-west-1", server.url)


async def test_session_that_has_already_expired_is_refused(at: Open, own_identity: AwsUser) -> None:
    with FaultProxy(respond=answering(200, session_xml(time.time() - 60))) as server:
        error = await refused(at(server.url))
    assert type(error) is StoreUnavailableError
    assert "its operator must set it" in error.message


def session_xml(expires: float) -> bytes:
    until = datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
        "<AccessKeyId>test-session-id</AccessKeyId><SecretAccessKey>test-session-secret</SecretAccessKey>"
        f"<SessionToken>test-session-token</SessionToken><Expiration>{until}</Expiration></Credentials>"
        "</AssumeRoleResult></AssumeRoleResponse>"
    ).encode()


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (Status(200, b"<html>Welcome</html>"), LocationInvalidError, "answered with no session"),
        (Status(200, b"<!doctype html><html><br></html>"), LocationInvalidError, "answered with no session"),
        (Status(200, b'{"a": 1}'), LocationInvalidError, "answered with no session"),
        (Status(200, b""), LocationInvalidError, "answered with no session"),
        (Status(200, sts_error("x").replace(b"Error", b"Other")), LocationInvalidError, "answered with no session"),
        (
            Status(200, session_xml(2e9).replace(b"<SessionToken>test-session-token</SessionToken>", b"")),
            LocationInvalidError,
            "answered with no session",
        ),
        (
            Status(200, session_xml(2e9).replace(b"2033-", b"soon")),
            LocationInvalidError,
            "answered with no session",
        ),
        (Status(404, b"<html>Not here</html>"), LocationInvalidError, "answered with no session"),
        (Status(301, b"", {"location": "http://127.0.0.1:1/"}), LocationInvalidError, "answered with no session"),
        (Status(502, b"<html>Bad gateway</html>"), StoreUnavailableError, "HTTP status 502"),
        (Raw(b"SSH-2.0-OpenSSH\r\n"), StoreUnavailableError, "could not be reached"),
        (Raw(b""), StoreUnavailableError, "could not be reached"),
    ],
)
async def test_response_that_is_not_from_sts_is_named(
    at: Open, own_identity: AwsUser, answer: Status | Raw, kind: type[StoreError], text: str
) -> None:

    def respond(_: Request) -> Status | Raw:
        return answer

    with FaultProxy(respond=respond) as server:
        error = await refused(at(server.url))
    assert type(error) is kind, error.message
    assert text in error.message
    assert "HEADWATER_STS_ENDPOINT" in error.message


async def test_unreachable_sts_is_named(at: Open, own_identity: AwsUser) -> None:
    began = time.monotonic()
    error = await refused(at(f"http://127.0.0.1:{free_port()}"))
    assert time.monotonic() - began < 10
    assert type(error) is StoreUnavailableError
    assert "could not be reached (EndpointConnectionError)" in error.message


async def test_tls_failure_of_sts_is_named(at: Open, guarded: GuardedAws) -> None:
    error = await refused(at(guarded.url.replace("http://", "https://")))
    assert type(error) is StoreUnavailableError
    assert "TLS with STS at HEADWATER_STS_ENDPOINT failed" in error.message
    assert "AWS_CA_BUNDLE" in error.message


async def test_hanging_sts_times_out(at: Open, own_identity: AwsUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assumed_role, "CALL_SECONDS", 0.6)
    monkeypatch.setattr(assumed_role, "START_SECONDS", 0.3)
    with FaultProxy(respond=lambda _: Delay(30)) as server:
        began = time.monotonic()
        error = await refused(at(server.url))
        assert time.monotonic() - began < 8
    assert type(error) is StoreUnavailableError
    assert "took longer than 1 seconds" in error.message


async def test_hanging_region_blocks_neither_other_regions_nor_other_users(
    transport: Transport,
    sessions: RefreshingCache[Credentials],
    guarded: GuardedAws,
    own_identity: AwsUser,
    bucket: str,
    role: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(assumed_role, "CALL_SECONDS", 2.0)
    monkeypatch.setattr(assumed_role, "START_SECONDS", 0.3)
    with FaultProxy(respond=lambda _: Delay(30)) as hanging:
        stores = [
            open_delegated(
                config(role, external_id=f"external-id-{number}", region="eu-north-1"),
                transport,
                sessions,
                guarded.url,
                hanging.url,
            )
            for number in range(6)
        ]
        with working_for("eve"):
            asking = [asyncio.ensure_future(refused(store)) for store in stores]
        await asyncio.sleep(0.1)
        for region in ("us-east-1", "eu-north-1"):  # in the region that hangs for one user, others have threads, too
            answering = config(role, bucket, region=region)
            assert await names(open_delegated(answering, transport, sessions, guarded.url, guarded.url)) == ["a.jpg"]
        told = [error.message for error in await asyncio.gather(*asking)]
        assert [sum(text in message for message in told) for text in ("too many roles", "took longer")] == [4, 2]


@pytest.mark.parametrize("endpoint", ["http://a_b:1", "http://127.0.0.1:1/%"])
async def test_endpoint_that_botocore_refuses_is_named(at: Open, endpoint: str) -> None:
    error = await refused(at(endpoint))
    assert isinstance(error, LocationInvalidError | StoreUnavailableError)
    assert "HEADWATER_STS_ENDPOINT" in error.message


@pytest.mark.usefixtures("own_identity")
def test_malformed_role_is_refused() -> None:
    with pytest.raises(CredentialsRefusedError, match="Check s3ARN and s3ExternalId"):
        sts.Sts().assume("short", EXTERNAL_ID, "eu-west-1", "http://127.0.0.1:1")


@pytest.mark.usefixtures("own_identity")
def test_request_in_a_thread_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts, "_CONFIG", sts._CONFIG.merge(Config(read_timeout=0.2)))
    with FaultProxy(respond=lambda _: Delay(30)) as server:
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match=r"did not answer in time \(ReadTimeoutError\)"):
            sts.Sts().assume("arn:aws:iam::123456789012:role/test", EXTERNAL_ID, "eu-west-1", server.url)
        assert time.monotonic() - began < 4
        assert len(server.requests) == 2


# --- this server's own credentials ---


async def test_server_without_credentials_names_its_operator(
    at: Open, own_identity: AwsUser, aws_sts: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    error = await refused(at(aws_sts.url))
    assert type(error) is CredentialsRefusedError
    assert "This server has no AWS credentials of its own: its operator must give it" in error.message
    assert aws_sts.requests == []


@pytest.mark.usefixtures("own_identity")
def test_credentials_added_later_are_found(
    guarded: GuardedAws, role: str, own_identity: AwsUser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    mine = sts.Sts()
    with pytest.raises(CredentialsRefusedError):
        mine.assume(role, EXTERNAL_ID, "us-east-1", guarded.url)
    (tmp_path / "no-aws-credentials").write_text(
        f"[default]\naws_access_key_id = {own_identity.key_id}\naws_secret_access_key = {own_identity.secret}\n"
    )
    with pytest.raises(CredentialsRefusedError):
        mine.assume(role, EXTERNAL_ID, "us-east-1", guarded.url)
    monkeypatch.setattr(mine, "_no_credentials_until", 0.0)
    assert mine.assume(role, EXTERNAL_ID, "us-east-1", guarded.url).session_token


@pytest.mark.parametrize(
    ("environ", "file", "named"),
    [
        ({"AWS_ACCESS_KEY_ID": "test-key-id"}, "", "PartialCredentialsError"),
        ({"AWS_PROFILE": "absent"}, "", "ProfileNotFound"),
        ({"AWS_PROFILE": "p"}, "[profile p]\ncredential_process = /no/such/program\n", "FileNotFoundError"),
        (
            {"AWS_PROFILE": "p"},
            "[profile p]\ncredential_process = sh -c 'echo hush-hush >&2; exit 1'\n",
            "CredentialRetrievalError",
        ),
        (
            {"AWS_PROFILE": "p"},
            "[profile p]\nsso_start_url = https://sso.test\nsso_region = us-east-1\nsso_account_id = 123456789012\n"
            "sso_role_name = test\n",
            "SSOTokenLoadError",
        ),
        ({}, "[default\n", "ConfigParseError"),
        ({"AWS_PROFILE": "p"}, "[profile p]\nrole_arn = x\nsource_profile = p2\n", "InvalidConfigError"),
    ],
)
async def test_invalid_own_credentials_name_the_operator(
    at: Open,
    own_identity: AwsUser,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    environ: dict[str, str],
    file: str,
    named: str,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "no-aws-config").write_text(file)
    with FaultProxy(respond=answering(200)) as server:
        error = await refused(at(server.url))
        assert server.requests == []
    assert type(error) is CredentialsRefusedError
    assert f"This server's own AWS credentials are not available ({named}): its operator must" in error.message
    assert "hush" not in error.message


@pytest.fixture
def web_identity(own_identity: AwsUser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """The server's own identity is a role that it assumes with a token, as on EKS."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "token").write_text("test-web-identity-token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/server")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return monkeypatch


async def test_own_credentials_that_cannot_be_fetched_are_unavailable(
    at: Open, web_identity: pytest.MonkeyPatch
) -> None:
    web_identity.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{free_port()}")
    with FaultProxy(respond=answering(200)) as server:
        error = await refused(at(server.url))
        assert server.requests == []
    assert type(error) is StoreUnavailableError
    assert "own AWS credentials are not available for now (EndpointConnectionError)" in error.message


async def test_refused_own_credentials_name_the_operator(at: Open, web_identity: pytest.MonkeyPatch) -> None:
    with (
        FaultProxy(respond=answering(403, sts_error("AccessDenied"))) as issuer,
        FaultProxy(respond=answering(200)) as s,
    ):
        web_identity.setenv("AWS_ENDPOINT_URL_STS", issuer.url)
        error = await refused(at(s.url))
        assert (len(issuer.requests), s.requests) == (1, [])
    assert type(error) is CredentialsRefusedError
    assert "own AWS credentials are not available (ClientError): its operator must" in error.message
    assert "s3ARN" not in error.message


@pytest.mark.usefixtures("own_identity")
def test_own_credentials_that_expire_before_use_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def assume_role(self, **_: object) -> None:
            raise CredentialRetrievalError(provider="test", error_msg="hush-hush")

    mine = sts.Sts()
    monkeypatch.setattr(mine, "_client", lambda *_: Gone())
    with pytest.raises(
        CredentialsRefusedError, match=r"not available \(CredentialRetrievalError\): its operator"
    ) as error:
        mine.assume("arn:aws:iam::123456789012:role/test", EXTERNAL_ID, "eu-west-1", None)
    assert "hush" not in error.value.message


async def test_botocore_refreshes_own_credentials(
    store: S3Store,
    sessions: RefreshingCache[Credentials],
    own_identity: AwsUser,
    guarded: GuardedAws,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A local service provides the credentials, as on ECS and EKS."""
    body = f'{{"AccessKeyId": "{own_identity.key_id}", "SecretAccessKey": "{own_identity.secret}"'.encode()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    soon = datetime.fromtimestamp(time.time() + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = body + f', "Token": "", "Expiration": "{soon}"}}'.encode()
    with FaultProxy(respond=answering(200, answer)) as service:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{service.url}/credentials")
        assert await names(store) == ["a.jpg"]
        assert [request.target for request in service.requests] == ["/credentials"]


# --- where STS is ---


@pytest.mark.usefixtures("own_identity")
def test_role_is_assumed_in_the_region_of_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    mine = sts.Sts()
    for region in map(signed_region, S3_REGIONS):
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        client = mine._client(mine._identity(), region, None)
        assert client.meta.endpoint_url == f"https://sts.{region}.{domain}"
        assert client.meta.region_name == region
        assert mine._client(mine._identity(), region, None) is client, "made once"
        client.close()


async def test_govcloud_region_is_signed_by_its_full_name(
    transport: Transport, sessions: RefreshingCache[Credentials], own_identity: AwsUser
) -> None:
    with (
        FaultProxy(respond=answering(200, session_xml(time.time() + 3600))) as fake,
        FaultProxy(respond=answering(200, list_xml(["data/a"]))) as bucket,
    ):
        made = config("arn:aws:iam::123456789012:role/test", region="us-gov-west")
        store = open_delegated(made, transport, sessions, bucket.url, fake.url)
        assert await names(store) == ["a"]
        assert "/us-gov-west-1/sts/" in fake.requests[0].headers["authorization"]
        assert "/us-gov-west-1/s3/" in bucket.requests[0].headers["authorization"]


async def test_no_secret_is_shown(store: S3Store, own_identity: AwsUser) -> None:
    session = await store._credentials.credentials()
    shown = f"{store!r} {store.__dict__!r} {session!r} {store._credentials!r}"
    for secret in (session.secret_access_key, session.session_token, own_identity.secret):
        assert secret
        assert secret not in shown
