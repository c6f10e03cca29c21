"""Signatures and presigned URLs against `rclone serve s3`, which checks them."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import pytest

from headwater.domain.datasource import ObsConfig, parse_config
from headwater.domain.errors import CredentialsRefusedError
from headwater.net.transport import Transport
from headwater.stores.s3 import sigv4
from headwater.stores.s3.bucket import endpoint_bucket
from headwater.stores.s3.sigv4 import Credentials, Presigner
from headwater.stores.s3.store import open_obs
from tests.servers import KEY_ID, SECRET, s3_client
from tests.stores.s3.server import GOOD, fetch, list_all, open_store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Keys that rclone can store on a disk. It refuses keys with "//", ".." and a leading "/".
KEYS = [
    "a b",
    "a+b",
    "a%41",
    "a%2Fb",
    "a#b",
    "a?b",
    "a&b=c",
    "a;b",
    "a'b",
    'a"b',
    "a<b>",
    "é",
    "🦊",
    "x/y/z",
    "~a",
    "a:b",
]


@pytest.fixture(scope="session")
def client(rclone: str) -> Any:
    with s3_client(rclone) as client:
        for key in KEYS:
            client.put_object(Bucket="bucket", Key=f"signed/{key}", Body=key.encode())
        yield client


async def test_signed_requests_are_accepted(client: S3Client, rclone: str, transport: Transport) -> None:
    store = open_store(transport, rclone, root="signed/")
    for limit in (3, 1000):
        found = await list_all(store, limit=limit)
        assert [each.key for each in found] == sorted(KEYS)
    for key in KEYS:
        assert await store.read(key, 100) == key.encode()


async def test_writes_and_deletes_are_accepted(client: S3Client, rclone: str, transport: Transport) -> None:
    store = open_store(transport, rclone, root="written/")
    for key in KEYS:
        await store.write(key, key.encode())
    for key in KEYS:
        assert client.get_object(Bucket="bucket", Key=f"written/{key}")["Body"].read() == key.encode()
        await store.delete(key)
    assert await list_all(store) == []


async def test_presigned_url_serves_a_plain_get(client: S3Client, rclone: str, transport: Transport) -> None:
    store = open_store(transport, rclone, root="signed/")
    for key, url in zip(KEYS, await store.sign(KEYS, 60), strict=True):
        assert fetch(url) == (200, key.encode())


def is_refused(url: str, method: str = "GET", body: bytes | None = None) -> bool:
    status, _ = fetch(url, method, body)
    # Amazon says 403 each time; rclone has 400 for expired and unsigned requests.
    return status in (400, 403)


async def test_tampered_url_is_refused(client: S3Client, rclone: str, transport: Transport) -> None:
    [url] = await open_store(transport, rclone, root="signed/").sign(["a b"], 60)
    assert fetch(url) == (200, b"a b")
    assert is_refused(url.replace("a%20b", "a%2Bb"))
    assert is_refused(url.replace("X-Amz-Expires=60", "X-Amz-Expires=61"))
    assert is_refused(url[:-1] + ("0" if url[-1] != "0" else "1"))
    assert is_refused(url.partition("?")[0])
    assert is_refused(url, "PUT", b"x")


async def test_expired_url_is_refused(client: S3Client, rclone: str, transport: Transport) -> None:
    store = open_store(transport, rclone, root="signed/", clock=lambda: time.time() - 100)
    [url] = await store.sign(["a b"], 60)
    assert is_refused(url)
    [url] = await store.sign(["a b"], 160)
    assert fetch(url) == (200, b"a b")


async def test_urls_for_head_and_put_allow_only_that_method(client: S3Client, rclone: str) -> None:
    bucket = endpoint_bucket(rclone, "obsEndpoint", "bucket", "us-east-1", is_operator_endpoint=False)

    def signed(method: str, key: str) -> str:
        presigner = Presigner(bucket, GOOD, 60, time.time(), method)
        return presigner.sign([key])[0]

    assert fetch(signed("HEAD", "signed/a b"), "HEAD") == (200, b"")
    assert is_refused(signed("HEAD", "signed/a b"))
    assert fetch(signed("PUT", "put/ü"), "PUT", b"by URL")[0] == 200
    assert client.get_object(Bucket="bucket", Key="put/ü")["Body"].read() == b"by URL"
    client.delete_object(Bucket="bucket", Key="put/ü")


@pytest.mark.parametrize(
    ("credentials", "code", "member"),
    [
        (Credentials(KEY_ID, "x" + SECRET), "SignatureDoesNotMatch", "Check obsSecretAccessKey"),
        (Credentials("unknown-key-id", SECRET), "InvalidAccessKeyId", "Check obsAccessKeyId"),
    ],
)
async def test_wrong_credentials_are_refused_and_named(
    rclone: str, transport: Transport, credentials: Credentials, code: str, member: str
) -> None:
    store = open_store(transport, rclone, credentials=credentials)
    for call in (
        lambda: store.list_page("", None, 1),
        lambda: store.read("a", 1),
        lambda: store.write("a", b""),
        lambda: store.delete("a"),
    ):
        with pytest.raises(CredentialsRefusedError, match=code) as refusal:
            await call()
        assert member in refusal.value.message
        assert refusal.value.provider_code == code
        assert SECRET not in refusal.value.message


async def test_url_does_not_outlive_its_credentials(transport: Transport) -> None:
    """A URL that is signed for 12 hours expires with its credentials after 15 minutes."""
    session = Credentials(KEY_ID, SECRET, "session-token", expires=1_000_900.0)
    store = open_store(transport, "http://store.test", credentials=session, clock=lambda: 1_000_000.0)
    [url] = await store.sign(["a"], 43_200)
    assert "X-Amz-Expires=900&" in url
    store = open_store(transport, "http://store.test", clock=lambda: 1_000_000.0)
    assert f"X-Amz-Expires={sigv4.MAX_TTL_SECONDS}&" in (await store.sign(["a"], 10**9))[0]
    expired = dataclasses.replace(session, expires=1_000_000.0)
    store = open_store(transport, "http://store.test", credentials=expired, clock=lambda: 1_000_000.0)
    with pytest.raises(CredentialsRefusedError, match="expired"):
        await store.sign(["a"], 60)


@pytest.mark.parametrize("key_id", ["a\r\nx-header: 1", "a b", "ä", "a\0"])
async def test_key_id_that_would_break_a_header_is_refused(transport: Transport, key_id: str) -> None:
    with pytest.raises(CredentialsRefusedError, match="obsAccessKeyId"):
        await open_store(transport, "http://store.test", credentials=Credentials(key_id, SECRET)).read("a", 1)


async def test_pasted_credentials_with_a_line_break_are_signed_with(rclone: str, transport: Transport) -> None:
    """A line break after the key id or the secret was signed with, and the store refused every request."""
    config = parse_config(
        {
            "type": "OBS",
            "fullPath": "bucket",
            "obsEndpoint": rclone,
            "obsAccessKeyId": f" {KEY_ID}\n",
            "obsSecretAccessKey": f"{SECRET}\r\n",
        }
    )
    assert isinstance(config, ObsConfig)
    assert config.to_wire()["obsAccessKeyId"] == f" {KEY_ID}\n"
    await open_obs(config, transport).list_page("", None, 1)
