"""Signatures equal those of botocore, byte for byte."""

from __future__ import annotations

import datetime
import hashlib
from functools import cache
from typing import Any
from unittest.mock import patch

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.net.urls import encode_path, encode_query
from headwater.stores.s3 import sigv4
from headwater.stores.s3.bucket import S3Bucket, aws_bucket, endpoint_bucket
from headwater.stores.s3.sigv4 import Credentials, Presigner, UnsignedRequest

NOW = datetime.datetime(2024, 2, 29, 23, 59, 58, tzinfo=datetime.UTC)
SECRET = "test/secret+access key"
TOKEN = "session/token+with=odd characters&more"

ODD = ["//", "/", ".", "..", "/../", "+", " ", "%41", "%2F", "%", "#", "?", "&", "=", ";", "'", '"', "<>", "\\", "~"]
ODD += ["\n", "\r", "\0", "\x7f", "é", "e\u0301", "🦊", "שלום", "\U0010ffff", "*", "!", "()", "@:", ",", "$", "`", "|"]
keys = st.lists(
    st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8), min_size=1, max_size=8
).map("".join)
keys = keys.filter(bool)

PLACES = {
    "virtual": aws_bucket("my-bucket", "us-east-1"),
    "dots": aws_bucket("my.bucket", "eu-west-3"),
    "china": aws_bucket("my-bucket", "cn-north-1"),
    "legacy": aws_bucket("My_Bucket", "us-east-1"),
    "access point": aws_bucket("arn:aws:s3:eu-west-1:123456789012:accesspoint/street-view", "eu-west-1"),
    "gov": aws_bucket("my-bucket", "us-gov-west"),
    "endpoint": endpoint_bucket("http://127.0.0.1:9000", "obsEndpoint", "my-bucket", None, is_operator_endpoint=False),
    "base": endpoint_bucket("https://[::1]/base/", "obsEndpoint", "my-bucket", "eu-west-1", is_operator_endpoint=False),
}


@cache
def client(name: str, token: str | None) -> Any:
    place = PLACES[name]
    own = {"endpoint": "http://127.0.0.1:9000", "base": "https://[::1]/base/"}.get(name)
    return boto3.client(
        "s3",
        endpoint_url=own,
        region_name=place.region,
        aws_access_key_id="test-key-id",
        aws_secret_access_key=SECRET,
        aws_session_token=token,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if own else "auto", "us_east_1_regional_endpoint": "regional"},
            # Or a checksum becomes part of what a presigned PUT must send.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def presigner(place: S3Bucket, token: str | None, ttl: int, method: str = "GET") -> Presigner:
    credentials = Credentials("test-key-id", SECRET, token)
    return Presigner(place, credentials, ttl, NOW.timestamp(), method)


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("token", [None, TOKEN])
@settings(deadline=None)
@given(data=st.data())
def test_presigned_urls_equal_those_of_botocore(name: str, token: str | None, data: st.DataObject) -> None:
    method, operation = data.draw(
        st.sampled_from([("GET", "get_object"), ("HEAD", "head_object"), ("PUT", "put_object")])
    )
    some = data.draw(st.lists(keys, min_size=1, max_size=4))
    ttl = data.draw(st.integers(1, sigv4.MAX_TTL_SECONDS))
    with patch("botocore.auth.get_current_datetime", return_value=NOW):
        expected = [
            client(name, token).generate_presigned_url(
                operation, {"Bucket": PLACES[name].name, "Key": key}, ExpiresIn=ttl
            )
            for key in some
        ]
    assert presigner(PLACES[name], token, ttl, method).sign(some) == expected


@pytest.mark.parametrize("token", [None, TOKEN])
@settings(deadline=None)
@given(
    key=keys,
    query=st.dictionaries(keys, st.text(st.characters(exclude_categories=["Cs"]), max_size=9), max_size=5),
    body=st.binary(max_size=40),
)
def test_signed_headers_equal_those_of_botocore(
    token: str | None, key: str, query: dict[str, str], body: bytes
) -> None:
    path, encoded = "/bucket/" + encode_path(key), encode_query(query)
    request = botocore.awsrequest.AWSRequest(
        "PUT",
        f"http://store.test:9000{path}?{encoded}",
        headers={"range": "bytes=0-9", "x-amz-meta-a": " a  b "},
        data=body,
    )
    request.context["payload_signing_enabled"] = True
    theirs = botocore.auth.S3SigV4Auth(
        botocore.credentials.Credentials("test-key-id", SECRET, token), "s3", "eu-west-1"
    )
    with patch("botocore.auth.get_current_datetime", return_value=NOW):
        theirs.add_auth(request)
    unsigned = UnsignedRequest(
        "PUT",
        "store.test:9000",
        path,
        encoded,
        {"range": "bytes=0-9", "X-Amz-Meta-A": " a  b "},
        hashlib.sha256(body).hexdigest(),
    )
    ours = sigv4.sign_headers(unsigned, Credentials("test-key-id", SECRET, token), "eu-west-1", NOW.timestamp())
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours["x-amz-date"] == request.headers["X-Amz-Date"]


def test_url_life_is_the_shortest_of_ttl_limit_and_credentials() -> None:
    forever = Credentials("test-key-id", SECRET)
    session = Credentials("test-key-id", SECRET, TOKEN, expires=1_000_900.9)
    assert sigv4.url_life(60, forever, 1_000_000) == 60
    assert sigv4.url_life(10**9, forever, 1_000_000) == 604_800
    assert sigv4.url_life(60, session, 1_000_000) == 60
    assert sigv4.url_life(43_200, session, 1_000_000) == 900
    assert sigv4.url_life(60, session, 1_000_901) <= 0


@pytest.mark.parametrize("ttl", [0, -1, 604_801])
def test_life_that_s3_refuses_is_an_error(ttl: int) -> None:
    with pytest.raises(ValueError, match="604800"):
        presigner(PLACES["virtual"], None, ttl)


def test_credentials_show_no_secret() -> None:
    shown = f"{Credentials('test-key-id', SECRET, TOKEN, 5.0)!r}"
    assert shown == "Credentials(expires=5.0)"
