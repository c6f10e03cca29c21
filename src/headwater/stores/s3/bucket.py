"""The address of an S3 bucket, and the region that requests are signed for (contract.md#datasource-config)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from headwater.domain.errors import LocationInvalidError
from headwater.domain.s3_region import split_region
from headwater.net.urls import Origin, encode_path, parse_endpoint
from headwater.stores.s3.hosts import is_aws, read_host

_is_aws_bucket = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]").fullmatch
# Until 2018 us-east-1 allowed such names; buckets that have one remain. Not only dots: that would change the path.
_is_legacy_aws_bucket = re.compile(r"(?=.*[A-Za-z0-9_-])[A-Za-z0-9._-]{3,255}").fullmatch
_is_directory_bucket = re.compile(r".*--xa?-s3", re.DOTALL).fullmatch
_access_point = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):s3:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):accesspoint/"
    r"(?P<name>[a-z0-9][a-z0-9-]{1,48}[a-z0-9])"
).fullmatch
_is_bucket = re.compile(r"(?!\.{1,2}$)[^/?#\\\x00-\x1f\x7f]{1,255}").fullmatch

_SIGNING_REGIONS = {"us-gov-west": "us-gov-west-1", "us-gov-east": "us-gov-east-1"}
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """A bucket and its address.

    Attributes:
        origin: where requests go.
        path: what precedes `/key` in requests, percent-encoded; empty if the bucket is in the host name.
        name: the bucket's name, or the ARN of an access point.
        region: the region that requests are signed for.
        is_operator_endpoint: the operator of this server configured the endpoint, so that egress rules do not apply.
        is_custom_endpoint: somebody configured an endpoint, so that the server need not be Amazon's.
        is_region_fixed: the region is Amazon's or was configured with the endpoint, so another one is an error. If not,
            the one that the server names is used.
        is_region_guessed: nobody named the region of this endpoint, so that it may be another one.
    """

    origin: Origin
    path: str
    name: str
    region: str
    is_operator_endpoint: bool = False
    is_custom_endpoint: bool = False
    is_region_fixed: bool = True
    is_region_guessed: bool = False


def signed_region(region: str) -> str:
    """Return the region that requests to a datasource's region are signed for."""
    return _SIGNING_REGIONS.get(region, region)


def aws_bucket(bucket: str, region: str, member: str = "fullPath") -> S3Bucket:
    """Return a bucket of Amazon S3.

    The bucket is part of the host name. A name with dots is in the path, because no certificate would match the host.
    So is a name that only early buckets of us-east-1 have.

    Args:
        bucket: the bucket's name, or the ARN of an access point.
        region: the bucket's region. That of an access point is in its ARN.
        member: what holds the bucket's name, for the error text.

    Raises:
        LocationInvalidError: S3 does not allow this name, or Headwater does not support such buckets.
    """
    if bucket.startswith("arn:"):
        return _access_point_address(bucket, member)
    if _is_directory_bucket(bucket):
        raise _directory_bucket_error(member)
    region = signed_region(region)
    host = f"s3.{region}.{_aws_domain(region)}"
    if _is_aws_bucket(bucket) and "." not in bucket:
        return S3Bucket(Origin("https", f"{bucket}.{host}", 443), "", bucket, region)
    if _is_aws_bucket(bucket) or (region == DEFAULT_REGION and _is_legacy_aws_bucket(bucket)):
        return S3Bucket(Origin("https", host, 443), f"/{bucket}", bucket, region)
    raise LocationInvalidError(
        f"{member}: the bucket's name is not one that S3 allows: 3 to 63 lower-case letters, digits, '-' and '.'; in "
        f"{DEFAULT_REGION} also capitals and '_', up to 255 characters"
    )


def endpoint_bucket(
    endpoint: str, member: str, bucket: str, region: str | None, *, is_operator_endpoint: bool
) -> S3Bucket:
    """Return a bucket of any S3-compatible store.

    The bucket is in the path, unless the endpoint is the host of a known provider with this bucket in front.

    Args:
        endpoint: `scheme://host[:port][/base][?region=name]`. A region in it has precedence.
        member: the config member or setting that holds the endpoint, for error texts.
        bucket: the bucket's name.
        region: the region to sign for. None takes the region from the host, if it names one, or `us-east-1`, which
            stores without regions expect.
        is_operator_endpoint: the operator configured the endpoint, not a user.

    Raises:
        LocationInvalidError: the endpoint or the bucket's name cannot be used.
    """
    try:
        url, fixed_region = split_region(endpoint)
    except ValueError as error:
        raise LocationInvalidError(f"{member}: {error}") from None
    origin, base = parse_endpoint(url, member)
    if bucket.startswith("arn:"):
        raise LocationInvalidError(
            "fullPath: access points exist only at Amazon itself: connect them with the type S3, on a server without "
            "HEADWATER_S3_ENDPOINT"
        )
    if not _is_bucket(bucket):
        raise LocationInvalidError("fullPath: the bucket's name holds characters that no bucket has")
    if _is_directory_bucket(bucket) and is_aws(origin.host):
        raise _directory_bucket_error("fullPath")
    host = read_host(origin.host)
    if host.bucket not in (None, bucket):
        raise LocationInvalidError(
            f"{member}: its host begins with another bucket than that of fullPath. Write the host without a bucket"
        )
    # One path segment: the pattern above allows no slash.
    path = base if host.bucket else f"{base}/{encode_path(bucket)}"
    return S3Bucket(
        origin,
        path,
        bucket,
        fixed_region or signed_region(region or host.region or DEFAULT_REGION),
        is_operator_endpoint,
        is_custom_endpoint=True,
        is_region_fixed=fixed_region is not None,
        is_region_guessed=fixed_region is None and (region is not None or not host.is_certain),
    )


def _access_point_address(arn: str, member: str) -> S3Bucket:
    found = _access_point(arn)
    if found is None:
        raise LocationInvalidError(
            f"{member}: expected bucket/path, or arn:aws:s3:<region>:<account>:accesspoint/<name>/path for an access "
            f"point"
        )
    region = found["region"]
    host = f"{found['name']}-{found['account']}.s3-accesspoint.{region}.{_aws_domain(region)}"
    return S3Bucket(Origin("https", host, 443), "", arn, region)


def _aws_domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def _directory_bucket_error(member: str) -> LocationInvalidError:
    return LocationInvalidError(
        f"{member}: this is a directory bucket (S3 Express One Zone). Headwater does not support them: they list in no "
        f"order, so that a listing could not continue after a page. Use a general purpose bucket"
    )
