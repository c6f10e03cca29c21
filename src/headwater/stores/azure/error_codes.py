"""Error codes of Azure Blob Storage.

Sources: "Status and error codes" and "Blob Storage error codes" in the Azure Storage REST reference.
"""

from __future__ import annotations

import re

from headwater.domain.errors import CredentialsRefusedError, LocationInvalidError, OverwriteRefusedError
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
    ErrorRule,
    Operation,
    Provider,
    ProviderError,
    is_html,
)
from headwater.stores.listing_xml import parse_error

VERSION_HEADER = "x-ms-version"

_MEMBERS = frozenset({"Code", "Message", "AuthenticationErrorDetail", "HeaderName"})

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

RULES: dict[str, ErrorRule] = {
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
    "AuthenticationFailed by the clock": CLOCK,
    "AuthorizationFailure": ErrorRule(
        CredentialsRefusedError,
        "Check {secret}, and that the network rules (firewall) of the storage account let this server in",
    ),
    "AuthorizationPermissionMismatch": GRANT,
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
    "BlobArchived": ARCHIVED,
    "BlobBeingRehydrated": ErrorRule(
        LocationInvalidError, "The object is being restored from the archive: try again later"
    ),
    "BlobImmutableDueToLegalHold": _IMMUTABLE,
    "BlobImmutableDueToPolicy": _IMMUTABLE,
    "BlobNotFound": NO_OBJECT,
    "ContainerBeingDeleted": ErrorRule(LocationInvalidError, "The container is being deleted: check {path}"),
    "ContainerDisabled": ErrorRule(
        LocationInvalidError, "The container is disabled: ask the owner of the storage account"
    ),
    "ContainerNotFound": NO_CONTAINER,
    "FeatureVersionMismatch": ErrorRule(
        LocationInvalidError,
        "The object or the stored access policy needs a newer version of the service than this server uses",
    ),
    "InsufficientAccountPermissions": GRANT,
    "InternalError": DOWN,
    "InvalidAuthenticationInfo": _FAILED_KEY,
    "InvalidHeaderValue": NOT_OFFERED,
    "InvalidQueryParameterValue": ErrorRule(
        LocationInvalidError,
        "The store does not take this name or this version of the service: check {path} and {endpoint}",
    ),
    "InvalidResourceName": OBJECT_NAME,
    "InvalidUri": OBJECT_NAME,
    "KeyBasedAuthenticationNotPermitted": ErrorRule(
        CredentialsRefusedError,
        "The storage account allows neither account keys nor signatures made with them: allow shared key access, or "
        "set {secret} to a user delegation SAS token",
    ),
    "LeaseIdMissing": ErrorRule(LocationInvalidError, "Somebody holds a lease on the object or container: end it"),
    "NoAuthenticationInformation": _FAILED_KEY,
    "OperationTimedOut": DOWN,
    "OutOfRangeInput": OBJECT_NAME,
    "PublicAccessNotPermitted": _FAILED_KEY,
    "ResourceNotFound": ErrorRule(
        LocationInvalidError, "There is no such account or {container}: check {key_id} and {path}"
    ),
    "ServerBusy": BUSY,
    "UnauthorizedBlobOverwrite": ErrorRule(
        OverwriteRefusedError,
        "{secret}: make a SAS token with the permission w (write) too, which replacing objects needs",
    ),
}
"""By the code; with further words if the code does not decide."""


def read_error(response: Response, _: Operation) -> ProviderError:
    """Read an error response."""
    members = parse_error(response.body, _MEMBERS)
    code = members.get("Code", "") or response.headers.get("x-ms-error-code", "")
    # Only the first line: the others are the request's id and the time.
    message = members.get("Message", "").partition("\n")[0].strip()
    rule_code = ""
    if code in ("AuthenticationFailed", "AuthorizationFailure"):
        rule_code = _authentication_rule(members.get("AuthenticationErrorDetail", ""), message) or code
    is_foreign = is_html(response) or (not code and bool(response.body.strip()))
    return ProviderError(response.status, code, message, rule_code=rule_code, is_foreign=is_foreign)


def refuses_version(response: Response) -> bool:
    """Return whether the server does not know the service version of the request."""
    if response.status != 400:
        return False
    members = parse_error(response.body, _MEMBERS)
    if members.get("Code") != "InvalidHeaderValue":
        return False
    # Azurite mentions the version only in the message.
    return members.get("HeaderName", "").lower() == VERSION_HEADER or "API version" in members.get("Message", "")


def _authentication_rule(detail: str, message: str) -> str:
    """Return the code of the rule for the cause of "Server failed to authenticate the request"."""
    if re.search(r"\bdate\b.{0,20}\bheader\b|\bheader\b.{0,20}\bdate\b", detail, re.IGNORECASE):
        return "AuthenticationFailed by the clock"
    if re.search(r"time frame|expiry time|start time", detail, re.IGNORECASE):
        return "AuthenticationFailed by its time"
    if re.search(r"resource.{0,30}not allowed|not allowed.{0,30}resource", detail, re.IGNORECASE):
        return "AuthenticationFailed by its resource"
    if re.search(r"mandatory|well formed|invalid", detail, re.IGNORECASE):
        return "AuthenticationFailed by its form"
    if message.startswith("Server failed to authenticate"):
        return "AuthenticationFailed"
    return ""


AZURE = Provider(
    "azure",
    "Azure Blob Storage",
    read_error,
    RULES,
    "{secret}: make a SAS token with the permission {permission} {where}",
    {
        Operation.LIST: "l (list)",
        Operation.READ: "r (read)",
        Operation.WRITE: "w (write)",
        Operation.DELETE: "d (delete)",
    },
    container="container",
)
