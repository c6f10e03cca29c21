"""The location of a datasource (contract.md#datasource-config)."""

from __future__ import annotations

from headwater.domain.datasource import parse_config
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
