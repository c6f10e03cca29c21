"""Which store opens which type of datasource. A new provider is a folder, and one line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from headwater.domain.datasource import (
    AzureConfig,
    Datasource,
    DatasourceConfig,
    GcsConfig,
    LightlyConfig,
    LocalConfig,
    ObsConfig,
    S3Config,
    S3DelegatedAccessConfig,
)
from headwater.domain.errors import LocationInvalidError
from headwater.domain.pasted import advice_on
from headwater.domain.read_url import FILES, MANAGED, ReadUrlSigner
from headwater.net.refreshing import RefreshingCache
from headwater.net.tasks import TaskStarter, start_task
from headwater.net.transport import Transport
from headwater.net.urls import Origin
from headwater.settings import Settings
from headwater.stores.azure.store import open_azure
from headwater.stores.base import Store
from headwater.stores.local.runtime import LocalFileRoot, LocalRuntime
from headwater.stores.local.store import LocalStore
from headwater.stores.managed import ManagedLocation, ManagedStores
from headwater.stores.s3.assumed_role import open_delegated
from headwater.stores.s3.sigv4 import Credentials
from headwater.stores.s3.store import open_obs, open_s3
from headwater.stores.server_credentials import SETTING


class StoreRegistry:
    """Opens the stores of datasources. All of them share one HTTP transport.

    Args:
        settings: the operator's endpoints and folders.
        url_keys: the keys that sign the URLs which this server serves itself (`ReadUrlSigner`).
        transport: sends the requests of all stores; the caller closes it.
        start: starts refreshes of sessions and tokens.

    Raises:
        StartupError: HEADWATER_MANAGED_STORE is invalid.
    """

    def __init__(
        self, settings: Settings, url_keys: Sequence[bytes], transport: Transport, start: TaskStarter = start_task
    ) -> None:
        self._settings = settings
        managed = ManagedLocation.parse(settings.managed_store) if settings.managed_store else None
        managed_folder = managed.folder if managed else None
        hidden = [settings.folder] if settings.uses_folder else []
        hidden_in_mount_root = [*hidden, managed_folder] if managed_folder else hidden
        self._local_runtime = LocalRuntime(one_machine=settings.sqlite_file is not None)

        def file_root(
            folder: Path | None, url_path: str, hidden: Sequence[Path], min_age: int = 0
        ) -> LocalFileRoot | None:
            if folder is None:
                return None
            signer = ReadUrlSigner(url_keys, settings.base_url, str(folder), url_path)
            return LocalFileRoot(folder, signer, hidden, self._local_runtime, min_age)

        self._mount_root = file_root(settings.mount_root, FILES, hidden_in_mount_root, settings.local_min_age)
        # Files in the areas of datasets are uploaded through this server, completely or not at all: no minimum age.
        self._managed_root = file_root(managed_folder, MANAGED, hidden)
        self._transport = transport
        self._sessions: RefreshingCache[Credentials] = RefreshingCache(start)
        self._tokens: RefreshingCache[str] = RefreshingCache(start)
        self._managed_stores = managed and ManagedStores(
            managed, settings, self._managed_root, self._transport, self._sessions, self._tokens
        )
        self._openers: dict[type[DatasourceConfig], Callable[[Any], Store]] = {
            LocalConfig: self._local,
            S3Config: lambda config: open_s3(config, self._transport, settings.s3_endpoint),
            ObsConfig: lambda config: open_obs(config, self._transport),
            S3DelegatedAccessConfig: self._delegated,
            GcsConfig: self._gcs,
            AzureConfig: self._azure,
        }

    def open(self, datasource: Datasource) -> Store:
        """Open the store of a datasource. Nothing is contacted.

        Raises:
            StoreError: the configuration is invalid.
        """
        if isinstance(datasource.config, LightlyConfig):
            if self._managed_stores is None:
                raise LocationInvalidError(
                    f"this server provides no storage for LIGHTLY datasources; its operator sets it with {SETTING}"
                )
            return self._managed_stores.open(datasource.dataset_id)
        config = datasource.config
        if not isinstance(config, LocalConfig) and (advice := advice_on(config.full_path)) is not None:
            raise LocationInvalidError(f"fullPath: expected bucket/path; {advice}")
        return self._openers[type(config)](config)

    @property
    def local_file_roots(self) -> list[LocalFileRoot]:
        """The folders whose files this server serves itself."""
        return [root for root in (self._mount_root, self._managed_root) if root is not None]

    def clock_differences(self) -> dict[Origin, float]:
        """Return by how many seconds the clocks of stores are ahead of this one, by their last responses."""
        return self._transport.clock_differences()

    def close(self) -> None:
        """End the threads for disks when they are idle."""
        self._local_runtime.close()

    def _delegated(self, config: S3DelegatedAccessConfig) -> Store:
        settings = self._settings
        return open_delegated(config, self._transport, self._sessions, settings.s3_endpoint, settings.sts_endpoint)

    def _gcs(self, config: GcsConfig) -> Store:
        from headwater.stores.gcs.store import open_gcs  # google-auth takes a while to load

        return open_gcs(config, self._transport, self._tokens, self._settings.gcs_endpoint)

    def _azure(self, config: AzureConfig) -> Store:
        return open_azure(config, self._transport, self._settings.azure_endpoint)

    def _local(self, config: LocalConfig) -> Store:
        if self._mount_root is None:
            raise LocationInvalidError(
                "this server has no mount root for LOCAL datasources; its operator sets it with HEADWATER_LOCAL_ROOT"
            )
        return LocalStore(self._mount_root, config.full_path, config.web_server_location)
