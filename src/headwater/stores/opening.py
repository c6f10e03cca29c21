"""Which store answers for which type of datasource. A new kind of storage is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headwater.domain.datasource import (
    AzureConfig,
    Datasource,
    DatasourceConfig,
    GcsConfig,
    LocalConfig,
    ObsConfig,
    S3Config,
    S3DelegatedAccessConfig,
)
from headwater.domain.errors import NotOffered, PlaceInvalid
from headwater.domain.read_url import ReadUrlSigner
from headwater.settings import Settings
from headwater.stores.base import Store
from headwater.stores.egress import Egress
from headwater.stores.local import LocalStore
from headwater.stores.renewal import Renewed
from headwater.stores.s3 import open_obs, open_s3
from headwater.stores.sigv4 import Credentials
from headwater.stores.transport import Transport


class Stores:
    """Opens stores, all of which share one HTTP transport.

    Args:
        settings: where the operator has put things.
        read_urls: signs the read URLs that this server answers itself.

    Raises:
        StartupError: HEADWATER_ALLOWED_ENDPOINTS cannot be read.
    """

    def __init__(self, settings: Settings, read_urls: ReadUrlSigner) -> None:
        self._settings = settings
        self._read_urls = read_urls
        self._egress = Egress.parse(settings.allowed_endpoints)
        self._transport = Transport(self._egress)
        self._sessions: Renewed[Credentials] = Renewed()
        self._tokens: Renewed[str] = Renewed()
        self._openers: dict[type[DatasourceConfig], Callable[[Any], Store]] = {
            LocalConfig: self._local,
            S3Config: lambda config: open_s3(config, self._transport, settings.s3_endpoint),
            ObsConfig: lambda config: open_obs(config, self._transport),
            S3DelegatedAccessConfig: self._delegated,
            GcsConfig: self._gcs,
            AzureConfig: self._azure,
        }

    def open(self, datasource: Datasource) -> Store:
        """Open the store of a datasource. Cheap: nothing is contacted.

        Raises:
            NotOffered: this version has no store for the type.
            StoreError: what is configured cannot be used.
        """
        opener = self._openers.get(type(datasource.config))
        if opener is None:
            raise NotOffered(
                f"type: {datasource.config.type} datasources can be configured, but this version neither verifies "
                f"nor lists them"
            )
        return opener(datasource.config)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._sessions.aclose()
        await self._tokens.aclose()
        await self._transport.aclose()

    def _delegated(self, config: S3DelegatedAccessConfig) -> Store:
        from headwater.stores.assumed_role import open_delegated  # botocore takes a while to load

        settings = self._settings
        return open_delegated(config, self._transport, self._sessions, settings.s3_endpoint, settings.sts_endpoint)

    def _gcs(self, config: GcsConfig) -> Store:
        from headwater.stores.gcs import open_gcs  # google-auth takes a while to load

        return open_gcs(config, self._transport, self._tokens, self._egress, self._settings.gcs_endpoint)

    def _azure(self, config: AzureConfig) -> Store:
        from headwater.stores.azure import open_azure

        return open_azure(config, self._transport, self._settings.azure_endpoint)

    def _local(self, config: LocalConfig) -> Store:
        mount_root = self._settings.mount_root
        if mount_root is None:
            raise PlaceInvalid(
                "this server has no mount root for LOCAL datasources; its operator sets it with HEADWATER_LOCAL_ROOT"
            )
        return LocalStore(
            mount_root,
            config.full_path,
            self._read_urls,
            config.web_server_location,
            hidden=self._settings.folder,
        )
