"""What providers answer when they refuse, in this project's errors: which is whose fault, and what to change.

`TABLE` is the one table of all their codes. A provider's file has a `Provider`, which says how its answers are read
and what its permissions are called; the rest is here.

Sources: "List of error codes" in the Amazon S3 API reference, "Errors" of AWS STS's AssumeRole, what MinIO, Ceph and
Huawei OBS answer; "HTTP status and error codes for JSON" of Cloud Storage and RFC 6749, section 5.2; "Status and error
codes" and "Blob Storage error codes" of Azure Storage.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from headwater.domain.errors import (
    CredentialsRefusedError,
    LocationInvalidError,
    ObjectNotFoundError,
    OverwriteRefusedError,
    StoreError,
    StoreUnavailableError,
)
from headwater.net.transport import Response, is_transient_status


class Operation(Enum):
    """What was asked of the store, as a text calls it; `{}` stands for the bucket or container."""

    LIST = "list {}"
    READ = "read an object of {}"
    WRITE = "write an object to {}"
    DELETE = "delete an object of {}"


class ProviderError(NamedTuple):
    """What a provider's answer says.

    `row` is where the table tells of it, where `code` alone does not decide; `region` and `endpoint` are where the
    request should have gone; `foreign` says that the answer is not this provider's kind of answer at all.
    """

    status: int
    code: str = ""
    message: str = ""
    region: str = ""
    endpoint: str = ""
    row: str = ""
    foreign: bool = False


class Provider(NamedTuple):
    """A kind of storage, as far as refusals go.

    Attributes:
        protocol: what an endpoint that is something else does not speak.
        read: reads an answer that is not a success.
        grant: the advice for a refusal; `{permission}`, `{where}`, `{key_id}` and `{secret}` are filled in.
        permissions: what the permission for each operation is called.
        container: what a bucket is called.
        absent_looks_refused: what is added to the advice for a refused read.
    """

    protocol: str
    read: Callable[[Response, Operation], ProviderError]
    grant: str
    permissions: Mapping[Operation, str]
    container: str = "bucket"
    absent_looks_refused: str = ""


class ConfigLabels(NamedTuple):
    """How the texts call things: the store, and the config members or settings that a user would change."""

    store: str
    access_key_id: str
    secret_access_key: str
    endpoint: str
    """Names what decides where requests go: `s3Region`, `obsEndpoint`, `HEADWATER_S3_ENDPOINT`."""
    region: str | None = None
    """Names the member that holds the region, where there is one."""
    path: str = "fullPath"
    """Names what holds bucket and path."""


class OperationContext(NamedTuple):
    """One request, as far as an error text tells of it. `root` is the key prefix of the datasource."""

    operation: Operation
    bucket: str
    root: str
    names: ConfigLabels
    provider: Provider


class AdviceFields(NamedTuple):
    """What stands in the advice of the table's rows, each of which may take any of them."""

    key_id: str
    secret: str
    endpoint: str
    path: str
    container: str
    protocol: str
    permission_advice: str
    region_advice: str


class ErrorRule(NamedTuple):
    """One answer of the table: the error it becomes, and what to do about it."""

    error: type[StoreError]
    advice: str


_KEY_ID = ErrorRule(
    CredentialsRefusedError, "Check {key_id}: the store does not know this access key, or it is disabled"
)
_TOKEN = ErrorRule(
    CredentialsRefusedError, "The session has expired or its token is not good: new credentials are needed"
)
_REGION = ErrorRule(LocationInvalidError, "{region_advice}")
_BUSY = ErrorRule(StoreUnavailableError, "The store asks for fewer requests; try again in a moment")
_DOWN = ErrorRule(StoreUnavailableError, "The store failed; try again in a moment")
_GRANT = ErrorRule(CredentialsRefusedError, "{permission_advice}")
_NO_CONTAINER = ErrorRule(LocationInvalidError, "There is no such {container}: check {path} and {endpoint}")
_NO_OBJECT = ErrorRule(ObjectNotFoundError, "There is no such object")
_CONTAINER_NAME = ErrorRule(LocationInvalidError, "Check the {container}'s name in {path}")
_CLOCK = ErrorRule(
    StoreUnavailableError,
    "The clock of this server and the store's are more than 15 minutes apart: the operator must set the clock",
)
_NOT_OFFERED = ErrorRule(LocationInvalidError, "The server does not offer this operation: check {endpoint}")
_ARCHIVED = ErrorRule(LocationInvalidError, "The object is archived: restore it first")
_KMS = ErrorRule(
    CredentialsRefusedError, "The KMS key of the bucket or datasource cannot be used with these credentials"
)
_SERVERS_KEYS = ErrorRule(
    CredentialsRefusedError,
    "AWS does not take this server's own credentials, or their account has not enabled the region: its operator must "
    "see to that",
)
_BUCKET_IN_HOST = ErrorRule(
    LocationInvalidError, "The store wants the bucket's name in its host's name, and this server puts it in the path"
)
_OBJECT_NAME = ErrorRule(LocationInvalidError, "The store allows no object of this name: check the path in {path}")

_SERVICE_ACCOUNT = ErrorRule(
    CredentialsRefusedError,
    "Check {secret}: the service account or its key was deleted or disabled, or the file was altered. Make a new key",
)
_NO_TOKEN = ErrorRule(
    CredentialsRefusedError, "Check {secret}: Google gives this service account no access, as its administrators decide"
)
_TOKEN_REFUSED = ErrorRule(
    CredentialsRefusedError,
    "Google does not take the access token: check that the service account of {secret} is enabled and its key is there",
)
_REQUESTER_PAYS = ErrorRule(
    LocationInvalidError,
    "Who asks pays for this bucket, and this server names no project to bill: turn off requester pays",
)
_ARGUMENT = ErrorRule(LocationInvalidError, "The store takes no such name: check {path}")
_KEPT = ErrorRule(
    OverwriteRefusedError, "The bucket keeps the object as it is (a hold or retention policy): ask the bucket's owner"
)

_FAILED_KEY = ErrorRule(
    CredentialsRefusedError,
    "Check {secret}: it does not belong to this {key_id}, was not copied exactly, or was replaced",
)
_SAS_KIND = ErrorRule(
    CredentialsRefusedError,
    "{secret}: the SAS token is for something else: make one for the container (sr=c), or one for the account with "
    "ss=b and srt=co",
)
_IMMUTABLE = ErrorRule(
    OverwriteRefusedError, "An immutability policy or legal hold keeps objects of this container from being replaced"
)

TABLE: dict[str, ErrorRule] = {
    # S3, and what speaks its protocol.
    "AccessDenied": _GRANT,
    "AccountProblem": ErrorRule(CredentialsRefusedError, "The store's account has a problem: ask the provider"),
    "AllAccessDisabled": ErrorRule(LocationInvalidError, "All access to this bucket has been disabled by the provider"),
    "AuthorizationHeaderMalformed": _REGION,
    "BadDigest": _DOWN,
    "ExpiredToken": _TOKEN,
    "ExpiredTokenException": _TOKEN,
    "IllegalLocationConstraintException": _REGION,
    "InternalError": _DOWN,
    "InvalidAccessKeyId": _KEY_ID,
    "InvalidBucketName": _CONTAINER_NAME,
    "InvalidClientTokenId": _KEY_ID,
    "InvalidObjectState": _ARCHIVED,
    "InvalidRegion": _REGION,
    "InvalidSecurity": _KEY_ID,
    "InvalidToken": _TOKEN,
    "KeyTooLongError": _OBJECT_NAME,
    "MethodNotAllowed": _NOT_OFFERED,
    "NoSuchBucket": _NO_CONTAINER,
    "NoSuchKey": _NO_OBJECT,
    "NotImplemented": _NOT_OFFERED,
    "NotSignedUp": ErrorRule(CredentialsRefusedError, "The store's account is not signed up: ask the provider"),
    "OperationAborted": _BUSY,
    "PermanentRedirect": _REGION,
    "RequestLimitExceeded": _BUSY,
    "RequestTimeTooSkewed": _CLOCK,
    "RequestTimeout": _DOWN,
    "SecondLevelDomainForbidden": _BUCKET_IN_HOST,
    "ServerBusy": _BUSY,
    "ServiceUnavailable": _DOWN,
    "SignatureDoesNotMatch": ErrorRule(
        CredentialsRefusedError, "Check {secret}: it does not belong to this {key_id}, or was not copied exactly"
    ),
    "SlowDown": _BUSY,
    "TemporaryRedirect": ErrorRule(
        StoreUnavailableError, "The bucket is new or moving, and not yet reachable in its region: try again later"
    ),
    "Throttling": _BUSY,
    "ThrottlingException": _BUSY,
    "TokenRefreshRequired": _TOKEN,
    "TooManyRequests": _BUSY,
    "UnauthorizedAccess": ErrorRule(
        CredentialsRefusedError, "These credentials belong to another partition: {region_advice}"
    ),
    "VirtualHostDomainRequired": _BUCKET_IN_HOST,
    # STS, where a role is assumed.
    "AssumeRole/AccessDenied": ErrorRule(
        CredentialsRefusedError,
        "Check s3ARN and s3ExternalId: the role's trust policy must name this server's identity and ask for this "
        "external id, and its operator must allow that identity sts:AssumeRole on the role",
    ),
    "AssumeRole/ExpiredToken": _SERVERS_KEYS,
    "AssumeRole/ExpiredTokenException": _SERVERS_KEYS,
    "AssumeRole/IncompleteSignature": _SERVERS_KEYS,
    "AssumeRole/InvalidClientTokenId": _SERVERS_KEYS,
    "AssumeRole/MissingAuthenticationToken": _SERVERS_KEYS,
    "AssumeRole/OptInRequired": _SERVERS_KEYS,
    "AssumeRole/RegionDisabledException": ErrorRule(
        CredentialsRefusedError,
        "STS is not active in this region for the role's account: its administrator activates it in the account "
        "settings of IAM",
    ),
    "AssumeRole/SignatureDoesNotMatch": _SERVERS_KEYS,
    "AssumeRole/UnrecognizedClientException": _SERVERS_KEYS,
    "AssumeRole/ValidationError": ErrorRule(
        CredentialsRefusedError, "Check s3ARN and s3ExternalId: STS does not take them"
    ),
    # Cloud Storage, by its reasons. Two words: the reason, and what else the answer says.
    "accessNotConfigured": ErrorRule(
        CredentialsRefusedError, "Enable the Cloud Storage API in the project of the service account of {secret}"
    ),
    "accountDisabled": ErrorRule(
        CredentialsRefusedError, "The bucket's project has no billing account, or is disabled: ask its owner"
    ),
    "authError": _TOKEN_REFUSED,
    "authenticationRequiredRequesterPays": _REQUESTER_PAYS,
    "backendError": _DOWN,
    "conflict": _BUSY,
    "dailyLimitExceeded": _BUSY,
    "forbidden": _GRANT,
    "forbidden to replace": ErrorRule(
        OverwriteRefusedError,
        "There is an object of this name, and replacing it needs storage.objects.delete too: allow that for the "
        "service account of {secret}",
    ),
    "insufficientPermissions": _GRANT,
    "internalError": _DOWN,
    "invalid": _ARGUMENT,
    "invalidArgument": _ARGUMENT,
    "invalidParameter": _ARGUMENT,
    "methodNotAllowed": _NOT_OFFERED,
    "notFound": _NO_OBJECT,
    "notFound bucket": ErrorRule(LocationInvalidError, "There is no such {container}: check {path}"),
    "objectUnderActiveHold": _KEPT,
    "quotaExceeded": _BUSY,
    "rateLimitExceeded": _BUSY,
    "required": _TOKEN_REFUSED,
    "retentionPolicyNotMet": _KEPT,
    "userProjectMissing": _REQUESTER_PAYS,
    "userRateLimitExceeded": _BUSY,
    # Google's token endpoint.
    "access_denied": _NO_TOKEN,
    "admin_policy_enforced": _NO_TOKEN,
    "deleted_client": _SERVICE_ACCOUNT,
    "disabled_client": _SERVICE_ACCOUNT,
    "internal_failure": _DOWN,
    "invalid_client": _SERVICE_ACCOUNT,
    "invalid_grant": _SERVICE_ACCOUNT,
    "invalid_grant by the clock": ErrorRule(
        StoreUnavailableError,
        "The clocks of this server and Google's differ: the operator must set this server's clock",
    ),
    "invalid_request": ErrorRule(LocationInvalidError, "This is no token endpoint of Google's: check {endpoint}"),
    "invalid_scope": _NO_TOKEN,
    "org_internal": _NO_TOKEN,
    "rate_limit_exceeded": _BUSY,
    "server_error": _DOWN,
    "temporarily_unavailable": _DOWN,
    "unauthorized_client": _NO_TOKEN,
    "unsupported_grant_type": ErrorRule(
        LocationInvalidError, "This is no token endpoint of Google's: check {endpoint}"
    ),
    # Azure Storage. More than one word: the code, and what else the answer says.
    "AccountIsDisabled": ErrorRule(LocationInvalidError, "The storage account is disabled: ask its owner"),
    "AuthenticationFailed": _FAILED_KEY,
    "AuthenticationFailed by its form": ErrorRule(
        CredentialsRefusedError, "{secret}: the SAS token lacks a part or was altered. Copy it whole, or make a new one"
    ),
    "AuthenticationFailed by its resource": _SAS_KIND,
    "AuthenticationFailed by its time": ErrorRule(
        CredentialsRefusedError,
        "{secret}: the SAS token has expired or is not valid yet (its parts se, st): make a new one",
    ),
    "AuthenticationFailed by the clock": _CLOCK,
    "AuthorizationFailure": ErrorRule(
        CredentialsRefusedError,
        "Check {secret}, and that the network rules (firewall) of the storage account let this server in",
    ),
    "AuthorizationPermissionMismatch": _GRANT,
    "AuthorizationProtocolMismatch": ErrorRule(
        CredentialsRefusedError, "{secret}: the SAS token is for https alone (spr), and the endpoint is http"
    ),
    "AuthorizationResourceTypeMismatch": ErrorRule(
        CredentialsRefusedError,
        "{secret}: make the SAS token for the resource types container and object (srt=co)",
    ),
    "AuthorizationServiceMismatch": ErrorRule(
        CredentialsRefusedError, "{secret}: make the SAS token for the Blob service (ss=b)"
    ),
    "AuthorizationSourceIPMismatch": ErrorRule(
        CredentialsRefusedError,
        "{secret}: the SAS token is for other addresses (sip) than this server's: make one without sip, since read "
        "URLs are used from elsewhere too",
    ),
    "BlobArchived": _ARCHIVED,
    "BlobBeingRehydrated": ErrorRule(
        LocationInvalidError, "The object is being restored from the archive: try again later"
    ),
    "BlobImmutableDueToLegalHold": _IMMUTABLE,
    "BlobImmutableDueToPolicy": _IMMUTABLE,
    "BlobNotFound": _NO_OBJECT,
    "ContainerBeingDeleted": ErrorRule(LocationInvalidError, "The container is being deleted: check {path}"),
    "ContainerDisabled": ErrorRule(
        LocationInvalidError, "The container is disabled: ask the owner of the storage account"
    ),
    "ContainerNotFound": _NO_CONTAINER,
    "FeatureVersionMismatch": ErrorRule(
        LocationInvalidError,
        "The object or the stored access policy needs a newer version of the service than this server uses",
    ),
    "InsufficientAccountPermissions": _GRANT,
    "InvalidAuthenticationInfo": _FAILED_KEY,
    "InvalidHeaderValue": _NOT_OFFERED,
    "InvalidQueryParameterValue": ErrorRule(
        LocationInvalidError,
        "The store does not take this name or this version of the service: check {path} and {endpoint}",
    ),
    "InvalidResourceName": _OBJECT_NAME,
    "InvalidUri": _OBJECT_NAME,
    "KeyBasedAuthenticationNotPermitted": ErrorRule(
        CredentialsRefusedError,
        "The storage account allows no account keys, nor what is signed with them: allow shared key access for it, or "
        "set {secret} to a user delegation SAS token",
    ),
    "LeaseIdMissing": ErrorRule(LocationInvalidError, "Somebody holds a lease on the object or container: end it"),
    "NoAuthenticationInformation": _FAILED_KEY,
    "OperationTimedOut": _DOWN,
    "OutOfRangeInput": _OBJECT_NAME,
    "PublicAccessNotPermitted": _FAILED_KEY,
    "ResourceNotFound": ErrorRule(
        LocationInvalidError, "There is no such account or {container}: check {key_id} and {path}"
    ),
    "UnauthorizedBlobOverwrite": ErrorRule(
        OverwriteRefusedError,
        "{secret}: make a SAS token with the permission w (write) too, which replacing objects needs",
    ),
}
"""By the provider's code. Codes that begin with `KMS.` are told apart below; others go by their status."""

_long_run = re.compile(r"[A-Za-z0-9+/=_%]{40,}")
_RUN = string.ascii_letters + string.digits + "+/=_%"
_named_secret = re.compile(
    # An Authorization header's value has several words, the others' have one. A name is looked for from its first
    # character alone: from each of them, the time would grow with the square of its length.
    r"\b(authorization)\s*[=:].*|(?<![\w-])([\w-]*(?:signature|credential|token|secret|password))\s*[=:]\s*\S+",
    re.IGNORECASE | re.DOTALL,
)


def explain(response: Response, asked: OperationContext, secrets: Iterable[str] = ()) -> StoreError:
    """Turn an answer that is not a success into the error to raise.

    Args:
        response: the answer.
        asked: what was asked.
        secrets: texts that must not be repeated, should the answer hold them.
    """
    return explain_said(asked.provider.read(response, asked.operation), asked, secrets)


def explain_said(said: ProviderError, asked: OperationContext, secrets: Iterable[str] = ()) -> StoreError:
    """As `explain`, for what a provider said by other means than an answer to a store's own request."""
    names = asked.names
    words = AdviceFields(
        key_id=names.access_key_id,
        secret=names.secret_access_key,
        endpoint=names.endpoint,
        path=names.path,
        container=asked.provider.container,
        protocol=asked.provider.protocol,
        permission_advice=_permission_advice(asked),
        region_advice=_region_advice(asked, plain(said.region, secrets, 60), plain(said.endpoint, secrets, 100)),
    )
    return refusal(said, f"{names.store} did not {_doing(asked)}", words, secrets)


def refusal(said: ProviderError, what: str, words: AdviceFields, secrets: Iterable[str] = ()) -> StoreError:
    """The error to raise for what a provider said, whatever it was asked for.

    Args:
        said: what it said.
        what: what did not happen: "S3 did not list the bucket 'data'".
        words: what stands in the advice.
        secrets: texts that must not be repeated, should the answer hold them.
    """
    row = rule_for(said)
    code, message = plain(said.code, secrets, 60), plain(said.message, secrets, 200)
    provider = f"{code} ({message})" if code and message else code or f"HTTP status {said.status}"
    return row.error(f"{what}: {provider}. {row.advice.format(**words._asdict())}", code or None)


def does_not_speak(asked: OperationContext, what: str) -> LocationInvalidError:
    """A success whose body is not what the provider sends: a web page, a listing of another kind."""
    return LocationInvalidError(
        f"The endpoint does not speak {asked.provider.protocol}: asked to {_doing(asked)}, it answered {what}. "
        f"Check {asked.names.endpoint}"
    )


def is_html(response: Response) -> bool:
    """Whether the answer is a web page."""
    start = response.body[:500].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return True
    return "html" in response.headers.get("content-type", "") and not start.startswith(b"<?xml")


def rule_for(said: ProviderError) -> ErrorRule:
    """The row of the table that tells of an answer, or what its status says."""
    row = TABLE.get(said.row) or TABLE.get(said.code)
    if row is not None:
        return row
    if said.code.startswith("KMS."):
        return _KMS
    if said.status in (301, 302, 303, 307, 308):
        return _REGION
    if is_transient_status(said.status):
        return _BUSY if said.status in (429, 503) else _DOWN
    if said.foreign:
        return ErrorRule(LocationInvalidError, "This endpoint does not speak {protocol}: check {endpoint}")
    if said.status in (401, 403):
        return _GRANT
    if said.status == 404:
        return ErrorRule(LocationInvalidError, "There is nothing at this address: check {path} and {endpoint}")
    return ErrorRule(LocationInvalidError, "Check {path} and {endpoint}")


def plain(text: str, secrets: Iterable[str] = (), limit: int = 200) -> str:
    """Make a provider's words fit for a text of ours: one short line that holds no secret."""
    for secret in secrets:
        # A very short one would take ordinary words apart, and protects nothing.
        if len(secret) >= 4:
            text = text.replace(secret, "…")
    cut = text[: 4 * limit]
    # The run at the cut may be the start of a long one.
    text = text if len(text) == len(cut) else cut.rstrip(_RUN) + "…"
    # Signatures (64 hex digits), secret keys (40 characters) and tokens are long runs of these; words are not.
    text = _long_run.sub("…", text)
    text = _named_secret.sub(r"\1\2=…", text)
    return _one_line(text, limit).rstrip(".")


def shown(name: str) -> str:
    """A bucket or path in quotes, without characters that would break a line."""
    return f"'{_one_line(name, 200)}'"


def _one_line(text: str, limit: int) -> str:
    text = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _doing(asked: OperationContext) -> str:
    return asked.operation.value.format(f"the {asked.provider.container} {shown(asked.bucket)}")


def _permission_advice(asked: OperationContext) -> str:
    where = (
        f"on the {asked.provider.container} {shown(asked.bucket)}"
        if asked.operation is Operation.LIST
        else f"on the path {shown(f'{asked.bucket}/{asked.root}*')}"
    )
    advice = asked.provider.grant.format(
        permission=asked.provider.permissions[asked.operation],
        where=where,
        key_id=asked.names.access_key_id,
        secret=asked.names.secret_access_key,
    )
    if asked.operation is Operation.READ:
        advice += asked.provider.absent_looks_refused
    return advice


def _region_advice(asked: OperationContext, region: str, endpoint: str) -> str:
    if region and asked.names.region:
        return f"The bucket is in another region: set {asked.names.region} to {region}"
    if region:
        return f"The bucket is in the region {region}: check {asked.names.endpoint}"
    if endpoint:
        return f"The bucket answers at {endpoint}: check {asked.names.endpoint}. Redirects are not followed"
    return f"The bucket is elsewhere: check {asked.names.endpoint}. Redirects are not followed"
