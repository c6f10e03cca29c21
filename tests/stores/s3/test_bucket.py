"""The address of a bucket and the region to sign for (contract.md#datasource-config)."""

from __future__ import annotations

import pytest

from headwater.domain.errors import LocationInvalidError
from headwater.stores.s3.bucket import aws_bucket, endpoint_bucket


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
    ],
)
def test_address_of_a_bucket_at_amazon(bucket: str, region: str, host: str, path: str, signed: str) -> None:
    bucket_address = aws_bucket(bucket, region)
    assert str(bucket_address.origin) == f"https://{host}"
    assert (bucket_address.path, bucket_address.region, bucket_address.is_operator_endpoint) == (path, signed, False)


@pytest.mark.parametrize(
    "bucket", ["", "ab", "a" * 64, "Data", "my_data", "-data", "data-", "a/b", "a?b", "a#b", "a@b.c", "a\nb", "dátá"]
)
def test_invalid_bucket_name_never_becomes_a_host(bucket: str) -> None:
    with pytest.raises(LocationInvalidError, match="fullPath"):
        aws_bucket(bucket, "us-east-1")


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("https://obs.cn-north-4.myhuaweicloud.com", "cn-north-4"),
        ("https://obs.eu-west-101.myhuaweicloud.eu", "eu-west-101"),
        ("https://s3.eu-central-1.wasabisys.com", "eu-central-1"),
        ("https://s3.fr-par.scw.cloud", "fr-par"),
        ("https://s3-eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://s3.dualstack.eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://s3.amazonaws.com", "us-east-1"),
        ("https://s3.my-company.com", "us-east-1"),
        ("https://minio.example.com:9000", "us-east-1"),
        ("http://127.0.0.1:9000", "us-east-1"),
    ],
)
def test_region_is_taken_from_the_host(endpoint: str, region: str) -> None:
    assert endpoint_bucket(endpoint, "obsEndpoint", "data", None, is_operator_endpoint=False).region == region


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
