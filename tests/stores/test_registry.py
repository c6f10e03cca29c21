"""What stores get from the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headwater.domain.datasource import Datasource, parse_config
from headwater.net.transport import Transport
from headwater.settings import Settings
from headwater.stores.base import Store
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
