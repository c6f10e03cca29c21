"""Every answer of Azure that is not a success becomes a StoreError that says what to change."""

from __future__ import annotations

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
from headwater.stores.azure.error_codes import AZURE, RULES, refuses_version
from headwater.stores.error_mapping import ConfigLabels, Operation, OperationContext, error_from_response
from tests.stores.azure.server import error_xml

NAMES = ConfigLabels("Azure", "accountName", "accountKey", "accountName")
LIST, READ, WRITE, DELETE = Operation
UNAUTHENTICATED = (
    "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly "
    "including the signature."
)
UNAUTHORIZED = "This request is not authorized to perform this operation."


def told(
    status: int, body: bytes = b"", operation: Operation = LIST, headers: dict[str, str] | None = None
) -> StoreError:
    return error_from_response(
        Response(status, headers or {}, body),
        OperationContext(operation, "data", "train/", NAMES, AZURE),
        ["hush-hush"],
    )


# The row of the table, the code, the status, the kind of error, and what a person reads that says what to change.
ROWS = [
    ("AccountIsDisabled", 403, LocationInvalidError, "account is disabled"),
    (
        "AuthorizationPermissionMismatch",
        403,
        CredentialsRefusedError,
        "with the permission l (list) on the container 'data'",
    ),
    ("AuthorizationProtocolMismatch", 403, CredentialsRefusedError, "accountKey: the SAS token is for https alone"),
    (
        "AuthorizationResourceTypeMismatch",
        403,
        CredentialsRefusedError,
        "accountKey: make the SAS token for the resource",
    ),
    ("AuthorizationServiceMismatch", 403, CredentialsRefusedError, "for the Blob service (ss=b)"),
    ("AuthorizationSourceIPMismatch", 403, CredentialsRefusedError, "make one without sip"),
    ("BlobArchived", 409, LocationInvalidError, "archived"),
    ("BlobBeingRehydrated", 409, LocationInvalidError, "try again later"),
    ("BlobImmutableDueToLegalHold", 409, OverwriteRefusedError, "legal hold keeps objects"),
    ("BlobImmutableDueToPolicy", 409, OverwriteRefusedError, "immutability policy"),
    ("BlobNotFound", 404, ObjectNotFoundError, "no such object"),
    ("ContainerBeingDeleted", 409, LocationInvalidError, "being deleted"),
    ("ContainerDisabled", 409, LocationInvalidError, "ask the owner"),
    ("ContainerNotFound", 404, LocationInvalidError, "There is no such container: check fullPath and accountName"),
    ("FeatureVersionMismatch", 409, LocationInvalidError, "newer version of the service"),
    ("InsufficientAccountPermissions", 403, CredentialsRefusedError, "accountKey: make a SAS token"),
    ("InternalError", 500, StoreUnavailableError, "try again"),
    ("InvalidAuthenticationInfo", 401, CredentialsRefusedError, "Check accountKey"),
    ("InvalidHeaderValue", 400, LocationInvalidError, "does not offer this operation: check accountName"),
    ("InvalidQueryParameterValue", 400, LocationInvalidError, "check fullPath and accountName"),
    ("InvalidResourceName", 400, LocationInvalidError, "check the path in fullPath"),
    ("InvalidUri", 400, LocationInvalidError, "check the path in fullPath"),
    ("KeyBasedAuthenticationNotPermitted", 403, CredentialsRefusedError, "allow shared key access"),
    ("LeaseIdMissing", 412, LocationInvalidError, "lease"),
    ("NoAuthenticationInformation", 401, CredentialsRefusedError, "Check accountKey"),
    ("OperationTimedOut", 500, StoreUnavailableError, "try again"),
    ("OutOfRangeInput", 400, LocationInvalidError, "check the path in fullPath"),
    ("PublicAccessNotPermitted", 409, CredentialsRefusedError, "Check accountKey"),
    ("ResourceNotFound", 404, LocationInvalidError, "check accountName and fullPath"),
    ("ServerBusy", 503, StoreUnavailableError, "fewer requests"),
    ("UnauthorizedBlobOverwrite", 403, OverwriteRefusedError, "with the permission w (write) too"),
]

# Where the code alone does not decide: the row, the code, the message, the detail.
CAUSES = [
    (
        "AuthenticationFailed",
        "AuthenticationFailed",
        UNAUTHENTICATED,
        "The MAC signature found in the HTTP request 'hush' is not the same as any computed signature. Server used "
        "following string to sign: 'GET\n\nx-ms-date:Tue, 02 Jan 2024 03:04:05 GMT'.",
        CredentialsRefusedError,
        "Check accountKey: it does not belong to this accountName",
    ),
    (
        "AuthenticationFailed",
        "AuthenticationFailed",
        UNAUTHENTICATED,
        "Signature did not match. String to sign used was rl\n\n2030-01-01T00:00:00Z",
        CredentialsRefusedError,
        "Check accountKey: it does not belong to this accountName",
    ),
    (
        "AuthenticationFailed",
        "AuthenticationFailed",
        UNAUTHENTICATED,
        "",
        CredentialsRefusedError,
        "Check accountKey: it",
    ),
    # As Azurite says it.
    (
        "AuthenticationFailed",
        "AuthorizationFailure",
        UNAUTHENTICATED,
        "",
        CredentialsRefusedError,
        "Check accountKey: it",
    ),
    (
        "AuthorizationFailure",
        "AuthorizationFailure",
        UNAUTHORIZED,
        "",
        CredentialsRefusedError,
        "network rules (firewall)",
    ),
    (
        "AuthenticationFailed by the clock",
        "AuthenticationFailed",
        UNAUTHENTICATED,
        "Request date header too old: 'Tue, 02 Jan 2024 03:04:05 GMT'",
        StoreUnavailableError,
        "the operator must set the clock",
    ),
    (
        "AuthenticationFailed by the clock",
        "AuthenticationFailed",
        UNAUTHENTICATED,
        "The Date header in the request is incorrect.",
        StoreUnavailableError,
        "the operator must set the clock",
    ),
    (
        "AuthenticationFailed by its time",
        "AuthenticationFailed",
        UNAUTHENTICATED,
        "Signature not valid in the specified time frame: Start [Tue, 02 Jan 2024 03:04:05 GMT] - Expiry [Tue, 02 Jan "
        "2024 04:04:05 GMT] - Current [Wed, 03 Jan 2024 03:04:05 GMT]",
        CredentialsRefusedError,
        "accountKey: the SAS token has expired or is not valid yet",
    ),
    (
        "AuthenticationFailed by its time",
        "AuthenticationFailed",
        UNAUTHENTICATED,
        "Signed expiry time [Tue, 02 Jan 2024 03:04:05 GMT] must be after signed start time [Wed, 03 Jan 2024]",
        CredentialsRefusedError,
        "accountKey: the SAS token has expired or is not valid yet",
    ),
    (
        "AuthenticationFailed by its resource",
        "AuthenticationFailed",
        UNAUTHENTICATED,
        "The specified signed resource is not allowed for the this resource level",
        CredentialsRefusedError,
        "make one for the container (sr=c)",
    ),
    (
        "AuthenticationFailed by its form",
        "AuthenticationFailed",
        UNAUTHENTICATED,
        "sv is mandatory. Cannot be empty",
        CredentialsRefusedError,
        "lacks a part or was altered",
    ),
    (
        "AuthenticationFailed by its form",
        "AuthenticationFailed",
        UNAUTHENTICATED,
        "se is not well formed.",
        CredentialsRefusedError,
        "lacks a part or was altered",
    ),
]


def test_every_rule_is_tested() -> None:
    assert RULES.keys() <= {code for code, *_ in ROWS} | {rule_code for rule_code, *_ in CAUSES}


@pytest.mark.parametrize(("code", "status", "kind", "advice"), ROWS)
def test_a_code_is_named_and_explained(code: str, status: int, kind: type[StoreError], advice: str) -> None:
    for body, headers in ((error_xml(code), {}), (b"", {"x-ms-error-code": code})):
        error = told(status, body, headers=headers)
        assert type(error) is kind
        assert error.provider_code == code
        said = f"{code} (Said by the provider)" if body else code
        assert error.message.startswith(f"Azure did not list the container 'data': {said}. ")
        assert advice in error.message


@pytest.mark.parametrize(("row", "code", "message", "detail", "kind", "advice"), CAUSES)
def test_the_cause_is_found(
    row: str, code: str, message: str, detail: str, kind: type[StoreError], advice: str
) -> None:
    more = f"<AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail>" if detail else ""
    response = Response(403, {}, error_xml(code, message, more))
    assert AZURE.read_error(response, LIST).rule_code == row
    error = error_from_response(response, OperationContext(LIST, "data", "", NAMES, AZURE))
    assert type(error) is kind
    assert error.provider_code == code
    assert advice in error.message
    for hidden in ("string to sign", "hush", "RequestId", "Time:"):
        assert hidden not in error.message


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        (LIST, "l (list) on the container 'data'"),
        (READ, "r (read) on the path 'data/train/*'"),
        (WRITE, "w (write) on the path 'data/train/*'"),
        (DELETE, "d (delete) on the path 'data/train/*'"),
    ],
)
def test_a_refusal_names_the_permission(operation: Operation, permission: str) -> None:
    for body in (error_xml("AuthorizationPermissionMismatch"), error_xml("SomethingNew"), b""):
        error = told(403, body, operation)
        assert isinstance(error, CredentialsRefusedError)
        assert f"accountKey: make a SAS token with the permission {permission}" in error.message


@pytest.mark.parametrize(
    ("status", "body", "kind", "advice"),
    [
        (400, error_xml("SomethingNew"), LocationInvalidError, "Check fullPath and accountName"),
        (500, error_xml("SomethingNew"), StoreUnavailableError, "try again"),
        (503, b"<html>Bad gateway</html>", StoreUnavailableError, "fewer requests"),
        (404, b"", LocationInvalidError, "nothing at this address"),
        (404, b"<html>Not here</html>", LocationInvalidError, "does not speak Azure Blob Storage: check accountName"),
        (403, b'{"detail": "no"}', LocationInvalidError, "does not speak Azure Blob Storage: check accountName"),
    ],
)
def test_an_unknown_code_is_mapped_by_its_status(status: int, body: bytes, kind: type[StoreError], advice: str) -> None:
    error = told(status, body)
    assert type(error) is kind
    assert advice in error.message


def test_no_secret_is_repeated() -> None:
    error = told(403, error_xml("AuthorizationFailure", "you sent hush-hush and sig=abc and Signature=abcd"))
    for secret in ("hush", "abcd"):
        assert secret not in error.message


def test_an_unknown_version_is_detected() -> None:
    named = error_xml("InvalidHeaderValue", more="<HeaderName>x-ms-version</HeaderName>")
    as_azurite = error_xml("InvalidHeaderValue", "The API version 2026-02-06 is not supported by Azurite.")
    for body in (named, as_azurite):
        assert refuses_version(Response(400, {}, body))
        assert not refuses_version(Response(403, {}, body))
    other = error_xml("InvalidHeaderValue", more="<HeaderName>x-ms-range</HeaderName>")
    for body in (other, error_xml("InvalidInput"), b""):
        assert not refuses_version(Response(400, {}, body))
