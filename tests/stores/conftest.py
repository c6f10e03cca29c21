"""Servers and stores that the tests of stores share. Each xdist worker has its own servers."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headwater.net.refreshing import RefreshingCache
from headwater.stores.s3 import sts
from headwater.stores.s3.sigv4 import Credentials
from tests.servers import AwsUser, GuardedAws, azure_client, azurite, guarded_aws, moto_server, rclone_s3, s3_client
from tests.stores.gcs.server import GcsServer
from tests.transports import short_pauses, transport  # noqa: F401  fixtures

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient, ContainerClient
    from mypy_boto3_s3 import S3Client


_SERVERS = frozenset({"moto", "rclone", "azurite_url", "guarded"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start an external server as slow."""
    for item in items:
        if isinstance(item, pytest.Function) and not _SERVERS.isdisjoint(item.fixturenames):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="session")
def moto_client(moto: str) -> Iterator[S3Client]:
    """The vendor's SDK, which prepares the data for the store under test."""
    with s3_client(moto) as client:
        yield client


@pytest.fixture
def bucket(moto_client: S3Client) -> str:
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    moto_client.create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that checks signatures, with one empty bucket named `bucket`."""
    directory = tmp_path_factory.mktemp("rclone")
    (directory / "bucket").mkdir()
    with rclone_s3(directory) as url:
        yield url


@pytest.fixture
def gcs() -> Iterator[GcsServer]:
    """Cloud Storage with one empty bucket named `bucket`."""
    with GcsServer() as gcs:
        yield gcs


@pytest.fixture
def tokens() -> RefreshingCache[str]:
    """A cache of access tokens."""
    return RefreshingCache()


@pytest.fixture(scope="session")
def azurite_url() -> Iterator[str]:
    """Azure Blob Storage, which checks signatures and SAS tokens."""
    with azurite() as url:
        yield url


@pytest.fixture(scope="session")
def azure(azurite_url: str) -> Iterator[BlobServiceClient]:
    """The vendor's SDK, which prepares the data for the store under test."""
    with azure_client(azurite_url) as client:
        yield client


@pytest.fixture
def container(azure: BlobServiceClient) -> ContainerClient:
    """An empty container for one test."""
    return azure.create_container(f"container-{uuid.uuid4().hex[:12]}")


@pytest.fixture(scope="session")
def guarded() -> Iterator[GuardedAws]:
    """AWS that checks signatures, sessions and policies."""
    with guarded_aws() as guarded:
        yield guarded


@pytest.fixture
def own_identity(guarded: GuardedAws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AwsUser:
    """Give this process an AWS identity in its environment, and hide that of this machine."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    user = guarded.user(["sts:AssumeRole"])
    for name, value in user.environ(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sts, "SERVER", sts.Sts())
    return user


@pytest.fixture
def sessions() -> RefreshingCache[Credentials]:
    """A cache of sessions of roles."""
    return RefreshingCache()
