"""What S3 answers when it refuses, in this project's errors: which is whose fault, and what to change.

Sources: "List of error codes" in the Amazon S3 API reference, and what MinIO, Ceph and Huawei OBS answer.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from headwater.domain.errors import CredentialsRefused, ObjectNotFound, PlaceInvalid, StoreError, StoreUnavailable
from headwater.stores.s3_xml import parse_error
from headwater.stores.transport import Response, is_passing


class Operation(Enum):
    """What was asked of the store: (what it is called in a text, the permission it takes)."""

    LIST = ("list", "s3:ListBucket")
    READ = ("read an object of", "s3:GetObject")
    WRITE = ("write an object to", "s3:PutObject")
    DELETE = ("delete an object of", "s3:DeleteObject")


class Names(NamedTuple):
    """How the texts call things: the store, and the config members or settings that a user would change."""

    store: str
    access_key_id: str
    secret_access_key: str
    endpoint: str
    """Names what decides where requests go: `s3Region`, `obsEndpoint`, `HEADWATER_S3_ENDPOINT`."""
    region: str | None = None
    """Names the member that holds the region, where there is one."""


class Asked(NamedTuple):
    """One request, as far as an error text tells of it. `root` is the key prefix of the datasource."""

    operation: Operation
    bucket: str
    root: str
    names: Names


class _Row(NamedTuple):
    error: type[StoreError]
    advice: str


_KEY_ID = _Row(CredentialsRefused, "Check {key_id}: the store does not know this access key, or it is disabled")
_TOKEN = _Row(CredentialsRefused, "The session has expired or its token is not good: new credentials are needed")
_REGION = _Row(PlaceInvalid, "{region_advice}")
_BUSY = _Row(StoreUnavailable, "The store asks for fewer requests; try again in a moment")
_DOWN = _Row(StoreUnavailable, "The store failed; try again in a moment")

TABLE: dict[str, _Row] = {
    "AccessDenied": _Row(CredentialsRefused, "{permission_advice}"),
    "AccountProblem": _Row(CredentialsRefused, "The store's account has a problem: ask the provider"),
    "AllAccessDisabled": _Row(PlaceInvalid, "All access to this bucket has been disabled by the provider"),
    "AuthorizationHeaderMalformed": _REGION,
    "BadDigest": _DOWN,
    "ExpiredToken": _TOKEN,
    "ExpiredTokenException": _TOKEN,
    "IllegalLocationConstraintException": _REGION,
    "InternalError": _DOWN,
    "InvalidAccessKeyId": _KEY_ID,
    "InvalidBucketName": _Row(PlaceInvalid, "Check the bucket's name in fullPath"),
    "InvalidClientTokenId": _KEY_ID,
    "InvalidObjectState": _Row(PlaceInvalid, "The object is archived: restore it first"),
    "InvalidRegion": _REGION,
    "InvalidSecurity": _KEY_ID,
    "InvalidToken": _TOKEN,
    "MethodNotAllowed": _Row(PlaceInvalid, "The server does not offer this operation: check {endpoint}"),
    "NoSuchBucket": _Row(PlaceInvalid, "There is no such bucket: check fullPath and {endpoint}"),
    "NoSuchKey": _Row(ObjectNotFound, "There is no such object"),
    "NotImplemented": _Row(PlaceInvalid, "The server does not offer this operation: check {endpoint}"),
    "NotSignedUp": _Row(CredentialsRefused, "The store's account is not signed up: ask the provider"),
    "OperationAborted": _BUSY,
    "PermanentRedirect": _REGION,
    "RequestLimitExceeded": _BUSY,
    "RequestTimeTooSkewed": _Row(
        StoreUnavailable,
        "The clock of this server and the store's are more than 15 minutes apart: the operator must set the clock",
    ),
    "RequestTimeout": _DOWN,
    "ServerBusy": _BUSY,
    "ServiceUnavailable": _DOWN,
    "SignatureDoesNotMatch": _Row(
        CredentialsRefused, "Check {secret}: it does not belong to this {key_id}, or was not copied exactly"
    ),
    "SlowDown": _BUSY,
    "TemporaryRedirect": _Row(
        StoreUnavailable, "The bucket is new or moving, and not yet reachable in its region: try again later"
    ),
    "Throttling": _BUSY,
    "ThrottlingException": _BUSY,
    "TokenRefreshRequired": _TOKEN,
    "TooManyRequests": _BUSY,
    "UnauthorizedAccess": _Row(CredentialsRefused, "These credentials belong to another partition: {region_advice}"),
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
_KMS = _Row(CredentialsRefused, "The KMS key of the bucket or datasource cannot be used with these credentials")


def explain(response: Response, asked: Asked, secrets: Iterable[str] = ()) -> StoreError:
    """Turn an answer that is not a success into the error to raise.

    Args:
        response: the answer.
        asked: what was asked.
        secrets: texts that must not be repeated, should the answer hold them.
    """
    said = parse_error(response.body)
    code = plain(said.get("Code", ""), secrets, 60)
    region = plain(response.headers.get("x-amz-bucket-region", "") or said.get("Region", ""), secrets, 60)
    message = plain(said.get("Message", ""), secrets, 200)
    if not region:
        # "the region 'us-east-1' is wrong; expecting 'eu-west-1'"
        expecting = re.search(r"expecting '([a-z0-9-]{1,40})'", message)
        region = expecting[1] if expecting else ""
    row = _row(response, code, is_html(response))
    advice = row.advice.format(
        key_id=asked.names.access_key_id,
        secret=asked.names.secret_access_key,
        endpoint=asked.names.endpoint,
        permission_advice=_permission_advice(asked),
        region_advice=_region_advice(asked, region, plain(_elsewhere(response, said), secrets, 100)),
    )
    provider = f"{code} ({message})" if code and message else code or f"HTTP status {response.status}"
    verb, _ = asked.operation.value
    return row.error(
        f"{asked.names.store} did not {verb} the bucket {shown(asked.bucket)}: {provider}. {advice}", code or None
    )


def does_not_speak_s3(asked: Asked, what: str) -> PlaceInvalid:
    """A success whose body is not what S3 sends: a web page, a listing of another kind."""
    verb, _ = asked.operation.value
    return PlaceInvalid(
        f"The endpoint does not speak S3: asked to {verb} the bucket {shown(asked.bucket)}, it answered {what}. "
        f"Check {asked.names.endpoint}"
    )


def is_html(response: Response) -> bool:
    """Whether the answer is a web page."""
    start = response.body[:500].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return True
    return "html" in response.headers.get("content-type", "") and not start.startswith(b"<?xml")


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


def _row(response: Response, code: str, html: bool) -> _Row:
    if code in TABLE:
        return TABLE[code]
    if code.startswith("KMS."):
        return _KMS
    if response.status in (301, 302, 303, 307, 308):
        return _REGION
    if is_passing(response):
        return _BUSY if response.status in (429, 503) else _DOWN
    if html or (not code and response.body.strip()):
        return _Row(PlaceInvalid, "This endpoint does not speak S3: check {endpoint}")
    if response.status in (401, 403):
        return TABLE["AccessDenied"]
    if response.status == 404:
        return _Row(PlaceInvalid, "There is nothing at this address: check fullPath and {endpoint}")
    return _Row(PlaceInvalid, "Check fullPath and {endpoint}")


def _permission_advice(asked: Asked) -> str:
    _, permission = asked.operation.value
    where = (
        f"on the bucket {shown(asked.bucket)}"
        if asked.operation is Operation.LIST
        else f"on the path {shown(f'{asked.bucket}/{asked.root}*')}"
    )
    advice = f"Allow {permission} {where} for this {asked.names.access_key_id}"
    if asked.operation is Operation.READ:
        advice += "; without s3:ListBucket an absent object is refused like this too"
    return advice


def _elsewhere(response: Response, said: dict[str, str]) -> str:
    """Where the answer sends the request: `bucket.s3.eu-west-1.amazonaws.com`, `https://storage.example.com`."""
    if said.get("Endpoint"):
        return said["Endpoint"]
    found = re.match(r"https?://[^/?#\s]+", response.headers.get("location", ""))
    return found[0] if found else ""


def _region_advice(asked: Asked, region: str, endpoint: str) -> str:
    if region and asked.names.region:
        return f"The bucket is in another region: set {asked.names.region} to {region}"
    if region:
        return f"The bucket is in the region {region}: check {asked.names.endpoint}"
    if endpoint:
        return f"The bucket answers at {endpoint}: check {asked.names.endpoint}. Redirects are not followed"
    return f"The bucket is elsewhere: check {asked.names.endpoint}. Redirects are not followed"
