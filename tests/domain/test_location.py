"""The location of a datasource (contract.md#datasource-config)."""

from __future__ import annotations

from headwater.domain.datasource import parse_config
from headwater.domain.location import split_bucket
from tests.domain.configs import VALID


def fingerprint(type_name: str, **members: str) -> str:
    return parse_config({**VALID[type_name], **members}).location.fingerprint


def test_same_location_in_every_spelling() -> None:
    assert len({fingerprint("S3", fullPath=path) for path in ("b/p", "b/p/", "s3://b/p", "s3://b/p/")}) == 1
    assert len({fingerprint("LOCAL", fullPath=path) for path in ("a/b", "a/b/", "a//b")}) == 1
    assert fingerprint("S3", s3AccessKeyId="another", s3SecretAccessKey="another") == fingerprint("S3")
    assert fingerprint("OBS", obsEndpoint="https://OBS.example.com/") == fingerprint("OBS")
    assert fingerprint("OBS", obsEndpoint="https://obs.example.com:443") == fingerprint("OBS")
    accounts = ("account", "account.blob.core.windows.net", "https://account.blob.core.windows.net/")
    assert len({fingerprint("AZURE", accountName=name) for name in accounts}) == 1


def test_access_point_counts_as_a_bucket() -> None:
    """Its name was taken for the folder, and `…:accesspoint` for the bucket."""
    arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint"
    paths = [f"{start}{arn}{mark}name/a/b{end}" for start in ("", "s3://") for mark in "/:" for end in ("", "/")]
    assert {split_bucket(path) for path in paths} == {(f"{arn}/name", "a/b/")}
    assert split_bucket(f"{arn}/name") == split_bucket(f"{arn}/name/") == (f"{arn}/name", "")
    assert len({fingerprint("S3", fullPath=path) for path in paths}) == 1


def test_region_of_an_endpoint_is_not_part_of_the_location() -> None:
    """To name the region later must not reset the watermark."""
    for end in ("?region=RegionOne", "/?region=garage"):
        assert fingerprint("OBS", obsEndpoint=f"https://obs.example.com{end}") == fingerprint("OBS")


def test_scheme_is_only_recognized_at_the_beginning() -> None:
    """`bucket/a://other/x` was taken for the bucket `other`."""
    location = parse_config({**VALID["S3"], "fullPath": "bucket/a://other/x"}).location
    assert (location.bucket, location.prefix) == ("bucket", "a://other/x/")


def test_other_data_is_another_location() -> None:
    fingerprints = [
        fingerprint("S3", fullPath="b"),
        fingerprint("S3", fullPath="b/p"),
        fingerprint("S3", fullPath="b/pp"),
        fingerprint("S3", fullPath="b//p"),
        fingerprint("S3DelegatedAccess", fullPath="b/p"),
        fingerprint("OBS", fullPath="b/p"),
        fingerprint("OBS", fullPath="b/p", obsEndpoint="https://other.example.com"),
        fingerprint("OBS", fullPath="b/p", obsEndpoint="http://obs.example.com"),
        fingerprint("AZURE", fullPath="b/p"),
        fingerprint("AZURE", fullPath="b/p", accountName="other"),
        fingerprint("AZURE", fullPath="b/p", accountName="account.blob.core.usgovcloudapi.net"),
        fingerprint("AZURE", fullPath="b/p", accountName="account.blob.core.chinacloudapi.cn"),
        fingerprint("GCS", fullPath="b/p"),
        fingerprint("LOCAL", fullPath="b/p"),
        fingerprint("LOCAL", fullPath=""),
    ]
    assert len(set(fingerprints)) == len(fingerprints)
