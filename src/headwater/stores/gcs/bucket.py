"""The address of a bucket of Cloud Storage."""

from __future__ import annotations

import re
from dataclasses import dataclass

from headwater.domain.errors import LocationInvalidError
from headwater.net.urls import Origin, parse_endpoint

OPERATOR_ENDPOINT = "HEADWATER_GCS_ENDPOINT"
GOOGLE_ENDPOINT = "https://storage.googleapis.com"

_is_bucket_name = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*(?<=[a-z0-9])").fullmatch
_is_ip_address = re.compile(r"\d+\.\d+\.\d+\.\d+").fullmatch


@dataclass(frozen=True, slots=True)
class GcsBucket:
    """A bucket and its address.

    Attributes:
        origin: where requests go.
        base_path: what precedes all paths of the endpoint, percent-encoded and usually empty.
        name: the bucket's name.
        is_operator_endpoint: the operator of this server configured the endpoint, so that egress rules do not apply.
    """

    origin: Origin
    base_path: str
    name: str
    is_operator_endpoint: bool = False


def gcs_bucket(bucket: str, operator_endpoint: str | None = None, member: str = "fullPath") -> GcsBucket:
    """Return a bucket of Cloud Storage.

    Args:
        bucket: the bucket's name.
        operator_endpoint: the Cloud Storage of this server, from `HEADWATER_GCS_ENDPOINT`; None is Google's.
        member: what holds the bucket's name, for the error text.

    Raises:
        LocationInvalidError: Cloud Storage does not allow this name ("About Cloud Storage buckets"), or the endpoint
            is invalid.
    """
    parts = bucket.split(".")
    longest = 63 if len(parts) == 1 else 222
    if (
        not 3 <= len(bucket) <= longest
        or max(map(len, parts)) > 63
        or not _is_bucket_name(bucket)
        or _is_ip_address(bucket)
    ):
        raise LocationInvalidError(
            f"{member}: the bucket's name is not one that Cloud Storage allows: 3 to 63 lower-case letters, digits, "
            "'-' and '_', or with dots several such parts of 222 characters together"
        )
    origin, base = parse_endpoint(operator_endpoint or GOOGLE_ENDPOINT, OPERATOR_ENDPOINT)
    return GcsBucket(origin, base, bucket, is_operator_endpoint=operator_endpoint is not None)
