"""What the host of an endpoint says: the region, and a bucket in front of it.

Sources: "Amazon S3 endpoints and quotas" (AWS) and the lists of endpoints of Huawei Cloud, Open Telekom Cloud, Wasabi,
Scaleway, OVHcloud, Exoscale, Hetzner, Tencent Cloud, Oracle Cloud, Backblaze and IBM Cloud.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_REGION = r"(?P<region>[a-z0-9]+(?:-[a-z0-9]+)*)"
_AWS_REGION = r"(?P<region>[a-z]{2,}(?:-[a-z]+)+-\d+)"
_AWS_DOMAIN = r"amazonaws\.com(?:\.cn)?"

_PROVIDERS = tuple(
    re.compile(pattern).fullmatch
    for pattern in (
        rf"s3(?:-fips)?(?:\.dualstack)?[.-]{_AWS_REGION}\.{_AWS_DOMAIN}",
        rf"s3(?:-external-1|-accelerate(?:\.dualstack)?)?\.{_AWS_DOMAIN}",
        rf"obs\.{_REGION}\.myhuaweicloud\.(?:com|eu)",
        rf"obs\.{_REGION}\.otc\.t-systems\.com",
        rf"s3(?:\.{_REGION})?\.wasabisys\.com",
        rf"s3\.{_REGION}\.scw\.cloud",
        rf"s3\.{_REGION}\.(?:(?:io|perf)\.)?cloud\.ovh\.(?:net|us)",
        rf"sos-{_REGION}\.exo\.io",
        rf"{_REGION}\.your-objectstorage\.com",
        rf"cos\.{_REGION}\.myqcloud\.com",
        rf"[a-z0-9]+\.compat\.objectstorage\.{_REGION}\.(?:oraclecloud\.com|oci\.customer-oci\.com)",
        rf"s3\.{_REGION}\.backblazeb2\.com",
        rf"s3\.(?:(?:direct|private)\.)?{_REGION}\.cloud-object-storage\.appdomain\.cloud",
    )
)
_is_aws_in_vpc = re.compile(rf"bucket\.vpce-[a-z0-9-]+\.s3\.{_AWS_REGION}\.vpce\.{_AWS_DOMAIN}").fullmatch
_is_aws = re.compile(rf"(?:.+\.)?{_AWS_DOMAIN}").fullmatch
# A part that has the form of a region, in a host of the usual form: s3.eu-west-1.example.com; not s3.my-company.com.
_guess = re.compile(r"(?:^|\.)(?:obs|s3)[.-]([a-z]{2,}(?:-[a-z]+)*-\d+)\.[a-z0-9-]+\.[a-z0-9.-]+").search


_MAX_HOST_LENGTH = 253
"""The longest host name (RFC 1035). Longer text is no host name, and would make the search slow."""


class Host(NamedTuple):
    """What the host of an endpoint says.

    Attributes:
        region: the region; None if the host does not name one.
        is_certain: the host is one of a provider whose hosts have the region in a known place.
        bucket: the bucket in front of a provider's host; None if there is none.
    """

    region: str | None
    is_certain: bool = False
    bucket: str | None = None


@lru_cache(maxsize=1024)
def read_host(host: str) -> Host:
    """Return what a host says. A bucket is recognised only in front of a host of a known provider."""
    if len(host) > _MAX_HOST_LENGTH:
        return Host(None)
    if (found := _is_aws_in_vpc(host)) is not None:
        return Host(found["region"], is_certain=True)
    parts = host.split(".")
    for number in range(len(parts) - 2):
        region_of = (matches(".".join(parts[number:])) for matches in _PROVIDERS)
        found = next((each for each in region_of if each is not None), None)
        if found is not None:
            region = found.groupdict().get("region")
            return Host(region, region is not None, ".".join(parts[:number]) or None)
    found = _guess(host)
    return Host(found[1] if found else None)


def is_aws(host: str) -> bool:
    """Return whether a host is Amazon's."""
    return _is_aws(host) is not None
