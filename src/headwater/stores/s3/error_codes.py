"""How S3, and what speaks its protocol, says no (`refusals` has the table)."""

from __future__ import annotations

import re

from headwater.net.transport import Response
from headwater.stores.error_mapping import TABLE, Operation, Provider, ProviderError, is_html
from headwater.stores.listing_xml import parse_error


def read_error(response: Response, _: Operation) -> ProviderError:
    """Read an answer that is not a success."""
    said = parse_error(response.body)
    code, message = said.get("Code", ""), said.get("Message", "")
    region = response.headers.get("x-amz-bucket-region", "") or said.get("Region", "")
    if not region:
        # "the region 'us-east-1' is wrong; expecting 'eu-west-1'"
        expecting = re.search(r"expecting '([a-z0-9-]{1,40})'", message[:2000])
        region = expecting[1] if expecting else ""
    endpoint = said.get("Endpoint", "")
    if not endpoint:
        found = re.match(r"https?://[^/?#\s]+", response.headers.get("location", ""))
        endpoint = found[0] if found else ""
    foreign = is_html(response) or (not code and bool(response.body.strip()))
    return ProviderError(response.status, code, message, region, endpoint, foreign=foreign)


def is_dead_session(response: Response) -> bool:
    """Whether an answer says that the session of the request is not good any more."""
    return response.status in (400, 401, 403) and parse_error(response.body).get("Code") in _DEAD_SESSION


def may_lack_version_2(response: Response) -> bool:
    """Whether what was answered to ListObjectsV2 may mean that the server has only ListObjects.

    Servers say so in many ways (`NotImplemented`, `XNotImplemented`, `InvalidArgument`, 405 without a body). What
    means something else is left out.
    """
    if response.status not in (400, 405, 501):
        return False
    code = parse_error(response.body).get("Code", "")
    return code in _NOT_OFFERED or code not in TABLE


_DEAD_SESSION = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired"})
_NOT_OFFERED = frozenset({"MethodNotAllowed", "NotImplemented"})

S3 = Provider(
    "S3",
    read_error,
    "Allow {permission} {where} for this {key_id}",
    {
        Operation.LIST: "s3:ListBucket",
        Operation.READ: "s3:GetObject",
        Operation.WRITE: "s3:PutObject",
        Operation.DELETE: "s3:DeleteObject",
    },
    absent_looks_refused="; without s3:ListBucket an absent object is refused like this too",
)
