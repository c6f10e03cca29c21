"""What stores get from the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headwater.domain.datasource import Datasource, parse_config
from headwater.domain.errors import LocationInvalidError
from headwater.net.transport import Transport
from headwater.settings import Settings
from headwater.stores.base import Store
from headwater.stores.managed import ManagedLocation
from headwater.stores.registry import StoreRegistry


def registry(transport: Transport, folder: Path, **options: str) -> StoreRegistry:
    (folder / "mounted").mkdir()
    (folder / "areas").mkdir()
    settings = Settings.load(
        {},
        data_dir=folder / "data",
        local_root=folder / "mounted",
        managed_store=f"file://{folder}/areas",
        **options,
    )
    return StoreRegistry(settings, [bytes(32)], transport)


def opened(stores: StoreRegistry, config: dict[str, Any]) -> Store:
    return stores.open(Datasource("1" * 24, "d" * 24, parse_config(config)))


def test_only_local_datasources_have_a_minimum_age(transport: Transport, tmp_path: Path) -> None:
    """Uploads into an area are complete or absent. A bucket's objects are, too."""
    stores = registry(transport, tmp_path, local_min_age="60")
    obs = {"type": "OBS", "fullPath": "bucket", "obsEndpoint": "https://obs.example.com"}
    keys = {"obsAccessKeyId": "test-key-id", "obsSecretAccessKey": "test-secret"}
    assert opened(stores, {"type": "LOCAL", "fullPath": ""}).min_age == 60
    assert opened(stores, {"type": "LIGHTLY", "fullPath": ""}).min_age == 0
    assert opened(stores, {**obs, **keys}).min_age == 0
    stores.close()


@pytest.mark.parametrize(
    ("database_url", "one_machine"),
    [(None, True), ("sqlite:////srv/catalog.db", True), ("postgresql://user@host/catalog", False)],
)
def test_servers_with_an_sqlite_catalog_are_on_one_machine(
    transport: Transport, tmp_path: Path, database_url: str | None, one_machine: bool
) -> None:
    stores = registry(transport, tmp_path, **({"database_url": database_url} if database_url else {}))
    assert [root.runtime.one_machine for root in stores.local_file_roots] == [one_machine] * 2
    stores.close()


S3 = {"type": "S3", "s3Region": "eu-west-1", "s3AccessKeyId": "test-key-id", "s3SecretAccessKey": "test-secret"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("arn:aws:s3::123456789012:accesspoint/m.mrap/a", "the ARN of a multi-region access point.* not support"),
        ("arn:aws:s3-outposts:eu-west-1:123456789012:outpost/o/accesspoint/a", "S3 on Outposts, which Headwater"),
        ("s3://arn:aws:s3:::data/a", "most likely means 'data/a'"),
        ("data--euw1-az1--x-s3/a", "this is a directory bucket"),
    ],
)
def test_bucket_that_is_not_supported_is_refused_with_its_reason(
    transport: Transport, tmp_path: Path, path: str, expected: str
) -> None:
    """The advice led to a bucket named `accesspoint`, and URLs of directory buckets to a host that does not exist."""
    stores = registry(transport, tmp_path)
    with pytest.raises(LocationInvalidError, match=f"fullPath: .*{expected}"):
        opened(stores, {**S3, "fullPath": path})
    stores.close()


async def test_access_point_is_opened(transport: Transport, tmp_path: Path) -> None:
    stores = registry(transport, tmp_path)
    arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/street-view"
    [url] = await opened(stores, {**S3, "fullPath": f"s3://{arn}/train"}).sign(["a b.jpg"], 60)
    assert url.startswith("https://street-view-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/train/a%20b.jpg?")
    stores.close()


def test_areas_may_be_behind_an_access_point() -> None:
    arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/areas"
    assert ManagedLocation.parse(f"s3://{arn}/a/b") == ("s3", arn, "a/b/")
    assert ManagedLocation.parse("s3://bucket//a//") == ("s3", "bucket", "a/")
