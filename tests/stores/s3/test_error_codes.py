"""Every error code of S3 becomes an error that says what to change."""

from __future__ import annotations

import pytest

from headwater.domain.errors import (
    CredentialsRefusedError,
    LocationInvalidError,
    ObjectNotFoundError,
    StoreError,
    StoreUnavailableError,
)
from headwater.stores.error_mapping import ConfigLabels, Operation
from headwater.stores.s3.error_codes import KMS_RULE, RULES
from tests.stores.s3.server import error_xml, store_error

OBS = ConfigLabels("OBS", "obsAccessKeyId", "obsSecretAccessKey", "obsEndpoint")

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
    ("InvalidToken", 400, CredentialsRefusedError, "token is invalid"),
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


@pytest.mark.parametrize(("code", "status", "kind", "advice"), ROWS)
def test_error_code_is_named_and_explained(code: str, status: int, kind: type[StoreError], advice: str) -> None:
    error = store_error(status, error_xml(code))
    assert type(error) is kind
    assert error.provider_code == code
    assert f"S3 did not list the bucket 'data': {code} (Said by the provider). " in error.message
    assert advice in error.message


def test_every_rule_is_tested() -> None:
    assert RULES.keys() <= {code for code, *_ in ROWS} | {KMS_RULE}


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        (Operation.LIST, "Allow s3:ListBucket on the bucket 'data' for"),
        (Operation.READ, "Allow s3:GetObject on the path 'data/train/*' for"),
        (Operation.WRITE, "Allow s3:PutObject on the path 'data/train/*' for"),
        (Operation.DELETE, "Allow s3:DeleteObject on the path 'data/train/*' for"),
    ],
)
def test_refusal_names_the_missing_permission(operation: Operation, permission: str) -> None:
    for body in (error_xml("AccessDenied"), b""):
        error = store_error(403, body, operation, OBS)
        assert isinstance(error, CredentialsRefusedError)
        assert permission + " this obsAccessKeyId" in error.message


def test_refused_read_mentions_absent_objects() -> None:
    error = store_error(403, error_xml("AccessDenied"), Operation.READ)
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
def test_redirect_names_the_region_to_set(body: bytes, headers: dict[str, str]) -> None:
    error = store_error(301, body, headers=headers)
    assert isinstance(error, LocationInvalidError)
    assert "set s3Region to eu-west-1" in error.message
    assert (
        "is in the region eu-west-1: check obsEndpoint" in store_error(301, body, labels=OBS, headers=headers).message
    )


def test_redirect_names_the_endpoint_and_is_not_followed() -> None:
    error = store_error(
        301, error_xml("PermanentRedirect", more="<Endpoint>data.s3.eu-west-1.amazonaws.com</Endpoint>")
    )
    assert "answers at data.s3.eu-west-1.amazonaws.com" in error.message
    error = store_error(
        308, b"<html>moved</html>", labels=OBS, headers={"location": "https://store.test/data?x-amz-signature=1"}
    )
    assert isinstance(error, LocationInvalidError)
    assert "answers at https://store.test: check obsEndpoint" in error.message
    assert "signature" not in error.message


@pytest.mark.parametrize("status", [400, 403, 404, 405])
@pytest.mark.parametrize("body", [b"<html>Not here</html>", b"<!DOCTYPE html><p>x", b'{"detail": "Not Found"}'])
def test_endpoint_that_does_not_speak_s3_is_named(status: int, body: bytes) -> None:
    error = store_error(status, body, labels=OBS)
    assert type(error) is LocationInvalidError
    assert f"HTTP status {status}" in error.message
    assert "does not speak S3: check obsEndpoint" in error.message
