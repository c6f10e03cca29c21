"""Listings of real stores cut into shards, and what an Azure account says of its order."""

from __future__ import annotations

import itertools
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headwater.domain.key_order import Order
from headwater.domain.key_range import KeyRange
from headwater.domain.objects import Key
from headwater.net.transport import Transport
from headwater.service.listing.splitting import find_split_points
from headwater.stores.base import Store
from headwater.testing.fault_proxy import FaultProxy, Request, Status
from tests.servers import AZURE_KEY
from tests.stores.azure import server as as_azure
from tests.stores.local.opening import open_store
from tests.stores.memory import by_path, by_utf_8, by_utf_16
from tests.stores.s3 import server as as_s3

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient
    from mypy_boto3_s3 import S3Client

KEYS = sorted(
    [
        *(f"train/{folder}/{number}.jpg" for folder in ("cat", "cat-2", "dog") for number in range(9)),
        *(f"été/🦊{number}.jpg" for number in range(5)),
        *("\uff21.jpg", "🦊.jpg", "train.jpg", ".lightly/predictions/task/1.json", "a b+c%.jpg"),
    ]
)


async def _shards(store: Store, shards: int) -> list[list[Key]]:
    """Split a listing, and return the keys of each shard, read in short pages."""
    store.list_limit = 5  # so that there is more than can be read at once
    points, order = await find_split_points(store, "", shards)
    parts: list[list[Key]] = []
    for after, last_key in itertools.pairwise([None, *points, None]):
        part: list[Key] = []
        at, marker = after, None
        while True:
            page = await store.list_page("", at, 4, marker)
            keys = [found.key for found in page.objects]
            part += [
                key for key in keys if last_key is None or not KeyRange(last_key=last_key, order=order).is_past_end(key)
            ]
            at, marker = page.resume_after, page.marker
            if at is None or (
                last_key is not None and any(KeyRange(last_key=last_key, order=order).is_past_end(key) for key in keys)
            ):
                break
        parts.append(part)
    return parts


async def test_a_local_folder_is_split(tmp_path: Path) -> None:
    for key in KEYS:
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(b"x")
    parts = await _shards(open_store(tmp_path, ""), 6)
    assert [key for part in parts for key in part] == KEYS
    assert len(parts) > 3


async def test_an_s3_bucket_is_split(moto_client: S3Client, moto: str, bucket: str, transport: Transport) -> None:
    for key in KEYS:
        moto_client.put_object(Bucket=bucket, Key=key, Body=b"x")
    parts = await _shards(as_s3.open_store(transport, moto, bucket), 6)
    assert [key for part in parts for key in part] == KEYS
    assert len(parts) > 3


async def test_an_azure_container_is_split(azure: BlobServiceClient, azurite_url: str, transport: Transport) -> None:
    """Azurite lists in the order of UTF-16, so split points have no characters that it orders differently."""
    container = azure.create_container(f"cut-{uuid.uuid4().hex[:12]}")
    for key in KEYS:
        container.upload_blob(key, b"x")
    listed = sorted(KEYS, key=by_utf_16)
    assert listed != KEYS
    parts = await _shards(as_azure.open_store(transport, azurite_url, container.container_name), 6)
    assert [key for part in parts for key in part] == listed
    assert len(parts) > 3
    with as_azure.Deaf(azurite_url) as proxy:
        sas = as_azure.account_sas()
        deaf = as_azure.open_store(transport, proxy.url, container.container_name, key=sas)
        assert await _shards(deaf, 6) == [listed]


async def test_a_small_container_is_split_exactly(
    azure: BlobServiceClient, azurite_url: str, transport: Transport
) -> None:
    container = azure.create_container(f"cut-{uuid.uuid4().hex[:12]}")
    for key in KEYS[1:10]:
        container.upload_blob(key, b"x")
    parts = await _shards(as_azure.open_store(transport, azurite_url, container.container_name), 3)
    assert [key for part in parts for key in part] == KEYS[1:10]
    assert len(parts) == 3


@pytest.mark.parametrize("by", [by_utf_8, by_utf_16, by_path])
@pytest.mark.parametrize("tells", [True, False])
async def test_the_order_of_an_azure_account_is_used(transport: Transport, by: object, tells: bool) -> None:
    """Accounts with a hierarchical namespace list by path. If the account does not say, the points fit every order."""
    assert callable(by)
    listing = as_azure.Listing(set(KEYS), order=by)
    hierarchical = "true" if by is by_path else "false"

    def respond(request: Request) -> Status:
        if "restype=account" not in request.target:
            return listing(request)
        if not tells:
            return Status(403, as_azure.error_xml("AuthorizationFailure"))
        return Status(200, b"", {"x-ms-is-hns-enabled": hierarchical})

    with FaultProxy(respond=respond) as server:
        store = as_azure.open_store(transport, server.url)
        expected = (Order.SLASH_FIRST if by is by_path else Order.UTF16_AMBIGUOUS) if tells else None
        assert await store.order() is expected
        parts = await _shards(store, 6)
    assert [key for part in parts for key in part] == sorted(KEYS, key=by)
    assert len(parts) > (3 if tells else 1)


@pytest.mark.parametrize("key", ["account key", "account SAS", "container SAS"])
async def test_the_order_of_azurite_is_requested_once(
    azure: BlobServiceClient, azurite_url: str, transport: Transport, key: str
) -> None:
    container = azure.create_container(f"cut-{uuid.uuid4().hex[:12]}").container_name
    keys = {
        "account key": AZURE_KEY,
        "account SAS": as_azure.account_sas(),
        "container SAS": as_azure.container_sas(container),
    }
    with FaultProxy(azurite_url) as proxy:
        store = as_azure.open_store(transport, proxy.url, container, key=keys[key])
        assert [await store.order(), await store.order()] == [Order.UTF16_AMBIGUOUS, Order.UTF16_AMBIGUOUS]
        assert sum("restype=account" in request.target for request in proxy.requests) == 1
