"""The conformance suite for S3 and OBS: against moto, which lists every key, and rclone, which checks signatures."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, ClassVar

import pytest

from headwater.domain.datasource import ObsConfig, S3Config, parse_config
from headwater.domain.objects import Key
from headwater.net.transport import Transport
from headwater.stores.base import Store
from headwater.stores.s3.store import open_obs, open_s3
from headwater.testing import Prepared, StoreConformance
from headwater.testing.fault_proxy import FaultProxy
from tests.servers import KEY_ID, SECRET, free_port, s3_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3Bucket(Prepared):
    """A bucket that the vendor's SDK prepares. A proxy counts the store's requests."""

    def __init__(self, client: S3Client, proxy: FaultProxy, transport: Transport) -> None:
        self.client = client
        self.proxy = proxy
        self.transport = transport
        self.name = f"bucket-{uuid.uuid4().hex[:12]}"
        client.create_bucket(Bucket=self.name)

    def connect(self, path: str, secret: str, endpoint: str) -> Store:
        config = parse_config(
            {
                "type": "S3",
                "fullPath": path,
                "s3Region": "us-east-1",
                "s3AccessKeyId": KEY_ID,
                "s3SecretAccessKey": secret,
            }
        )
        assert isinstance(config, S3Config)
        return open_s3(config, self.transport, endpoint)

    def open(self, root: str = "") -> Store:
        return self.connect(f"{self.name}/{root}", SECRET, self.proxy.url)

    def put(self, objects: Mapping[Key, bytes]) -> None:
        for key, body in objects.items():
            self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def get(self, key: Key) -> bytes | None:
        try:
            return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            return None

    def remove(self, key: Key) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)

    def modified(self, key: Key) -> float:
        return self.client.head_object(Bucket=self.name, Key=key)["LastModified"].timestamp()

    def request_count(self) -> int:
        return len(self.proxy.requests)

    def open_missing_bucket(self) -> Store:
        return self.connect(f"absent-{uuid.uuid4().hex[:12]}", SECRET, self.proxy.url)

    def open_unreachable(self) -> Store:
        return self.connect(self.name, SECRET, f"http://127.0.0.1:{free_port()}")


class MotoBucket(S3Bucket):
    """A bucket of moto."""

    skipped_tests: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("test_a_url_is_valid_only_for_its_object_and_method", "test_a_url_expires"), "moto checks no signatures"
    )

    def why_not_storable(self, key: Key) -> str | None:
        if "\n" in key:
            return "moto answers 404 for a line feed"
        if "\x01" in key:
            return "moto repeats where a page starts in XML, which has no control characters"
        return None


class RcloneBucket(S3Bucket):
    """A bucket of rclone, which checks signatures."""

    skipped_tests: ClassVar[Mapping[str, str]] = {
        "test_unchanged_objects_are_listed_once_while_others_change": "rclone's folders are read late after a change",
    }

    def why_not_storable(self, key: Key) -> str | None:
        if any(part in ("", ".", "..") for part in key.split("/")):
            return "rclone refuses keys with empty or dotted parts"
        if any(len(part.encode()) > 250 for part in key.split("/")):
            return "a file's name on disk has at most 255 bytes"
        if not key.isprintable() or "\\" in key:
            return "rclone changes control characters and backslashes in names"
        return None

    def open_with_wrong_credentials(self) -> Store:
        return self.connect(self.name, "another-secret-access-key", self.proxy.url)


def as_obs(bucket: type[S3Bucket]) -> type[S3Bucket]:
    """The same bucket, connected as a datasource of type OBS."""

    class ObsBucket(bucket):  # type: ignore[misc, valid-type]  # one subclass for each kind of bucket
        def connect(self, path: str, secret: str, endpoint: str) -> Store:
            config = parse_config(
                {
                    "type": "OBS",
                    "fullPath": path,
                    "obsEndpoint": endpoint,
                    "obsAccessKeyId": KEY_ID,
                    "obsSecretAccessKey": secret,
                }
            )
            assert isinstance(config, ObsConfig)
            return open_obs(config, self.transport)

    return ObsBucket


class OnMoto(StoreConformance):
    """Against moto."""

    bucket: ClassVar[type[S3Bucket]] = MotoBucket

    @pytest.fixture
    async def prepared(self, moto: str, moto_client: S3Client, transport: Transport) -> AsyncIterator[Prepared]:
        with FaultProxy(moto) as proxy:
            yield self.bucket(moto_client, proxy, transport)


class OnRclone(StoreConformance):
    """Against rclone."""

    bucket: ClassVar[type[S3Bucket]] = RcloneBucket

    @pytest.fixture
    async def prepared(self, rclone: str, transport: Transport) -> AsyncIterator[Prepared]:
        with FaultProxy(rclone) as proxy, s3_client(rclone) as client:
            yield self.bucket(client, proxy, transport)


class TestS3OnMoto(OnMoto):
    """Amazon S3 with an access key."""


class TestS3OnRclone(OnRclone):
    """Amazon S3 with an access key, signatures checked."""


class TestObsOnMoto(OnMoto):
    """Any S3-compatible store."""

    bucket = as_obs(MotoBucket)


class TestObsOnRclone(OnRclone):
    """Any S3-compatible store, signatures checked."""

    bucket = as_obs(RcloneBucket)
