"""Listing, reading and writing in buckets of moto that boto3 prepares."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

from headwater.domain.datasource import ObsConfig, S3Config, parse_config
from headwater.domain.errors import LocationInvalidError, ObjectNotFoundError
from headwater.domain.objects import StorePage
from headwater.net.transport import Transport
from headwater.stores.s3.store import S3Store, open_obs, open_s3
from headwater.testing.fault_proxy import FaultProxy
from tests.servers import KEY_ID, SECRET
from tests.stores.s3.server import answering, fetch, list_all, open_store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Moto answers 404 for a line feed; test_s3_faults lists one.
ODD_KEYS = [
    *("a b", "a+b", "a%41", "a%2Fb", "a#b", "a?b", "a&b", "a=b", "a;b", "a'b", 'a"b', "a<&>b", "a\\b", "a//b", "a:b@c"),
    *("é", "e\u0301", "🦊", "שלום", "~", "a|b", "a*b", "folder/", "(1)", "\u2028", "k" * 1024, "ü" * 512),
    *("/lead", "//x", "a/../b", "../x", ".", "..", "a/./b", "a/", "x/..", "\t", "\x01\x7f\x1f", "a\rb"),
]


def put(client: S3Client, bucket: str, keys: Iterable[str], body: bytes = b"content") -> None:
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=body)


@pytest.fixture
def store(transport: Transport, moto: str, bucket: str) -> S3Store:
    return open_store(transport, moto, bucket)


async def names(store: S3Store, prefix: str = "", limit: int = 1000) -> list[str]:
    return [found.key for found in await list_all(store, prefix, limit)]


async def test_empty_bucket_is_listed(store: S3Store) -> None:
    page = await store.list_page("", None, 10)
    assert page == StorePage([], None)
    assert (await store.list_page("", "a", 10)).objects == []


async def test_listed_object_has_size_time_and_etag(store: S3Store, moto_client: S3Client, bucket: str) -> None:
    put(moto_client, bucket, ["a.jpg"], b"12345")
    theirs = moto_client.head_object(Bucket=bucket, Key="a.jpg")
    [ours] = (await store.list_page("", None, 10)).objects
    assert ours.key == "a.jpg"
    assert ours.size == 5
    assert ours.modified == int(theirs["LastModified"].timestamp())
    assert ours.etag == theirs["ETag"].strip('"')


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 1000])
async def test_pages_of_any_length_make_one_listing(
    store: S3Store, moto_client: S3Client, bucket: str, limit: int
) -> None:
    keys = ["a", "a/1", "a/2", "b", "ü"]
    put(moto_client, bucket, reversed(keys))
    assert await names(store, limit=limit) == keys


async def test_exactly_full_last_page_ends_the_listing(store: S3Store, moto_client: S3Client, bucket: str) -> None:
    put(moto_client, bucket, ["a", "b", "c"])
    page = await store.list_page("", None, 3)
    assert len(page.objects) == 3
    assert page.resume_after is None
    page = await store.list_page("", None, 2)
    assert page.resume_after == "b"


async def test_after_is_exclusive_and_need_not_exist(store: S3Store, moto_client: S3Client, bucket: str) -> None:
    put(moto_client, bucket, ["a", "b", "c"])
    for after, expected in [("a", ["b", "c"]), ("aa", ["b", "c"]), ("c", []), ("", ["a", "b", "c"])]:
        assert [found.key for found in (await store.list_page("", after, 10)).objects] == expected


async def test_order_is_by_utf_8_bytes(store: S3Store, moto_client: S3Client, bucket: str) -> None:
    """UTF-16 and locales have another order for these keys."""
    keys = ["A", "B", "a", "ab", "b", "é", "\uffee", "🦊"]
    put(moto_client, bucket, reversed(keys))
    assert keys == sorted(keys, key=str.encode)
    assert await names(store, limit=3) == keys


async def test_prefix_excludes_neighbours(transport: Transport, moto: str, moto_client: S3Client, bucket: str) -> None:
    put(moto_client, bucket, ["data", "data/", "data/a", "data/b/c", "data-x", "data2/a", "dat", "x/data/a"])
    store = open_store(transport, moto, bucket)
    assert await names(store, "data/") == ["data/", "data/a", "data/b/c"]
    assert await names(store, "data") == ["data", "data-x", "data/", "data/a", "data/b/c", "data2/a"]
    assert await names(store, "nothing") == []
    below = open_store(transport, moto, bucket, root="data/")
    assert await names(below) == ["a", "b/c"]
    assert await names(below, limit=1) == ["a", "b/c"]
    assert await names(below, "b/") == ["b/c"]


async def test_root_excludes_neighbours(transport: Transport, moto: str, moto_client: S3Client, bucket: str) -> None:
    put(moto_client, bucket, ["data/a", "data2/b"])
    below = open_store(transport, moto, bucket, root="data/")
    with pytest.raises(ObjectNotFoundError):
        await below.read("b", 10)
    await below.write("new", b"x")
    assert moto_client.get_object(Bucket=bucket, Key="data/new")["Body"].read() == b"x"


@pytest.mark.parametrize("root", ["", "a b/ü+/"])
async def test_odd_keys_are_listed_signed_and_served(
    transport: Transport, moto: str, moto_client: S3Client, bucket: str, root: str
) -> None:
    keys = [key for key in ODD_KEYS if len((root + key).encode()) <= 1024]
    for key in keys:
        put(moto_client, bucket, [root + key], key.encode())
    store = open_store(transport, moto, bucket, root)
    assert await names(store, limit=4) == sorted(keys, key=str.encode)
    for key, url in zip(keys, await store.sign(keys, 60), strict=True):
        assert fetch(url) == (200, key.encode())
        assert await store.read(key, 3000) == key.encode()


async def test_odd_keys_are_written_and_deleted(store: S3Store, moto_client: S3Client, bucket: str) -> None:
    for key in ODD_KEYS:
        await store.write(key, key.encode())
    found = moto_client.list_objects_v2(Bucket=bucket)["Contents"]
    assert [each["Key"] for each in found] == sorted(ODD_KEYS)
    for key in ODD_KEYS:
        await store.delete(key)
    assert "Contents" not in moto_client.list_objects_v2(Bucket=bucket)


async def test_page_deep_in_a_bucket_is_one_request(
    transport: Transport, moto: str, moto_client: S3Client, bucket: str
) -> None:
    put(moto_client, bucket, [f"{i:02}" for i in range(20)])
    with FaultProxy(moto) as proxy:
        store = open_store(transport, proxy.url, bucket)
        assert (await store.list_page("", "17", 2)).resume_after is None
        assert len(proxy.requests) == 1
        assert len(await list_all(store, limit=5)) == 20
        assert len(proxy.requests) == 1 + 4


async def test_page_has_at_most_a_thousand_objects(transport: Transport, moto: str, bucket: str) -> None:
    with FaultProxy(moto) as proxy:
        await open_store(transport, proxy.url, bucket).list_page("", None, 5000)
        assert proxy.requests[0].query["max-keys"] == "1000"


async def test_start_of_an_object_is_read(store: S3Store, moto_client: S3Client, bucket: str) -> None:
    put(moto_client, bucket, ["a"], b"0123456789")
    put(moto_client, bucket, ["empty"], b"")
    assert await store.read("a", 4) == b"0123"
    assert await store.read("a", 10) == b"0123456789"
    assert await store.read("a", 1_000_000) == b"0123456789"
    assert await store.read("a", 0) == b""
    assert await store.read("empty", 10) == b""
    with pytest.raises(ObjectNotFoundError, match="NoSuchKey"):
        await store.read("absent", 10)


async def test_write_replaces_and_second_delete_is_no_error(store: S3Store) -> None:
    await store.write("a", b"one")
    await store.write("a", b"")
    assert await store.read("a", 10) == b""
    await store.delete("a")
    await store.delete("a")
    with pytest.raises(ObjectNotFoundError):
        await store.read("a", 1)


async def test_missing_bucket_is_named(transport: Transport, moto: str) -> None:
    store = open_store(transport, moto, "no-such-bucket")
    for call in (
        lambda: store.list_page("", None, 1),
        lambda: store.read("a", 1),
        lambda: store.write("a", b""),
        lambda: store.delete("a"),
    ):
        with pytest.raises(
            LocationInvalidError, match=r"'no-such-bucket': NoSuchBucket.*check fullPath and obsEndpoint"
        ):
            await call()


async def test_written_objects_are_encrypted_with_the_kms_key(
    transport: Transport, moto: str, moto_client: S3Client, bucket: str
) -> None:
    config = parse_config(
        {
            "type": "S3",
            "fullPath": f"s3://{bucket}/data",
            "s3Region": "us-east-1",
            "s3AccessKeyId": KEY_ID,
            "s3SecretAccessKey": SECRET,
            "s3ServerSideEncryptionKMSKey": "arn:aws:kms:us-east-1:123456789012:key/some",
        }
    )
    assert isinstance(config, S3Config)
    await open_s3(config, transport, operator_endpoint=moto).write("a", b"x")
    told = moto_client.head_object(Bucket=bucket, Key="data/a")
    assert told["ServerSideEncryption"] == "aws:kms"
    assert told["SSEKMSKeyId"] == config.kms_key


async def test_obs_datasource_is_opened(transport: Transport, moto: str, moto_client: S3Client, bucket: str) -> None:
    put(moto_client, bucket, ["data/a.jpg"])
    config = parse_config(
        {
            "type": "OBS",
            "fullPath": f"obs://{bucket}/data",
            "obsEndpoint": moto,
            "obsAccessKeyId": KEY_ID,
            "obsSecretAccessKey": SECRET,
        }
    )
    assert isinstance(config, ObsConfig)
    assert await names(open_obs(config, transport)) == ["a.jpg"]


async def test_folder_whose_name_is_not_utf8_is_not_suggested(transport: Transport) -> None:
    """Its name was suggested without the bytes that are not UTF-8: a folder that does not exist."""
    folders = "".join(f"<CommonPrefixes><Prefix>{name}/</Prefix></CommonPrefixes>" for name in ("a+b%2B", "c%FF"))
    body = f"<ListBucketResult><EncodingType>url</EncodingType>{folders}</ListBucketResult>".encode()
    with FaultProxy(respond=answering(200, body)) as server:
        assert await open_store(transport, server.url).list_folders("") == ["a b+"]
