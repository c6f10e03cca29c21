"""AZURE does what every store must do: against Azurite, which checks signatures and SAS tokens."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

import pytest

from headwater.domain.objects import Key
from headwater.net.transport import Transport
from headwater.stores.base import Store
from headwater.testing import Prepared, StoreConformance
from headwater.testing.fault_proxy import FaultProxy
from headwater.testing.prepared import fetch
from tests.servers import AZURE_KEY, free_port
from tests.stores.azure.server import Deaf, account_sas, container_sas, open_store, put

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient, ContainerClient

UTF_16 = "Azurite orders names by their UTF-16 units"
HEADER = "Azure wants the header x-ms-blob-type with a PUT"


class Container(Prepared):
    """A container, prepared by the vendor's SDK; the store's requests are counted by a proxy."""

    skipped_tests: ClassVar[Mapping[str, str]] = {
        "test_order_is_by_utf_8_bytes": UTF_16,
        "test_a_put_url_writes_the_object": HEADER,
    }
    proxy_kind: ClassVar[type[FaultProxy]] = FaultProxy

    def __init__(self, client: BlobServiceClient, proxy: FaultProxy, transport: Transport) -> None:
        self.client = client
        self.proxy = proxy
        self.transport = transport
        self.container: ContainerClient = client.create_container(f"container-{uuid.uuid4().hex[:12]}")

    @property
    def key(self) -> str:
        """The account key or SAS token of the store."""
        return AZURE_KEY

    def connect(self, container: str, root: str, key: str, url: str) -> Store:
        return open_store(self.transport, url, container, root, key)

    def open(self, root: str = "") -> Store:
        return self.connect(self.container.container_name, root, self.key, self.proxy.url)

    def put(self, objects: Mapping[Key, bytes]) -> None:
        for key, body in objects.items():
            if _has_dots(key):
                assert put(self.plain_url(key), body) == 201
            else:
                self.container.upload_blob(key, body, overwrite=True)

    def get(self, key: Key) -> bytes | None:
        from azure.core.exceptions import ResourceNotFoundError

        if _has_dots(key):
            status, body = fetch(self.plain_url(key))
            return body if status == 200 else None
        try:
            return self.container.download_blob(key).readall()
        except ResourceNotFoundError:
            return None

    def plain_url(self, key: Key) -> str:
        """Return a URL that keeps the dots, which the SDK's HTTP client removes."""
        name = self.container.container_name
        return f"{self.client.url}{name}/{quote(key)}?{container_sas(name)}"

    def remove(self, key: Key) -> None:
        self.container.delete_blob(key)

    def modified(self, key: Key) -> float:
        return self.container.get_blob_client(key).get_blob_properties().last_modified.timestamp()

    def why_not_storable(self, key: Key) -> str | None:
        if "\\" in key:
            return "Azure makes a slash of a backslash"
        if any(char < " " and char not in "\t\r\n" for char in key):
            return "Azurite answers 500 to a listing with a control character in a name"
        return None

    def request_count(self) -> int:
        return len(self.proxy.requests)

    def open_missing_bucket(self) -> Store:
        return self.connect(f"absent-{uuid.uuid4().hex[:12]}", "", self.key, self.proxy.url)

    def open_with_wrong_credentials(self) -> Store:
        return self.connect(self.container.container_name, "", "dGVzdC1rZXktaWQ=", self.proxy.url)

    def open_unreachable(self) -> Store:
        return self.connect(self.container.container_name, "", self.key, f"http://127.0.0.1:{free_port()}")


def _has_dots(key: Key) -> bool:
    return any(part in (".", "..") for part in key.split("/"))


class WithSas(Container):
    """A container, opened with a SAS token of the account."""

    skipped_tests: ClassVar[Mapping[str, str]] = {
        **Container.skipped_tests,
        "test_a_url_is_valid_only_for_its_object_and_method": "the URLs carry the SAS token itself",
        "test_a_url_expires": "the URLs carry the SAS token itself",
    }

    @property
    def key(self) -> str:
        return account_sas()

    def open_with_wrong_credentials(self) -> Store:
        return self.connect(self.container.container_name, "", self.key[:-9] + "AAAAAA%3D", self.proxy.url)


class WithoutStartFrom(WithSas):
    """A container of a server that does not support `startFrom`."""

    proxy_kind = Deaf
    extra_requests = 1


class OnAzurite(StoreConformance):
    """Against Azurite."""

    container: ClassVar[type[Container]] = Container

    @pytest.fixture
    async def prepared(
        self, azurite_url: str, azure: BlobServiceClient, transport: Transport
    ) -> AsyncIterator[Prepared]:
        with self.container.proxy_kind(azurite_url) as proxy:
            yield self.container(azure, proxy, transport)


class TestAzureWithAccountKey(OnAzurite):
    """With an account key."""


class TestAzureWithSas(OnAzurite):
    """With a SAS token."""

    container = WithSas


class TestAzureWithoutStartFrom(OnAzurite):
    """A server that ignores `startFrom`."""

    container = WithoutStartFrom
