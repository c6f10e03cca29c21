"""The address of a bucket and the region to sign for (contract.md#datasource-config)."""

from __future__ import annotations

import time

import pytest

from headwater.domain.errors import LocationInvalidError
from headwater.stores.s3.bucket import S3Bucket, aws_bucket, endpoint_bucket
from headwater.stores.s3.hosts import read_host


@pytest.mark.parametrize(
    ("bucket", "region", "host", "path", "signed"),
    [
        ("data", "eu-west-1", "data.s3.eu-west-1.amazonaws.com", "", "eu-west-1"),
        ("data", "us-east-1", "data.s3.us-east-1.amazonaws.com", "", "us-east-1"),
        ("my.data", "eu-west-1", "s3.eu-west-1.amazonaws.com", "/my.data", "eu-west-1"),
        ("data", "cn-north-1", "data.s3.cn-north-1.amazonaws.com.cn", "", "cn-north-1"),
        ("data", "cn-northwest-1", "data.s3.cn-northwest-1.amazonaws.com.cn", "", "cn-northwest-1"),
        ("data", "us-gov-west", "data.s3.us-gov-west-1.amazonaws.com", "", "us-gov-west-1"),
        ("data", "us-gov-east", "data.s3.us-gov-east-1.amazonaws.com", "", "us-gov-east-1"),
        ("data", "us-gov-east-1", "data.s3.us-gov-east-1.amazonaws.com", "", "us-gov-east-1"),
        # Names that early buckets of us-east-1 have: they were refused.
        ("Data", "us-east-1", "s3.us-east-1.amazonaws.com", "/Data", "us-east-1"),
        ("my_data.2", "us-east-1", "s3.us-east-1.amazonaws.com", "/my_data.2", "us-east-1"),
        ("-A" * 127, "us-east-1", "s3.us-east-1.amazonaws.com", "/" + "-A" * 127, "us-east-1"),
        ("name-1a2b3c-s3alias", "eu-west-1", "name-1a2b3c-s3alias.s3.eu-west-1.amazonaws.com", "", "eu-west-1"),
    ],
)
def test_address_of_a_bucket_at_amazon(bucket: str, region: str, host: str, path: str, signed: str) -> None:
    bucket_address = aws_bucket(bucket, region)
    assert str(bucket_address.origin) == f"https://{host}"
    assert (bucket_address.path, bucket_address.region, bucket_address.is_operator_endpoint) == (path, signed, False)


@pytest.mark.parametrize(
    ("bucket", "region"),
    [
        *(("", "us-east-1"), ("ab", "us-east-1"), ("a" * 256, "us-east-1"), ("...", "us-east-1"), ("..", "us-east-1")),
        *((name, "us-east-1") for name in ("a/b", "a?b", "a#b", "a@b.c", "a\nb", "abc\n", "dátá", "a%2fb")),
        *((name, "eu-west-1") for name in ("Data", "my_data", "-data", "data-", "a" * 64)),
    ],
)
def test_invalid_bucket_name_never_becomes_a_host(bucket: str, region: str) -> None:
    with pytest.raises(LocationInvalidError, match="fullPath: the bucket's name is not one that S3 allows"):
        aws_bucket(bucket, region)


@pytest.mark.parametrize("bucket", ["data--use1-az4--x-s3", "data--use1-az4--xa-s3"])
def test_directory_bucket_is_refused_with_its_reason(bucket: str) -> None:
    """Requests and read URLs went to a host that such a bucket does not have."""
    with pytest.raises(LocationInvalidError, match=r"directory bucket.*does not support.*general purpose bucket"):
        aws_bucket(bucket, "us-east-1")
    with pytest.raises(LocationInvalidError, match="directory bucket"):
        endpoint("https://s3express-use1-az4.us-east-1.amazonaws.com", bucket)
    assert endpoint("https://minio.example.com", bucket).name == bucket, "elsewhere the name has no such meaning"


ARN = "arn:aws:s3:eu-west-1:123456789012:accesspoint/street-view"


def test_address_of_an_access_point() -> None:
    """The advice for such an ARN led to a bucket named `accesspoint`."""
    found = aws_bucket(ARN, "us-east-1")
    assert str(found.origin) == "https://street-view-123456789012.s3-accesspoint.eu-west-1.amazonaws.com"
    assert (found.path, found.region, found.name) == ("", "eu-west-1", ARN)
    china = aws_bucket(ARN.replace("arn:aws:", "arn:aws-cn:").replace("eu-west-1", "cn-north-1"), "cn-north-1")
    assert china.origin.host == "street-view-123456789012.s3-accesspoint.cn-north-1.amazonaws.com.cn"


@pytest.mark.parametrize("name", ["a", "A_b", "a" * 51, "a.b", "-ab", ""])
def test_invalid_access_point_never_becomes_a_host(name: str) -> None:
    with pytest.raises(LocationInvalidError, match="accesspoint/<name>/path for an access point"):
        aws_bucket(ARN.replace("street-view", name), "eu-west-1")


def test_access_points_exist_only_at_amazon() -> None:
    with pytest.raises(LocationInvalidError, match="connect them with the type S3"):
        endpoint("https://store.example.com", ARN)


def endpoint(url: str, bucket: str = "data", region: str | None = None) -> S3Bucket:
    return endpoint_bucket(url, "obsEndpoint", bucket, region, is_operator_endpoint=False)


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("https://obs.cn-north-4.myhuaweicloud.com", "cn-north-4"),
        ("https://obs.eu-west-101.myhuaweicloud.eu", "eu-west-101"),
        ("https://s3.eu-central-1.wasabisys.com", "eu-central-1"),
        ("https://s3.fr-par.scw.cloud", "fr-par"),
        ("https://s3-eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://s3.dualstack.eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://s3-fips.us-west-2.amazonaws.com", "us-west-2"),
        ("https://s3-fips.dualstack.us-west-2.amazonaws.com", "us-west-2"),
        ("https://s3-fips-us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("https://s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("https://bucket.vpce-1a2b3c4d-5e6f.s3.eu-west-3.vpce.amazonaws.com", "eu-west-3"),
        ("https://s3.gra.io.cloud.ovh.net", "gra"),
        ("https://s3.eu-west-par.io.cloud.ovh.net", "eu-west-par"),
        ("https://sos-ch-gva-2.exo.io", "ch-gva-2"),
        ("https://fsn1.your-objectstorage.com", "fsn1"),
        ("https://cos.ap-guangzhou.myqcloud.com", "ap-guangzhou"),
        ("https://axaxnpcrorw5.compat.objectstorage.eu-frankfurt-1.oraclecloud.com", "eu-frankfurt-1"),
        ("https://s3.us-west-004.backblazeb2.com", "us-west-004"),
        ("https://s3.eu-de.cloud-object-storage.appdomain.cloud", "eu-de"),
        ("https://obs.eu-de.otc.t-systems.com", "eu-de"),
        ("https://s3.eu-north-2.example.org", "eu-north-2"),
        # Not a region, only a name that has the place of one.
        ("https://s3.my-company.example.org", "us-east-1"),
        ("https://s3.amazonaws.com", "us-east-1"),
        ("https://s3.my-company.com", "us-east-1"),
        ("https://minio.example.com:9000?region=RegionOne", "RegionOne"),
        ("https://s3.eu-west-1.amazonaws.com/?region=garage", "garage"),
        ("https://minio.example.com:9000", "us-east-1"),
        ("http://127.0.0.1:9000", "us-east-1"),
    ],
)
def test_region_is_taken_from_the_host(endpoint: str, region: str) -> None:
    assert endpoint_bucket(endpoint, "obsEndpoint", "data", None, is_operator_endpoint=False).region == region


@pytest.mark.parametrize(
    ("url", "is_guessed"),
    [
        ("https://s3.eu-west-1.amazonaws.com", False),
        ("https://minio.example.com?region=us-east-1", False),
        ("https://minio.example.com", True),
        ("https://s3.eu-north-2.example.org", True),
        ("https://s3.amazonaws.com", True),
    ],
)
def test_region_is_guessed_unless_somebody_names_it(url: str, is_guessed: bool) -> None:
    assert endpoint(url).is_region_guessed == is_guessed
    assert endpoint(url).is_region_fixed == ("?" in url)


@pytest.mark.parametrize(
    "query", ["region=", "region", "x=1", "region=a/b", "region=a&x=1", "Region=a", "region=a#b", ""]
)
def test_other_queries_of_an_endpoint_are_refused(query: str) -> None:
    with pytest.raises(LocationInvalidError, match=r"obsEndpoint: expected a URL .*\?region=NAME"):
        endpoint(f"https://store.example.com?{query}")


@pytest.mark.parametrize(
    "host",
    [
        "data.s3.eu-west-1.amazonaws.com",
        "data.s3-fips.us-east-1.amazonaws.com",
        "data.s3.dualstack.eu-central-1.amazonaws.com",
        "data.s3-accelerate.amazonaws.com",
        "data.obs.cn-north-4.myhuaweicloud.com",
        "data.cos.ap-guangzhou.myqcloud.com",
    ],
)
def test_bucket_in_front_of_a_providers_host_is_not_repeated_in_the_path(host: str) -> None:
    """Keys were looked for in a folder named after the bucket, and another bucket's name was ignored."""
    found = endpoint(f"https://{host}")
    assert (found.origin.host, found.path) == (host, "")
    with pytest.raises(LocationInvalidError, match="begins with another bucket than that of fullPath"):
        endpoint(f"https://{host}", "other")


@pytest.mark.parametrize("host", ["data.example.com", "data.minio.internal", "data.s3.example.org", "data"])
def test_other_hosts_are_no_buckets(host: str) -> None:
    assert endpoint(f"https://{host}").path == "/data"


def test_endpoint_has_the_bucket_in_the_path() -> None:
    bucket_address = endpoint_bucket(
        "https://store.test:9000/base/", "obsEndpoint", "My_Data 1", None, is_operator_endpoint=False
    )
    assert str(bucket_address.origin) == "https://store.test:9000"
    assert bucket_address.path == "/base/My_Data%201"
    bucket_address = endpoint_bucket(
        "http://10.0.0.1", "HEADWATER_S3_ENDPOINT", "data", "us-gov-west", is_operator_endpoint=True
    )
    assert (bucket_address.region, bucket_address.is_operator_endpoint) == ("us-gov-west-1", True)


@pytest.mark.parametrize("bucket", ["", "..", ".", "a/b", "a?b", "a#b", "a\nb", "a b\0", "a\\b"])
def test_bucket_name_that_would_change_the_path_is_refused(bucket: str) -> None:
    with pytest.raises(LocationInvalidError, match="fullPath"):
        endpoint_bucket("https://store.test", "obsEndpoint", bucket, None, is_operator_endpoint=False)


@pytest.mark.parametrize(
    "host", ["s3." * 30_000 + "com", "a." * 50_000 + "com", "s3." + "eu-" * 20 + "x.com", "-." * 9 + "a"]
)
def test_long_host_is_read_fast(host: str) -> None:
    began = time.perf_counter()
    assert read_host(host).bucket is None
    assert time.perf_counter() - began < 0.5
