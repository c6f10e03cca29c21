"""The address of an S3 bucket, and the region that requests are signed for (contract.md#datasource-config)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from headwater.domain.errors import LocationInvalidError
from headwater.net.urls import Origin, encode_path, parse_endpoint

_is_aws_bucket = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]").fullmatch
_is_bucket = re.compile(r"(?!\.{1,2}$)[^/?#\\\x00-\x1f\x7f]{1,255}").fullmatch
# obs.cn-north-4.myhuaweicloud.com, s3.eu-central-1.wasabisys.com, s3.fr-par.scw.cloud; not s3.my-company.com.
_region_in_host = re.compile(
    r"(?:^|\.)(?:obs|s3)[.-](?:dualstack\.)?([a-z0-9]+(?:-[a-z0-9]+)+)\.[a-z0-9-]+\.[a-z0-9.-]+"
).search

_SIGNING_REGIONS = {"us-gov-west": "us-gov-west-1", "us-gov-east": "us-gov-east-1"}
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """A bucket and its address.

    Attributes:
        origin: where requests go.
        path: what precedes `/key` in requests, percent-encoded; empty if the bucket is in the host name.
        name: the bucket's name.
        region: the region that requests are signed for.
        is_operator_endpoint: the operator of this server configured the endpoint, so that egress rules do not apply.
        is_custom_endpoint: somebody configured an endpoint, so that the server need not be Amazon's.
    """

    origin: Origin
    path: str
    name: str
    region: str
    is_operator_endpoint: bool = False
    is_custom_endpoint: bool = False


def signed_region(region: str) -> str:
    """Return the region that requests to a datasource's region are signed for."""
    return _SIGNING_REGIONS.get(region, region)


def aws_bucket(bucket: str, region: str, member: str = "fullPath") -> S3Bucket:
    """Return a bucket of Amazon S3.

    The bucket is part of the host name. A name with dots is in the path, because no certificate would match the host.

    Args:
        bucket: the bucket's name.
        region: the bucket's region.
        member: what holds the bucket's name, for the error text.

    Raises:
        LocationInvalidError: S3 does not allow this name.
    """
    if not _is_aws_bucket(bucket):
        raise LocationInvalidError(
            f"{member}: the bucket's name is not one that S3 allows: 3 to 63 lower-case letters, digits, '-' and '.'"
        )
    region = signed_region(region)
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    host = f"s3.{region}.{domain}"
    if "." in bucket:
        return S3Bucket(Origin("https", host, 443), f"/{bucket}", bucket, region)
    return S3Bucket(Origin("https", f"{bucket}.{host}", 443), "", bucket, region)


def endpoint_bucket(
    endpoint: str, member: str, bucket: str, region: str | None, *, is_operator_endpoint: bool
) -> S3Bucket:
    """Return a bucket of any S3-compatible store. The bucket is in the path.

    Args:
        endpoint: `scheme://host[:port][/base]`.
        member: the config member or setting that holds the endpoint, for error texts.
        bucket: the bucket's name.
        region: the region to sign for. None takes the region from the host (`obs.<region>.…`, `s3.<region>.…`), or
            `us-east-1`, which stores without regions expect.
        is_operator_endpoint: the operator configured the endpoint, not a user.

    Raises:
        LocationInvalidError: the endpoint or the bucket's name cannot be used.
    """
    origin, base = parse_endpoint(endpoint, member)
    if not _is_bucket(bucket):
        raise LocationInvalidError("fullPath: the bucket's name holds characters that no bucket has")
    if region is None:
        found = _region_in_host(origin.host)
        region = found[1] if found else DEFAULT_REGION
    # One path segment: the pattern above allows no slash.
    path = f"{base}/{encode_path(bucket)}"
    return S3Bucket(origin, path, bucket, signed_region(region), is_operator_endpoint, is_custom_endpoint=True)
