"""Error codes of Cloud Storage's JSON API and of Google's token endpoint.

Sources: "Error responses" and "HTTP status and error codes for JSON" of Cloud Storage; RFC 6749, section 5.2.
"""

from __future__ import annotations

import msgspec

from headwater.domain.errors import (
    CredentialsRefusedError,
    LocationInvalidError,
    OverwriteRefusedError,
    StoreUnavailableError,
)
from headwater.net.transport import Response, is_transient
from headwater.stores.error_mapping import (
    BUSY,
    DOWN,
    GRANT,
    MAX_ERROR_BODY_BYTES,
    NO_OBJECT,
    NOT_OFFERED,
    ErrorRule,
    Operation,
    Provider,
    ProviderError,
    is_html,
)
from headwater.stores.gcs.listing import UNREADABLE

_SERVICE_ACCOUNT = ErrorRule(
    CredentialsRefusedError,
    "Check {secret}: the service account or its key was deleted or disabled, or the file was altered. Make a new key",
)
_NO_TOKEN = ErrorRule(
    CredentialsRefusedError, "Check {secret}: Google gives this service account no access, as its administrators decide"
)
_TOKEN_REFUSED = ErrorRule(
    CredentialsRefusedError,
    "Google does not accept the access token: check that the service account of {secret} is enabled and its key exists",
)
_REQUESTER_PAYS = ErrorRule(
    LocationInvalidError,
    "The requester pays for this bucket, and this server names no project to bill: turn off requester pays",
)
_ARGUMENT = ErrorRule(LocationInvalidError, "The store does not accept this name: check {path}")
_KEPT = ErrorRule(
    OverwriteRefusedError, "The bucket keeps the object as it is (a hold or retention policy): ask the bucket's owner"
)


RULES: dict[str, ErrorRule] = {
    "accessNotConfigured": ErrorRule(
        CredentialsRefusedError, "Enable the Cloud Storage API in the project of the service account of {secret}"
    ),
    "accountDisabled": ErrorRule(
        CredentialsRefusedError, "The bucket's project has no billing account, or is disabled: ask its owner"
    ),
    "authError": _TOKEN_REFUSED,
    "authenticationRequiredRequesterPays": _REQUESTER_PAYS,
    "backendError": DOWN,
    "conflict": BUSY,
    "dailyLimitExceeded": BUSY,
    "forbidden": GRANT,
    "forbidden to replace": ErrorRule(
        OverwriteRefusedError,
        "There is an object of this name, and replacing it needs storage.objects.delete too: allow that for the "
        "service account of {secret}",
    ),
    "insufficientPermissions": GRANT,
    "internalError": DOWN,
    "invalid": _ARGUMENT,
    "invalidArgument": _ARGUMENT,
    "invalidParameter": _ARGUMENT,
    "methodNotAllowed": NOT_OFFERED,
    "notFound": NO_OBJECT,
    "notFound bucket": ErrorRule(LocationInvalidError, "There is no such {container}: check {path}"),
    "objectUnderActiveHold": _KEPT,
    "quotaExceeded": BUSY,
    "rateLimitExceeded": BUSY,
    "required": _TOKEN_REFUSED,
    "retentionPolicyNotMet": _KEPT,
    "userProjectMissing": _REQUESTER_PAYS,
    "userRateLimitExceeded": BUSY,
}
"""By the reason; with a second word if the reason does not decide."""

TOKEN_RULES: dict[str, ErrorRule] = {
    "access_denied": _NO_TOKEN,
    "admin_policy_enforced": _NO_TOKEN,
    "deleted_client": _SERVICE_ACCOUNT,
    "disabled_client": _SERVICE_ACCOUNT,
    "internal_failure": DOWN,
    "invalid_client": _SERVICE_ACCOUNT,
    "invalid_grant": _SERVICE_ACCOUNT,
    "invalid_grant by the clock": ErrorRule(
        StoreUnavailableError,
        "The clocks of this server and Google's differ: the operator must set this server's clock",
    ),
    "invalid_request": ErrorRule(LocationInvalidError, "This is no token endpoint of Google's: check {endpoint}"),
    "invalid_scope": _NO_TOKEN,
    "org_internal": _NO_TOKEN,
    "rate_limit_exceeded": BUSY,
    "server_error": DOWN,
    "temporarily_unavailable": DOWN,
    "unauthorized_client": _NO_TOKEN,
    "unsupported_grant_type": ErrorRule(
        LocationInvalidError, "This is no token endpoint of Google's: check {endpoint}"
    ),
}
"""The errors of Google's token endpoint."""

_TRANSIENT_TOKEN_ERRORS = frozenset({"internal_failure", "server_error", "temporarily_unavailable"})


class _Detail(msgspec.Struct):
    reason: str = ""


class _Error(msgspec.Struct):
    message: str = ""
    status: str = ""
    errors: list[_Detail] = []


class _ErrorBody(msgspec.Struct):
    error: _Error


class _TokenError(msgspec.Struct):
    error: str
    error_description: str = ""


_errors = msgspec.json.Decoder(_ErrorBody)
_token_errors = msgspec.json.Decoder(_TokenError)


def is_transient_error(response: Response) -> bool:
    """Return whether a retry may help. Cloud Storage also sends its code for too many requests with a 403."""
    return (
        is_transient(response)
        or response.status == 408
        or (response.status == 403 and b"ateLimitExceeded" in response.body)
    )


def read_error(response: Response, operation: Operation) -> ProviderError:
    """Read an error response."""
    code, message = _reason_and_message(response, operation)
    status = response.status
    rule_code = _rule_code(status, code, message, operation)
    is_foreign = not code and not message and bool(response.body.strip())
    return ProviderError(status, code, message, rule_code=rule_code, is_foreign=is_foreign)


def read_token_error(response: Response) -> ProviderError:
    """Read an error response of a token endpoint (RFC 6749, section 5.2)."""
    try:
        found = _token_errors.decode(response.body)
    except UNREADABLE:
        return ProviderError(response.status, is_foreign=is_html(response) or bool(response.body.strip()))
    rule_code = found.error
    if rule_code == "invalid_grant" and "reasonable timeframe" in found.error_description:
        rule_code = "invalid_grant by the clock"
    elif rule_code not in TOKEN_RULES:
        rule_code = "server_error" if is_transient(response) else "invalid_grant"
    return ProviderError(response.status, found.error, found.error_description, rule_code=rule_code)


def is_transient_token_error(response: Response) -> bool:
    """Return whether a retry at the token endpoint may help."""
    return (
        is_transient(response) or response.status == 408 or read_token_error(response).code in _TRANSIENT_TOKEN_ERRORS
    )


GCS = Provider(
    "gcs",
    "Cloud Storage's JSON API",
    read_error,
    RULES,
    "Allow {permission} {where} for the service account of {secret}",
    {
        Operation.LIST: "storage.objects.list",
        Operation.READ: "storage.objects.get",
        Operation.WRITE: "storage.objects.create",
        Operation.DELETE: "storage.objects.delete",
    },
    absent_looks_refused="; without storage.objects.list an absent object is refused like this too",
)


def _reason_and_message(response: Response, operation: Operation) -> tuple[str, str]:
    body = response.body[:MAX_ERROR_BODY_BYTES]
    try:
        error = _errors.decode(body).error
        return (error.errors[0].reason if error.errors else "") or error.status, error.message
    except UNREADABLE:
        pass
    # A refused download has only the message, as plain text with the content type of HTML.
    if operation is Operation.READ and not body.lstrip().startswith((b"<", b"{", b"[")):
        message = body.decode(errors="replace").strip()
        known = message.startswith(("No such object", "Not Found")) or _is_of_the_bucket(message)
        reasons = {401: "authError", 403: "forbidden", 404: "notFound" if known else ""}
        return reasons.get(response.status, "") if message else "", message
    return "", ""


def _rule_code(status: int, code: str, message: str, operation: Operation) -> str:
    """Return the code of the rule, if the reason does not decide it."""
    if "requester pays" in message:
        return "userProjectMissing"
    if status == 403 and "billing" in message:
        return "accountDisabled"
    if status == 403 and operation is Operation.WRITE and "storage.objects.delete" in message:
        return "forbidden to replace"
    # A listing or a write cannot fail because an object is absent, so the bucket must be absent.
    not_of_an_object = operation in (Operation.LIST, Operation.WRITE) and (code or message)
    if status == 404 and (not_of_an_object or _is_of_the_bucket(message)):
        return "notFound bucket"
    return ""


def _is_of_the_bucket(message: str) -> bool:
    # Only at the start: the message may also contain the name of an object.
    return message.startswith(("The specified bucket does not exist", "No such bucket"))
