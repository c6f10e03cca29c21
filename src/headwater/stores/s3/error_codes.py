"""Error codes of S3, of stores that speak its protocol, and of STS.

Sources: "List of error codes" in the Amazon S3 API reference; "Errors" of AssumeRole in the AWS STS API reference; the
error responses of MinIO, Ceph and Huawei OBS.
"""

from __future__ import annotations

import re

from headwater.domain.errors import CredentialsRefusedError, LocationInvalidError, StoreUnavailableError
from headwater.net.transport import Response
from headwater.stores.error_mapping import (
    ARCHIVED,
    BUSY,
    CLOCK,
    DOWN,
    GRANT,
    NO_CONTAINER,
    NO_OBJECT,
    NOT_OFFERED,
    OBJECT_NAME,
    REGION,
    ErrorRule,
    Operation,
    Provider,
    ProviderError,
    find_rule,
    is_html,
)
from headwater.stores.listing_xml import parse_error

_KEY_ID = ErrorRule(
    CredentialsRefusedError, "Check {key_id}: the store does not know this access key, or it is disabled"
)
_TOKEN = ErrorRule(
    CredentialsRefusedError, "The session has expired or its token is invalid: new credentials are needed"
)
_BUCKET_IN_HOST = ErrorRule(
    LocationInvalidError, "The store wants the bucket's name in its host's name, and this server puts it in the path"
)
_SERVER_CREDENTIALS = ErrorRule(
    CredentialsRefusedError,
    "AWS does not accept this server's own credentials, or their account has not enabled the region: its operator "
    "must correct that",
)

KMS_RULE = "a KMS code"
"""A rule of several codes, by a name that no server sends."""

RULES: dict[str, ErrorRule] = {
    "AccessDenied": GRANT,
    "AccountProblem": ErrorRule(CredentialsRefusedError, "The store's account has a problem: ask the provider"),
    "AllAccessDisabled": ErrorRule(LocationInvalidError, "All access to this bucket has been disabled by the provider"),
    "AuthorizationHeaderMalformed": REGION,
    "BadDigest": DOWN,
    "ExpiredToken": _TOKEN,
    "ExpiredTokenException": _TOKEN,
    "IllegalLocationConstraintException": REGION,
    "InternalError": DOWN,
    "InvalidAccessKeyId": _KEY_ID,
    "InvalidBucketName": ErrorRule(LocationInvalidError, "Check the {container}'s name in {path}"),
    "InvalidClientTokenId": _KEY_ID,
    "InvalidObjectState": ARCHIVED,
    "InvalidRegion": REGION,
    "InvalidSecurity": _KEY_ID,
    "InvalidToken": _TOKEN,
    KMS_RULE: ErrorRule(
        CredentialsRefusedError, "The KMS key of the bucket or datasource cannot be used with these credentials"
    ),
    "KeyTooLongError": OBJECT_NAME,
    "MethodNotAllowed": NOT_OFFERED,
    "NoSuchBucket": NO_CONTAINER,
    "NoSuchKey": NO_OBJECT,
    "NotImplemented": NOT_OFFERED,
    "NotSignedUp": ErrorRule(CredentialsRefusedError, "The store's account is not signed up: ask the provider"),
    "OperationAborted": BUSY,
    "PermanentRedirect": REGION,
    "RequestLimitExceeded": BUSY,
    "RequestTimeTooSkewed": CLOCK,
    "RequestTimeout": DOWN,
    "SecondLevelDomainForbidden": _BUCKET_IN_HOST,
    "ServerBusy": BUSY,
    "ServiceUnavailable": DOWN,
    "SignatureDoesNotMatch": ErrorRule(
        CredentialsRefusedError, "Check {secret}: it does not belong to this {key_id}, or was not copied exactly"
    ),
    "SlowDown": BUSY,
    "TemporaryRedirect": ErrorRule(
        StoreUnavailableError, "The bucket is new or moving, and not yet reachable in its region: try again later"
    ),
    "Throttling": BUSY,
    "ThrottlingException": BUSY,
    "TokenRefreshRequired": _TOKEN,
    "TooManyRequests": BUSY,
    "UnauthorizedAccess": ErrorRule(
        CredentialsRefusedError, "These credentials belong to another partition: {region_advice}"
    ),
    "VirtualHostDomainRequired": _BUCKET_IN_HOST,
}

STS_RULES: dict[str, ErrorRule] = {
    **{code: rule for code, rule in RULES.items() if rule.error is StoreUnavailableError},
    "AccessDenied": ErrorRule(
        CredentialsRefusedError,
        "Check s3ARN and s3ExternalId: the role's trust policy must name this server's identity and ask for this "
        "external id, and its operator must allow that identity sts:AssumeRole on the role",
    ),
    "ExpiredToken": _SERVER_CREDENTIALS,
    "ExpiredTokenException": _SERVER_CREDENTIALS,
    "IncompleteSignature": _SERVER_CREDENTIALS,
    "InvalidClientTokenId": _SERVER_CREDENTIALS,
    "MissingAuthenticationToken": _SERVER_CREDENTIALS,
    "OptInRequired": _SERVER_CREDENTIALS,
    "RegionDisabledException": ErrorRule(
        CredentialsRefusedError,
        "STS is not active in this region for the role's account: its administrator activates it in the account "
        "settings of IAM",
    ),
    "SignatureDoesNotMatch": _SERVER_CREDENTIALS,
    "UnrecognizedClientException": _SERVER_CREDENTIALS,
    "ValidationError": ErrorRule(CredentialsRefusedError, "Check s3ARN and s3ExternalId: STS does not accept them"),
}
"""The codes of AssumeRole. Transient errors are those of S3."""

_INVALID_SESSION_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"})
_CODES_AFTER_SIGNATURE = frozenset({"AccessDenied", "NoSuchBucket", "NoSuchKey"})
_NOT_OFFERED_CODES = frozenset({"MethodNotAllowed", "NotImplemented"})


def read_error(response: Response, _: Operation) -> ProviderError:
    """Read an error response."""
    members = parse_error(response.body)
    code, message = members.get("Code", ""), members.get("Message", "")
    region = response.headers.get("x-amz-bucket-region", "") or members.get("Region", "")
    if not region:
        # "the region 'us-east-1' is wrong; expecting 'eu-west-1'"
        expecting = re.search(r"expecting '([A-Za-z0-9_-]{1,64})'", message[:2000])
        region = expecting[1] if expecting else ""
    endpoint = members.get("Endpoint", "")
    if not endpoint:
        found = re.match(r"https?://[^/?#\s]+", response.headers.get("location", ""))
        endpoint = found[0] if found else ""
    return ProviderError(
        response.status,
        code,
        message,
        region,
        endpoint,
        rule_code=KMS_RULE if code.startswith("KMS.") else "",
        is_foreign=is_html(response) or (not code and bool(response.body.strip())),
    )


def is_session_refused(response: Response) -> bool:
    """Return whether the response says that the session of the request is invalid or has expired."""
    return response.status in (400, 401, 403) and parse_error(response.body).get("Code") in _INVALID_SESSION_CODES


def named_region(response: Response) -> str | None:
    """Return the region that the server wants requests to be signed for, if that is why it refused this one."""
    if not 300 <= response.status < 500:
        return None
    error = read_error(response, Operation.LIST)
    is_about_region = error.code == "TemporaryRedirect" or find_rule(error, RULES) is REGION
    return error.region if is_about_region and error.region else None


def is_signature_accepted(response: Response) -> bool:
    """Return whether the response shows that the request was signed for the right region."""
    return response.status < 300 or parse_error(response.body).get("Code") in _CODES_AFTER_SIGNATURE


def may_lack_version_2(response: Response) -> bool:
    """Return whether the response to ListObjectsV2 may mean that the server has only ListObjects.

    Servers say so in many ways (`NotImplemented`, `XNotImplemented`, `InvalidArgument`, 405 without a body). Codes with
    another meaning are excluded.
    """
    if response.status not in (400, 405, 501):
        return False
    code = parse_error(response.body).get("Code", "")
    return code in _NOT_OFFERED_CODES or code not in RULES


S3 = Provider(
    "s3",
    "S3",
    read_error,
    RULES,
    "Allow {permission} {where} for {grantee}",
    {
        Operation.LIST: "s3:ListBucket",
        Operation.READ: "s3:GetObject",
        Operation.WRITE: "s3:PutObject",
        Operation.DELETE: "s3:DeleteObject",
    },
    absent_looks_refused="; without s3:ListBucket an absent object is refused like this too",
)
