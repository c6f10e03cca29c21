"""Cloud Storage does what every store must do: against a small server that verifies tokens and signatures."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from headwater.domain.datasource import GcsConfig, parse_config
from headwater.domain.objects import Key
from headwater.net.refreshing import RefreshingCache
from headwater.net.transport import Transport
from headwater.stores.base import Store
from headwater.stores.gcs.store import open_gcs
from headwater.testing import Prepared, StoreConformance
from tests.servers import free_port
from tests.stores.gcs.server import GcsServer, is_no_name, pem


class GcsBucket(Prepared):
    """A bucket, prepared without the API."""

    def __init__(self, gcs: GcsServer, transport: Transport, tokens: RefreshingCache[str]) -> None:
        self.gcs = gcs
        self.transport = transport
        self.tokens = tokens

    def connect(self, path: str, endpoint: str, **more: str) -> Store:
        config = parse_config(
            {
                "type": "GCS",
                "fullPath": path,
                "gcsProjectId": "test-project",
                "gcsCredentials": json.dumps(self.gcs.key_file(**more)),
            }
        )
        assert isinstance(config, GcsConfig)
        return open_gcs(config, self.transport, self.tokens, endpoint)

    def open(self, root: str = "") -> Store:
        return self.connect(f"gs://bucket/{root}", self.gcs.url)

    def put(self, objects: Mapping[Key, bytes]) -> None:
        for key, data in objects.items():
            self.gcs.put("bucket", key, data)

    def get(self, key: Key) -> bytes | None:
        found = self.gcs.buckets["bucket"].get(key)
        return None if found is None else found.data

    def remove(self, key: Key) -> None:
        self.gcs.buckets["bucket"].pop(key, None)

    def modified(self, key: Key) -> float:
        return self.gcs.buckets["bucket"][key].created

    def why_not_storable(self, key: Key) -> str | None:
        return "Cloud Storage allows no such name" if is_no_name(key) else None

    def request_count(self) -> int:
        return len(self.gcs.requests)

    def open_missing_bucket(self) -> Store:
        return self.connect("absent-bucket", self.gcs.url)

    def open_with_wrong_credentials(self) -> Store:
        return self.connect("bucket", self.gcs.url, private_key=pem(rsa.generate_private_key(65537, 2048)))

    def open_unreachable(self) -> Store:
        return self.connect("bucket", f"http://127.0.0.1:{free_port()}")


class TestGcs(StoreConformance):
    """Google Cloud Storage with the key file of a service account."""

    @pytest.fixture
    def prepared(self, gcs: GcsServer, transport: Transport, tokens: RefreshingCache[str]) -> Prepared:
        return GcsBucket(gcs, transport, tokens)
