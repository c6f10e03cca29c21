"""Where an S3 bucket answers, and for which region requests to it are signed (contract.md#datasource-config)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from headwater.domain.errors import LocationInvalidError
from headwater.net.transport import Origin, parse_endpoint
from headwater.stores.s3.sigv4 import encode_path

_aws_bucket = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]").fullmatch
_any_bucket = re.compile(r"(?!\.{1,2}$)[^/?#\\\x00-\x1f\x7f]{1,255}").fullmatch
# obs.cn-north-4.myhuaweicloud.com, s3.eu-central-1.wasabisys.com, s3.fr-par.scw.cloud; not s3.my-company.com.
_region_in_host = re.compile(
    r"(?:^|\.)(?:obs|s3)[.-](?:dualstack\.)?([a-z0-9]+(?:-[a-z0-9]+)+)\.[a-z0-9-]+\.[a-z0-9.-]+"
).search

_SIGNED_AS = {"us-gov-west": "us-gov-west-1", "us-gov-east": "us-gov-east-1"}
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """A bucket at its address.

    `bucket_path` is what precedes `/key` in requests, percent-encoded: empty where the bucket is in the host.
    `operator` is true where the operator of this server named the endpoint, so that egress rules do not apply.
    `any_server` is true where somebody named an endpoint: what answers there need not be Amazon.
    """

    origin: Origin
    bucket_path: str
    bucket: str
    region: str
    operator: bool = False
    any_server: bool = False


def signed_region(region: str) -> str:
    """The region that requests to a datasource's region are signed for."""
    return _SIGNED_AS.get(region, region)


def aws_bucket(bucket: str, region: str, member: str = "fullPath") -> S3Bucket:
    """A bucket of Amazon S3: in the host, or in the path where its dots would break the certificate's match.

    Args:
        bucket: its name.
        region: that of the bucket.
        member: what holds the bucket's name, for the error text.

    Raises:
        LocationInvalidError: the bucket's name is not one that S3 gives.
    """
    if not _aws_bucket(bucket):
        raise LocationInvalidError(
            f"{member}: the bucket's name is not one that S3 allows: 3 to 63 lower-case letters, digits, '-' and '.'"
        )
    region = signed_region(region)
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    host = f"s3.{region}.{domain}"
    if "." in bucket:
        return S3Bucket(Origin("https", host, 443), f"/{bucket}", bucket, region)
    return S3Bucket(Origin("https", f"{bucket}.{host}", 443), "", bucket, region)


def endpoint_place(endpoint: str, member: str, bucket: str, region: str | None, *, operator: bool) -> S3Bucket:
    """A bucket of any S3-compatible store, in the path.

    Args:
        endpoint: `scheme://host[:port][/base]`.
        member: the config member or setting that holds the endpoint, for error texts.
        bucket: its name.
        region: the region to sign for; None takes it from the host (`obs.<region>.…`, `s3.<region>.…`), else
            `us-east-1`, which stores without regions expect.
        operator: whether the operator named the endpoint.

    Raises:
        LocationInvalidError: the endpoint or the bucket's name cannot be used.
    """
    origin, base = parse_endpoint(endpoint, member)
    if not _any_bucket(bucket):
        raise LocationInvalidError("fullPath: the bucket's name holds characters that no bucket has")
    if region is None:
        found = _region_in_host(origin.host)
        region = found[1] if found else DEFAULT_REGION
    # Encoded as one path segment: the pattern above leaves no slash in it.
    path = f"{base}/{encode_path(bucket)}"
    return S3Bucket(origin, path, bucket, signed_region(region), operator, any_server=True)
