"""Every error code of Cloud Storage and of Google's token endpoint becomes an error that says what to change."""

from __future__ import annotations

import json

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
    Operation,
    OperationContext,
    error_from_response,
    to_store_error,
)
from headwater.stores.gcs.error_codes import GCS as GCS_PROVIDER
from headwater.stores.gcs.error_codes import RULES, TOKEN_RULES, read_token_error
from headwater.stores.gcs.store import CONFIGURED as GCS


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
    ("authError", "", 401, "Invalid Credentials", READ, CredentialsRefusedError, "does not accept the access token"),
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
    ("required", "", 401, "Login Required", LIST, CredentialsRefusedError, "does not accept the access token"),
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
    error = error_from_response(response, OperationContext(operation, "data", "train/", GCS, GCS_PROVIDER))
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
def test_not_found_depends_on_the_operation(operation: Operation, kind: type[StoreError]) -> None:
    response = Response(404, {}, json_error("notFound", ""))
    assert type(error_from_response(response, OperationContext(operation, "data", "", GCS, GCS_PROVIDER))) is kind


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
    """Cloud Storage declares it as HTML, but it is plain text."""
    response = Response(status, {"content-type": "text/html; charset=UTF-8"}, message.encode())
    error = error_from_response(response, OperationContext(Operation.READ, "data", "train/", GCS, GCS_PROVIDER))
    assert type(error) is kind
    assert error.provider_code == code


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"not json", b'{"detail": "x"}', b'{"error": "x"}', b"[" * 60_000, b'{"error": {"message": "\xff'],
)
@pytest.mark.parametrize("operation", [LIST, WRITE])
def test_an_error_of_another_server_is_recognised(body: bytes, operation: Operation) -> None:
    error = error_from_response(Response(404, {}, body), OperationContext(operation, "data", "", GCS, GCS_PROVIDER))
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
    said = read_token_error(Response(status, {}, body))
    provider = GCS_PROVIDER._replace(rules=TOKEN_RULES)
    error = to_store_error(said, OperationContext(Operation.LIST, "data", "", GCS, provider))
    assert type(error) is kind
    assert error.provider_code == code
    assert advice in error.message


def test_every_rule_is_tested() -> None:
    assert RULES.keys() <= {code for code, *_ in GCS_ROWS}
    assert TOKEN_RULES.keys() <= {code for code, *_ in TOKEN_ROWS}
