"""Providers' error responses, turned into this project's errors: who has to act, and what to change.

A provider's folder has a `Provider`: how its error responses are read, what its permissions are called, and a rule for
each of its error codes. This module has the rules that several providers share and turns a response into an error.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Container, Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from headwater.domain.errors import (
    CredentialsRefusedError,
    LocationInvalidError,
    ObjectNotFoundError,
    StoreError,
    StoreUnavailableError,
)
from headwater.net.transport import Response, is_transient_status
from headwater.observability.work import OTHER, count

MAX_ERROR_BODY_BYTES = 64 * 2**10
"""More than any error document has."""


class Operation(Enum):
    """What a request does, as an error text calls it; `{}` stands for the bucket or container."""

    LIST = "list {}"
    READ = "read an object of {}"
    WRITE = "write an object to {}"
    DELETE = "delete an object of {}"


class ProviderError(NamedTuple):
    """The content of a provider's error response.

    Attributes:
        status: the HTTP status.
        code: the provider's error code; empty if the response has none.
        message: the provider's own text.
        region: where the request should have gone.
        endpoint: where the request should have gone.
        rule_code: the code of the rule that applies, if `code` does not decide it.
        is_foreign: the response does not have the form of this provider's errors.
    """

    status: int
    code: str = ""
    message: str = ""
    region: str = ""
    endpoint: str = ""
    rule_code: str = ""
    is_foreign: bool = False


class ErrorRule(NamedTuple):
    """What becomes of an error code: the error to raise, and its advice, a format string over `AdviceFields`."""

    error: type[StoreError]
    advice: str


class Provider(NamedTuple):
    """What error texts need to know about a provider.

    Attributes:
        name: a short name, for metrics.
        protocol: the protocol's name, for endpoints that do not speak it.
        read_error: reads an error response.
        rules: by error code.
        grant: the advice if a permission is missing; `{permission}`, `{where}`, `{grantee}` and `{secret}` are filled
            in.
        permissions: the permission that each operation needs.
        container: what a bucket is called.
        absent_looks_refused: added to the advice for a refused read.
    """

    name: str
    protocol: str
    read_error: Callable[[Response, Operation], ProviderError]
    rules: Mapping[str, ErrorRule]
    grant: str
    permissions: Mapping[Operation, str]
    container: str = "bucket"
    absent_looks_refused: str = ""


class ConfigLabels(NamedTuple):
    """What error texts call the store, and the config members or settings that a user would change.

    Attributes:
        store: the store.
        access_key_id: names the identity.
        secret_access_key: holds the secret.
        endpoint: decides where requests go: `s3Region`, `obsEndpoint`, `HEADWATER_S3_ENDPOINT`.
        region: holds the region, if there is such a member.
        path: holds bucket and path.
        grantee: who needs a missing permission; None is `this {access_key_id}`.
    """

    store: str
    access_key_id: str
    secret_access_key: str
    endpoint: str
    region: str | None = None
    path: str = "fullPath"
    grantee: str | None = None


class OperationContext(NamedTuple):
    """One operation, as far as error texts mention it. `root` is the key prefix of the datasource."""

    operation: Operation
    bucket: str
    root: str
    labels: ConfigLabels
    provider: Provider


class AdviceFields(NamedTuple):
    """What the advice of an `ErrorRule` may mention."""

    key_id: str
    secret: str
    endpoint: str
    path: str
    container: str
    protocol: str
    permission_advice: str
    region_advice: str


BUSY = ErrorRule(StoreUnavailableError, "The store asks for fewer requests; try again in a moment")
DOWN = ErrorRule(StoreUnavailableError, "The store failed; try again in a moment")
GRANT = ErrorRule(CredentialsRefusedError, "{permission_advice}")
REGION = ErrorRule(LocationInvalidError, "{region_advice}")
NO_CONTAINER = ErrorRule(LocationInvalidError, "There is no such {container}: check {path} and {endpoint}")
NO_OBJECT = ErrorRule(ObjectNotFoundError, "There is no such object")
CLOCK = ErrorRule(
    StoreUnavailableError,
    "The clock of this server and the store's are more than 15 minutes apart: the operator must set the clock",
)
NOT_OFFERED = ErrorRule(LocationInvalidError, "The server does not offer this operation: check {endpoint}")
ARCHIVED = ErrorRule(LocationInvalidError, "The object is archived: restore it first")
OBJECT_NAME = ErrorRule(LocationInvalidError, "The store allows no object of this name: check the path in {path}")


def error_from_response(response: Response, context: OperationContext, secrets: Iterable[str] = ()) -> StoreError:
    """Return the error to raise for a response that is not a success.

    Args:
        response: the response.
        context: the operation that failed.
        secrets: texts that must not be repeated if the response contains them.
    """
    return to_store_error(context.provider.read_error(response, context.operation), context, secrets)


def to_store_error(error: ProviderError, context: OperationContext, secrets: Iterable[str] = ()) -> StoreError:
    """Return the error to raise for a provider's error; see `error_from_response`."""
    labels, provider = context.labels, context.provider
    fields = AdviceFields(
        key_id=labels.access_key_id,
        secret=labels.secret_access_key,
        endpoint=labels.endpoint,
        path=labels.path,
        container=provider.container,
        protocol=provider.protocol,
        permission_advice=_permission_advice(context),
        region_advice=_region_advice(labels, plain(error.region, secrets, 60), plain(error.endpoint, secrets, 100)),
    )
    count_error(provider.name, provider.rules, error.code, error.rule_code)
    return apply_rule(error, provider.rules, f"{labels.store} did not {_describe(context)}", fields, secrets)


def count_error(provider: str, known: Container[str], *codes: str | None) -> None:
    """Count an error of a store by the first of these codes that is a known one: a store may send anything."""
    count("store_errors", provider, next((code for code in codes if code is not None and code in known), OTHER))


def apply_rule(
    error: ProviderError,
    rules: Mapping[str, ErrorRule],
    summary: str,
    fields: AdviceFields,
    secrets: Iterable[str] = (),
) -> StoreError:
    """Return the error that the rule for a provider's error makes of it.

    Args:
        error: the provider's error.
        rules: by error code.
        summary: what did not happen, such as "S3 did not list the bucket 'data'".
        fields: what the advice may mention.
        secrets: texts that must not be repeated if the response contains them.
    """
    rule = find_rule(error, rules)
    code, message = plain(error.code, secrets, 100), plain(error.message, secrets, 200)
    cause = f"{code} ({message})" if code and message else code or f"HTTP status {error.status}"
    return rule.error(f"{summary}: {cause}. {rule.advice.format(**fields._asdict())}", code or None)


def find_rule(error: ProviderError, rules: Mapping[str, ErrorRule]) -> ErrorRule:
    """Return the rule for an error's code or, if there is none, for its status."""
    rule = rules.get(error.rule_code) or rules.get(error.code)
    if rule is not None:
        return rule
    if error.status in (301, 302, 303, 307, 308):
        return REGION
    if is_transient_status(error.status):
        return BUSY if error.status in (429, 503) else DOWN
    if error.is_foreign:
        return ErrorRule(LocationInvalidError, "This endpoint does not speak {protocol}: check {endpoint}")
    if error.status in (401, 403):
        return GRANT
    if error.status == 404:
        return ErrorRule(LocationInvalidError, "There is nothing at this address: check {path} and {endpoint}")
    return ErrorRule(LocationInvalidError, "Check {path} and {endpoint}")


def wrong_protocol_error(context: OperationContext, content: str) -> LocationInvalidError:
    """Return the error for a success whose body is not what the provider sends: a web page, another kind of listing.

    Args:
        context: the operation.
        content: what the body is instead.
    """
    return LocationInvalidError(
        f"The endpoint does not speak {context.provider.protocol}: asked to {_describe(context)}, it answered "
        f"{content}. Check {context.labels.endpoint}"
    )


def is_html(response: Response) -> bool:
    """Return whether a response is a web page."""
    start = response.body[:500].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return True
    return "html" in response.headers.get("content-type", "") and not start.startswith(b"<?xml")


_long_run = re.compile(r"[A-Za-z0-9+/=_%]{40,}")
# A name such as ServerSideEncryptionConfigurationNotFoundError or ACCESS_TOKEN_SCOPE_INSUFFICIENT: only letters, in
# words with at least two lower-case letters. Of a million random texts of 40 characters, about one has this form.
_is_name = re.compile(
    r"(?:[a-z]{2,})?(?:[A-Z]{1,5}[a-z]{2,}|A[nst]|B[ey]|I[fnst]|No|O[fnr]|To)+[A-Z]{0,5}"
    r"|[A-Z]{2,}(?:_[A-Z]{2,})+|[a-z]{2,}(?:_[a-z]{2,})+"
).fullmatch
_RUN = string.ascii_letters + string.digits + "+/=_%"
_named_secret = re.compile(
    # The value of an Authorization header has several words, those of the others have one. A name is searched for from
    # its first character only: from each character, the time would grow with the square of the text's length.
    r"\b(authorization)\s*[=:].*|(?<![\w-])([\w-]*(?:signature|credential|token|secret|password))\s*[=:]\s*\S+",
    re.IGNORECASE | re.DOTALL,
)


def plain(text: str, secrets: Iterable[str] = (), limit: int = 200) -> str:
    """Return a provider's text as one short line that contains no secret.

    Args:
        text: what the provider sent.
        secrets: texts to leave out.
        limit: characters of the result.
    """
    for secret in secrets:
        # A very short one would also replace parts of ordinary words, and needs no protection.
        if len(secret) >= 4:
            text = text.replace(secret, "…")
    cut = text[: 4 * limit]
    # The run at the cut may be the start of a long one.
    text = text if len(text) == len(cut) else cut.rstrip(_RUN) + "…"
    # Signatures (64 hex digits), secret keys (40 characters) and tokens are long runs of these characters.
    # The provider's own names, as its error codes, are long as well.
    text = _long_run.sub(lambda found: found[0] if _is_name(found[0]) else "…", text)
    text = _named_secret.sub(r"\1\2=…", text)
    return _one_line(text, limit).rstrip(".")


def shown(name: str) -> str:
    """Return a bucket or path in quotes, without characters that would break a line."""
    return f"'{_one_line(name, 200)}'"


def _one_line(text: str, limit: int) -> str:
    text = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _describe(context: OperationContext) -> str:
    return context.operation.value.format(f"the {context.provider.container} {shown(context.bucket)}")


def _permission_advice(context: OperationContext) -> str:
    labels, provider = context.labels, context.provider
    where = (
        f"on the {provider.container} {shown(context.bucket)}"
        if context.operation is Operation.LIST
        else f"on the path {shown(f'{context.bucket}/{context.root}*')}"
    )
    advice = provider.grant.format(
        permission=provider.permissions[context.operation],
        where=where,
        grantee=labels.grantee or f"this {labels.access_key_id}",
        secret=labels.secret_access_key,
    )
    if context.operation is Operation.READ:
        advice += provider.absent_looks_refused
    return advice


def _region_advice(labels: ConfigLabels, region: str, endpoint: str) -> str:
    if region and labels.region:
        return f"The bucket is in another region: set {labels.region} to {region}"
    if region:
        return f"The bucket is in the region {region}: check {labels.endpoint}, which may end in ?region={region}"
    if endpoint:
        return f"The bucket answers at {endpoint}: check {labels.endpoint}. Redirects are not followed"
    return f"The bucket is elsewhere: check {labels.endpoint}. Redirects are not followed"
