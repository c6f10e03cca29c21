"""Addresses pasted from a browser are recognized, and the error says so."""

from __future__ import annotations

import time

import pytest

from headwater.domain.datasource import parse_config
from headwater.domain.errors import LocationInvalidError, MalformedRequestError
from headwater.domain.pasted import advice_on, pasted_address
from headwater.net.urls import parse_endpoint
from tests.domain.configs import VALID


@pytest.mark.parametrize(
    ("text", "what", "path"),
    [
        ("https://s3.console.aws.amazon.com/s3/buckets/data?region=eu-west-1&prefix=a/b/", "AWS console", "data/a/b/"),
        ("https://eu-west-1.console.aws.amazon.com/s3/buckets/data?tab=objects", "AWS console", "data"),
        ("console.aws.amazon.com/s3/buckets/data", "AWS console", "data"),
        ("https://console.aws.amazon.com/s3/home", "AWS console", None),
        ("https://console.amazonaws.cn/s3/buckets/data", "AWS console", "data"),
        ("https://console.cloud.google.com/storage/browser/data/a%20b;tab=objects?project=p", "Google", "data/a b"),
        ("https://console.cloud.google.com/storage/browser/_details/data/a.png", "Google", "data/a.png"),
        ("https://portal.azure.com/#view/Microsoft_Azure_Storage/ContainerMenuBlade", "Azure portal", None),
        ("https://console-intl.huaweicloud.com/obs/#/obs/manager/buckets", "Huawei", None),
        ("https://data.s3.eu-west-1.amazonaws.com/a%20b/c.png", "object of S3", "data/a b/c.png"),
        ("https://s3.eu-west-1.amazonaws.com/data/a/", "object of S3", "data/a/"),
        ("https://data.s3.amazonaws.com", "object of S3", "data/"),
        ("https://storage.googleapis.com/data/a", "object of Cloud Storage", "data/a"),
        ("https://storage.cloud.google.com/data/a", "object of Cloud Storage", "data/a"),
        ("https://account.blob.core.windows.net/container/a", "blob of Azure", "container/a"),
        ("https://data.obs.eu-west-101.myhuaweicloud.eu/a", "object of OBS", "data/a"),
        ("arn:aws:s3:::data/a/*", "ARN", "data/a/"),
        ("s3://arn:aws:s3:::data/a", "ARN", "data/a"),
        ("arn:aws:s3::123456789012:accesspoint/m.mrap", "a multi-region access point, which Headwater does not", None),
        ("arn:aws:s3-outposts:eu-west-1:123456789012:outpost/o/accesspoint/a", "S3 on Outposts, which", None),
        ("arn:aws:s3-object-lambda:eu-west-1:123456789012:accesspoint/a", "S3 Object Lambda, which", None),
        ("arn:aws:s3express:eu-west-1:123456789012:bucket/a--x-s3", "a directory bucket", None),
        ("az://container/a", "az://", "container/a"),
        ("abfss://container@account.dfs.core.windows.net/a/b", "abfss://", "container/a/b"),
    ],
)
def test_address_is_recognized_with_its_path(text: str, what: str, path: str | None) -> None:
    found = pasted_address(text)
    assert found is not None
    assert what in found.what
    assert found.path == path


@pytest.mark.parametrize(
    "text",
    [
        *(
            "data/a",
            "s3://data/a",
            "gs://console.cloud.google.com/a",
            "data.s3.amazonaws.com/a",
            "arn/a",
            "arn:aws:s3:eu-west-1:123456789012:accesspoint/name/a",
            "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint:name/a",
            "",
            "/",
            "[/a",
        ),
        *("https://store.example.com/data", "my.console/aws", "obs://data/a", "https://[::1]/a", "https://[/a", "[/a"),
    ],
)
def test_path_is_not_taken_for_an_address(text: str) -> None:
    assert advice_on(text) is None


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("https://acct.blob.core.windows.net/container/a", "acct"),
        ("https://acct.blob.core.usgovcloudapi.net/container/a", "acct.blob.core.usgovcloudapi.net"),
        ("abfss://container@acct.dfs.core.chinacloudapi.cn/a", "acct.blob.core.chinacloudapi.cn"),
    ],
)
def test_the_address_of_a_blob_says_which_account_to_set(text: str, account: str) -> None:
    """The address of a blob in Azure China led to a path, which was then looked for in the public cloud."""
    assert str(advice_on(text)).endswith(f"most likely means 'container/a' of the account '{account}'")


@pytest.mark.parametrize(
    "text", ["https://a" + ".s3.a" * 200_000, "arn:" + "a-" * 400_000, "https://" + "s3." * 300_000]
)
def test_long_text_is_checked_fast(text: str) -> None:
    """A path of 80 kB kept the server busy for 18 seconds."""
    began = time.perf_counter()
    assert advice_on(text) is None
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize("type_name", ["S3", "S3DelegatedAccess", "GCS", "AZURE", "OBS"])
def test_put_of_an_address_says_what_was_most_likely_meant(type_name: str) -> None:
    config = {**VALID[type_name], "fullPath": "https://eu-west-1.console.aws.amazon.com/s3/buckets/data?prefix=a/"}
    with pytest.raises(
        MalformedRequestError, match=r"fullPath: .*page of the AWS console.*most likely means 'data/a/'"
    ):
        parse_config(config)


@pytest.mark.parametrize(
    "url", ["https://console.aws.amazon.com/s3", "https://portal.azure.com", "https://dash.cloudflare.com/x"]
)
def test_console_is_refused_as_an_endpoint(url: str) -> None:
    with pytest.raises(
        LocationInvalidError, match=r"obsEndpoint: this is the address of a page of .* storage itself answers"
    ):
        parse_endpoint(url, "obsEndpoint")
