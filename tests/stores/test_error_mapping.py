"""Every answer of a provider becomes an error of ours that says what to change."""

from __future__ import annotations

import json
import time

import pytest

from headwater.domain.errors import (
    CredentialsRefusedError,
    LocationInvalidError,
    ObjectNotFoundError,
    OverwriteRefusedError,
    StoreError,
    StoreUnavailableError,
)
from headwater.net.transport import Response
from headwater.stores.error_mapping import (
    TABLE,
    ConfigLabels,
    Operation,
    OperationContext,
    explain,
    explain_said,
    plain,
)
from headwater.stores.gcs.credentials import read_token_refusal
from headwater.stores.gcs.error_codes import GCS as GCS_PROVIDER
from headwater.stores.gcs.store import CONFIGURED as GCS
from headwater.stores.s3.error_codes import S3 as PROVIDER
from tests.stores.azure import test_error_codes as test_azure_refusals
from tests.stores.s3.server import error_xml

S3 = ConfigLabels("S3", "s3AccessKeyId", "s3SecretAccessKey", "s3Region", "s3Region")
OBS = ConfigLabels("OBS", "obsAccessKeyId", "obsSecretAccessKey", "obsEndpoint")


def told(
    status: int,
    body: bytes = b"",
    operation: Operation = Operation.LIST,
    names: ConfigLabels = S3,
    headers: dict[str, str] | None = None,
) -> StoreError:
    response = Response(status, headers or {}, body)
    return explain(response, OperationContext(operation, "data", "train/", names, PROVIDER), ["hush-hush"])


# What a person reads must name the provider's code, and what to change.
ROWS = [
    ("AccessDenied", 403, CredentialsRefusedError, "Allow s3:ListBucket on the bucket 'data' for this s3AccessKeyId"),
    ("AccountProblem", 403, CredentialsRefusedError, "account has a problem"),
    ("AllAccessDisabled", 403, LocationInvalidError, "has been disabled"),
    ("AuthorizationHeaderMalformed", 400, LocationInvalidError, "check s3Region"),
    ("BadDigest", 400, StoreUnavailableError, "try again"),
    ("ExpiredToken", 400, CredentialsRefusedError, "session has expired"),
    ("ExpiredTokenException", 400, CredentialsRefusedError, "session has expired"),
    ("IllegalLocationConstraintException", 400, LocationInvalidError, "check s3Region"),
    ("InternalError", 500, StoreUnavailableError, "try again"),
    ("InvalidAccessKeyId", 403, CredentialsRefusedError, "Check s3AccessKeyId"),
    ("InvalidBucketName", 400, LocationInvalidError, "fullPath"),
    ("InvalidClientTokenId", 403, CredentialsRefusedError, "Check s3AccessKeyId"),
    ("InvalidObjectState", 403, LocationInvalidError, "archived"),
    ("InvalidRegion", 400, LocationInvalidError, "check s3Region"),
    ("InvalidSecurity", 403, CredentialsRefusedError, "Check s3AccessKeyId"),
    ("InvalidToken", 400, CredentialsRefusedError, "token is not good"),
    ("KeyTooLongError", 400, LocationInvalidError, "no object of this name"),
    ("MethodNotAllowed", 405, LocationInvalidError, "check s3Region"),
    ("NoSuchBucket", 404, LocationInvalidError, "no such bucket: check fullPath"),
    ("NoSuchKey", 404, ObjectNotFoundError, "no such object"),
    ("NotImplemented", 501, LocationInvalidError, "does not offer"),
    ("NotSignedUp", 403, CredentialsRefusedError, "not signed up"),
    ("OperationAborted", 409, StoreUnavailableError, "fewer requests"),
    ("PermanentRedirect", 301, LocationInvalidError, "check s3Region"),
    ("RequestLimitExceeded", 503, StoreUnavailableError, "fewer requests"),
    ("RequestTimeTooSkewed", 403, StoreUnavailableError, "the operator must set the clock"),
    ("RequestTimeout", 400, StoreUnavailableError, "try again"),
    ("SecondLevelDomainForbidden", 403, LocationInvalidError, "wants the bucket's name in its host's name"),
    ("ServerBusy", 503, StoreUnavailableError, "fewer requests"),
    ("ServiceUnavailable", 503, StoreUnavailableError, "try again"),
    ("SignatureDoesNotMatch", 403, CredentialsRefusedError, "Check s3SecretAccessKey"),
    ("SlowDown", 503, StoreUnavailableError, "fewer requests"),
    ("TemporaryRedirect", 307, StoreUnavailableError, "try again later"),
    ("Throttling", 400, StoreUnavailableError, "fewer requests"),
    ("ThrottlingException", 400, StoreUnavailableError, "fewer requests"),
    ("TokenRefreshRequired", 400, CredentialsRefusedError, "session has expired"),
    ("TooManyRequests", 429, StoreUnavailableError, "fewer requests"),
    ("UnauthorizedAccess", 403, CredentialsRefusedError, "another partition"),
    ("VirtualHostDomainRequired", 403, LocationInvalidError, "wants the bucket's name in its host's name"),
    ("KMS.DisabledException", 400, CredentialsRefusedError, "KMS key"),
    ("SomethingNew", 400, LocationInvalidError, "Check fullPath and s3Region"),
    ("SomethingNew", 403, CredentialsRefusedError, "Allow s3:ListBucket"),
    ("SomethingNew", 500, StoreUnavailableError, "try again"),
    ("SomethingNew", 503, StoreUnavailableError, "fewer requests"),
]


def json_error(reason: str, message: str = "Said by the provider.") -> bytes:
    """An error of Cloud Storage's JSON API."""
    errors = [{"domain": "global", "reason": reason, "message": message}]
    return json.dumps({"error": {"code": 400, "message": message, "errors": errors}}).encode()


LIST, READ, WRITE, DELETE = Operation
NO_DELETE = "x@y.test does not have storage.objects.delete access to the Google Cloud Storage object."
NO_PROJECT = "Bucket is a requester pays bucket but no user project provided."
NO_BILLING = "The billing account for the owning project is disabled in state absent"
NO_BUCKET = "The specified bucket does not exist."

# The row, the reason, the status, the message, the operation, and what becomes of it.
GCS_ROWS = [
    ("accessNotConfigured", "", 403, "x", LIST, CredentialsRefusedError, "Enable the Cloud Storage API"),
    ("accountDisabled", "", 403, NO_BILLING, LIST, CredentialsRefusedError, "no billing account"),
    ("accountDisabled", "forbidden", 403, NO_BILLING, WRITE, CredentialsRefusedError, "no billing account"),
    ("authError", "", 401, "Invalid Credentials", READ, CredentialsRefusedError, "does not take the access token"),
    ("authenticationRequiredRequesterPays", "", 401, "x", LIST, LocationInvalidError, "turn off requester pays"),
    ("backendError", "", 503, "x", LIST, StoreUnavailableError, "try again"),
    ("conflict", "", 409, "x", WRITE, StoreUnavailableError, "fewer requests"),
    ("dailyLimitExceeded", "", 403, "x", LIST, StoreUnavailableError, "fewer requests"),
    (
        "forbidden",
        "",
        403,
        "x",
        LIST,
        CredentialsRefusedError,
        "Allow storage.objects.list on the bucket 'data' for the",
    ),
    (
        "forbidden",
        "",
        403,
        "x",
        READ,
        CredentialsRefusedError,
        "Allow storage.objects.get on the path 'data/train/*' for",
    ),
    (
        "forbidden",
        "",
        403,
        "x",
        READ,
        CredentialsRefusedError,
        "without storage.objects.list an absent object is refused",
    ),
    (
        "forbidden",
        "",
        403,
        "x",
        WRITE,
        CredentialsRefusedError,
        "Allow storage.objects.create on the path 'data/train/*'",
    ),
    ("forbidden", "", 403, NO_DELETE, DELETE, CredentialsRefusedError, "Allow storage.objects.delete on the path"),
    (
        "forbidden to replace",
        "forbidden",
        403,
        NO_DELETE,
        WRITE,
        OverwriteRefusedError,
        "needs storage.objects.delete too",
    ),
    ("insufficientPermissions", "", 403, "x", LIST, CredentialsRefusedError, "Allow storage.objects.list"),
    ("internalError", "", 500, "x", LIST, StoreUnavailableError, "try again"),
    ("invalid", "", 400, "x", LIST, LocationInvalidError, "check fullPath"),
    ("invalidArgument", "", 400, "x", LIST, LocationInvalidError, "check fullPath"),
    ("invalidParameter", "", 400, "x", LIST, LocationInvalidError, "check fullPath"),
    ("methodNotAllowed", "", 405, "x", LIST, LocationInvalidError, "check HEADWATER_GCS_ENDPOINT"),
    ("notFound", "", 404, "No such object: data/a", READ, ObjectNotFoundError, "no such object"),
    ("notFound", "", 404, "No such object: data/No such bucket", DELETE, ObjectNotFoundError, "no such object"),
    ("notFound bucket", "notFound", 404, NO_BUCKET, READ, LocationInvalidError, "no such bucket: check fullPath"),
    ("notFound bucket", "notFound", 404, "Not Found", LIST, LocationInvalidError, "no such bucket: check fullPath"),
    ("notFound bucket", "notFound", 404, "Not Found", WRITE, LocationInvalidError, "no such bucket: check fullPath"),
    ("objectUnderActiveHold", "", 403, "x", WRITE, OverwriteRefusedError, "hold or retention policy"),
    ("quotaExceeded", "", 403, "x", LIST, StoreUnavailableError, "fewer requests"),
    ("rateLimitExceeded", "", 429, "x", LIST, StoreUnavailableError, "fewer requests"),
    ("required", "", 401, "Login Required", LIST, CredentialsRefusedError, "does not take the access token"),
    ("retentionPolicyNotMet", "", 403, "x", WRITE, OverwriteRefusedError, "hold or retention policy"),
    ("userProjectMissing", "required", 400, NO_PROJECT, LIST, LocationInvalidError, "turn off requester pays"),
    ("userRateLimitExceeded", "", 403, "x", LIST, StoreUnavailableError, "fewer requests"),
    ("a reason to come", "", 400, "x", LIST, LocationInvalidError, "Check fullPath"),
    ("a reason to come", "", 403, "x", LIST, CredentialsRefusedError, "Allow storage.objects.list"),
    ("a reason to come", "", 500, "x", LIST, StoreUnavailableError, "try again"),
]


@pytest.mark.parametrize(("row", "reason", "status", "message", "operation", "kind", "advice"), GCS_ROWS)
def test_a_reason_of_cloud_storage_is_named_and_explained(
    row: str, reason: str, status: int, message: str, operation: Operation, kind: type[StoreError], advice: str
) -> None:
    reason = reason or row
    response = Response(status, {}, json_error(reason, message))
    error = explain(response, OperationContext(operation, "data", "train/", GCS, GCS_PROVIDER))
    assert type(error) is kind
    assert error.provider_code == reason
    assert error.message.startswith("GCS did not ")
    assert f"'data': {reason} ({message.rstrip('.')}). " in error.message
    assert advice in error.message


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        (LIST, LocationInvalidError),
        (READ, ObjectNotFoundError),
        (WRITE, LocationInvalidError),
        (DELETE, ObjectNotFoundError),
    ],
)
def test_what_is_not_found_goes_by_what_was_asked(operation: Operation, kind: type[StoreError]) -> None:
    response = Response(404, {}, json_error("notFound", ""))
    assert type(explain(response, OperationContext(operation, "data", "", GCS, GCS_PROVIDER))) is kind


@pytest.mark.parametrize(
    ("status", "message", "kind", "code"),
    [
        (404, "No such object: data/a", ObjectNotFoundError, "notFound"),
        (404, NO_BUCKET, LocationInvalidError, "notFound"),
        (403, "x@y.test does not have storage.objects.get access to it.", CredentialsRefusedError, "forbidden"),
        (401, "Invalid Credentials", CredentialsRefusedError, "authError"),
        (404, "The page is not here", LocationInvalidError, None),
        (404, "<html>Not here</html>", LocationInvalidError, None),
        (503, "", StoreUnavailableError, None),
    ],
)
def test_a_refused_download_is_plain_text(status: int, message: str, kind: type[StoreError], code: str | None) -> None:
    """Cloud Storage calls it HTML, and it is none."""
    response = Response(status, {"content-type": "text/html; charset=UTF-8"}, message.encode())
    error = explain(response, OperationContext(Operation.READ, "data", "train/", GCS, GCS_PROVIDER))
    assert type(error) is kind
    assert error.provider_code == code


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"not json", b'{"detail": "x"}', b'{"error": "x"}', b"[" * 60_000, b'{"error": {"message": "\xff'],
)
@pytest.mark.parametrize("operation", [LIST, WRITE])
def test_what_is_no_error_of_cloud_storage_is_told_so(body: bytes, operation: Operation) -> None:
    error = explain(Response(404, {}, body), OperationContext(operation, "data", "", GCS, GCS_PROVIDER))
    assert type(error) is LocationInvalidError
    assert "does not speak Cloud Storage's JSON API: check HEADWATER_GCS_ENDPOINT" in error.message


TOO_LATE = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat"

TOKEN_ROWS = [
    ("access_denied", "", 400, "x", CredentialsRefusedError, "administrators decide"),
    ("admin_policy_enforced", "", 400, "x", CredentialsRefusedError, "administrators decide"),
    ("deleted_client", "", 401, "x", CredentialsRefusedError, "Check gcsCredentials"),
    ("disabled_client", "", 401, "x", CredentialsRefusedError, "Check gcsCredentials"),
    ("internal_failure", "", 500, "x", StoreUnavailableError, "try again"),
    ("invalid_client", "", 401, "x", CredentialsRefusedError, "Check gcsCredentials"),
    ("invalid_grant", "", 400, "Invalid JWT Signature.", CredentialsRefusedError, "deleted or disabled"),
    ("invalid_grant", "", 400, "Invalid grant: account not found", CredentialsRefusedError, "Check gcsCredentials"),
    (
        "invalid_grant by the clock",
        "invalid_grant",
        400,
        TOO_LATE,
        StoreUnavailableError,
        "must set this server's clock",
    ),
    ("invalid_request", "", 400, "x", LocationInvalidError, "no token endpoint"),
    ("invalid_scope", "", 400, "x", CredentialsRefusedError, "Check gcsCredentials"),
    ("org_internal", "", 403, "x", CredentialsRefusedError, "administrators decide"),
    ("rate_limit_exceeded", "", 429, "x", StoreUnavailableError, "fewer requests"),
    ("server_error", "", 503, "x", StoreUnavailableError, "try again"),
    ("temporarily_unavailable", "", 400, "x", StoreUnavailableError, "try again"),
    ("unauthorized_client", "", 401, "x", CredentialsRefusedError, "Check gcsCredentials"),
    ("unsupported_grant_type", "", 400, "x", LocationInvalidError, "no token endpoint"),
    ("something_new", "", 400, "x", CredentialsRefusedError, "Check gcsCredentials"),
    ("something_new", "", 502, "x", StoreUnavailableError, "try again"),
    # A token endpoint has no say in what is there.
    ("NoSuchKey", "", 404, "x", CredentialsRefusedError, "Check gcsCredentials"),
]


@pytest.mark.parametrize(("row", "code", "status", "message", "kind", "advice"), TOKEN_ROWS)
def test_an_error_of_a_token_endpoint_is_explained(
    row: str, code: str, status: int, message: str, kind: type[StoreError], advice: str
) -> None:
    code = code or row
    body = json.dumps({"error": code, "error_description": message}).encode()
    said = read_token_refusal(Response(status, {}, body))
    error = explain_said(said, OperationContext(Operation.LIST, "data", "", GCS, GCS_PROVIDER))
    assert type(error) is kind
    assert error.provider_code == code
    assert advice in error.message


@pytest.mark.parametrize(("code", "status", "kind", "advice"), ROWS)
def test_a_code_is_named_and_explained(code: str, status: int, kind: type[StoreError], advice: str) -> None:
    error = told(status, error_xml(code))
    assert type(error) is kind
    assert error.provider_code == code
    assert f"S3 did not list the bucket 'data': {code} (Said by the provider). " in error.message
    assert advice in error.message


def test_every_row_of_the_table_is_tested() -> None:
    told_of = {code for code, *_ in ROWS} | {code for code, *_ in GCS_ROWS} | {code for code, *_ in TOKEN_ROWS}
    told_of |= test_azure_refusals.TESTED
    # What STS says is tested where roles are assumed, in test_assumed_role.py.
    assert {code for code in TABLE if not code.startswith("AssumeRole/")} <= told_of


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        (Operation.LIST, "Allow s3:ListBucket on the bucket 'data' for"),
        (Operation.READ, "Allow s3:GetObject on the path 'data/train/*' for"),
        (Operation.WRITE, "Allow s3:PutObject on the path 'data/train/*' for"),
        (Operation.DELETE, "Allow s3:DeleteObject on the path 'data/train/*' for"),
    ],
)
def test_a_refusal_names_the_permission(operation: Operation, permission: str) -> None:
    for body in (error_xml("AccessDenied"), b""):
        error = told(403, body, operation, OBS)
        assert isinstance(error, CredentialsRefusedError)
        assert permission + " this obsAccessKeyId" in error.message


def test_a_refused_read_says_that_absence_looks_alike() -> None:
    error = told(403, error_xml("AccessDenied"), Operation.READ)
    assert "without s3:ListBucket an absent object is refused like this too" in error.message


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (error_xml("PermanentRedirect"), {"x-amz-bucket-region": "eu-west-1"}),
        (error_xml("AuthorizationHeaderMalformed", more="<Region>eu-west-1</Region>"), {}),
        (error_xml("AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-west-1'"), {}),
        (b"", {"x-amz-bucket-region": "eu-west-1"}),
    ],
)
def test_the_region_to_set_is_named(body: bytes, headers: dict[str, str]) -> None:
    error = told(301, body, headers=headers)
    assert isinstance(error, LocationInvalidError)
    assert "set s3Region to eu-west-1" in error.message
    assert "is in the region eu-west-1: check obsEndpoint" in told(301, body, names=OBS, headers=headers).message


def test_where_a_redirect_leads_is_named_and_not_followed() -> None:
    error = told(301, error_xml("PermanentRedirect", more="<Endpoint>data.s3.eu-west-1.amazonaws.com</Endpoint>"))
    assert "answers at data.s3.eu-west-1.amazonaws.com" in error.message
    error = told(
        308, b"<html>moved</html>", names=OBS, headers={"location": "https://store.test/data?x-amz-signature=1"}
    )
    assert isinstance(error, LocationInvalidError)
    assert "answers at https://store.test: check obsEndpoint" in error.message
    assert "signature" not in error.message


@pytest.mark.parametrize("status", [400, 403, 404, 405])
@pytest.mark.parametrize("body", [b"<html>Not here</html>", b"<!DOCTYPE html><p>x", b'{"detail": "Not Found"}'])
def test_what_does_not_speak_s3_is_told_so(status: int, body: bytes) -> None:
    error = told(status, body, names=OBS)
    assert type(error) is LocationInvalidError
    assert f"HTTP status {status}" in error.message
    assert "does not speak S3: check obsEndpoint" in error.message


@pytest.mark.parametrize(
    ("status", "kind"), [(502, StoreUnavailableError), (503, StoreUnavailableError), (504, StoreUnavailableError)]
)
def test_a_gateways_error_page_is_a_passing_fault(status: int, kind: type[StoreError]) -> None:
    assert type(told(status, b"<html>Bad gateway</html>")) is kind


def test_an_empty_404_is_an_invalid_place() -> None:
    assert type(told(404)) is LocationInvalidError


def test_a_long_path_is_shown_whole() -> None:
    """It looks like a secret to the rule that hides those in a provider's words."""
    response = Response(403, {}, error_xml("AccessDenied"))
    root = "datasets/images/train/of/a/year/and/a/day/"
    assert root in explain(response, OperationContext(Operation.READ, "data", root, S3, PROVIDER)).message


def test_a_providers_words_are_made_plain() -> None:
    assert plain("a\r\nb\x00\u2028c\u202e  d.") == "a b c d"
    assert plain("x" * 30 + " " + "y" * 300, limit=40) == "x" * 30 + " …"
    assert len(plain("word " * 300)) == 200
    said = plain(
        "User: arn:aws:iam::123456789012:user/x may not s3:ListBucket on arn:aws:s3:::some-bucket-with-a-long-name"
    )
    assert said.endswith("some-bucket-with-a-long-name")


@pytest.mark.parametrize("said", ["a-" * 32_000, "token" * 13_000, "x-token " * 8_000, "token=" + " " * 64_000])
def test_long_words_of_a_provider_take_no_time(said: str) -> None:
    """A search that began anew at each `-` took 95 s for 64 kB, in which the server answered nobody."""
    began = time.perf_counter()
    assert len(plain(said)) <= 200
    body = error_xml("X", said, more=f"<Endpoint>{said}</Endpoint>")[: 2**16]
    told(400, body, headers={"x-amz-bucket-region": said, "location": f"https://{said}"})
    told(301, b"", headers={"location": f"https://{said}"})
    told(301, b"<Error><Endpoint>" + said[:60_000].encode() + b"</Endpoint></Error>")
    assert time.perf_counter() - began < 1.0


def test_a_secret_is_not_shown_where_long_words_are_cut() -> None:
    """Blanks that are dropped later bring what is at the cut into the part that is shown."""
    for blanks in range(700, 800):
        assert plain("Refused" + " " * blanks + "ab" * 32).replace("…", "").strip() == "Refused"


@pytest.mark.parametrize(
    "secret",
    [
        "you sent hush-hush with it",
        "Signature=" + "ab" * 32,
        "x-amz-security-token: short",
        "Authorization: Basic abc",
        "Credential=me/20240101/s3",
        "the string " + "A1b/" * 10,
    ],
)
def test_a_providers_words_hold_no_secret(secret: str) -> None:
    error = told(403, error_xml("AccessDenied", f"Refused: {secret}"))
    assert "Refused" in error.message
    for hidden in ("hush", "abab", "short", "abc", "me/2024", "A1b/"):
        assert hidden not in error.message
