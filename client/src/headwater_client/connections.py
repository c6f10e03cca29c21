"""The connections of a download: to stores, and to the server itself with the settings of its client."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Dict, Optional
from urllib.parse import urlsplit

import urllib3

from headwater_client.sample import page_request_of
from swagger_client.forks import after_fork, renew_connections
from swagger_client.rest import RESTClientObject

if TYPE_CHECKING:
    from swagger_client.api.datasources_api import DatasourcesApi
    from swagger_client.api_client import ApiClient
    from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Connections:
    """Choose the connections for a URL. Thread-safe.

    The server can serve files itself (read URLs of LOCAL datasources, redirected read URLs). Certificates, proxy and
    socket options of the client's configuration hold for it, and for no other host: they may be secret, or make
    connections less safe.

    Args:
        size: the number of concurrent connections.
        pool: connections of the caller, to be used for everything.
        api: the API for rows that are not from `iter_samples`.
    """

    def __init__(self, size: int, pool: Optional[urllib3.PoolManager], api: Optional[DatasourcesApi]) -> None:
        self._size = size
        self._given = pool is not None
        self._stores = urllib3.PoolManager(maxsize=size) if pool is None else pool
        self._api = api
        self._servers: Dict[ApiClient, urllib3.PoolManager] = {}
        self._lock = threading.Lock()
        after_fork(self._stores, renew_connections)

    def pool(self, url: str, row: DatasourceRawSamplesDataRow) -> urllib3.PoolManager:
        """Return the connections for a URL of a row."""
        request = page_request_of(row)
        api = self._api if request is None else request.api
        if self._given or api is None or _origin(url) != _origin(api.api_client.configuration.host):
            return self._stores
        client = api.api_client
        with self._lock:
            if client not in self._servers:
                self._servers[client] = RESTClientObject(client.configuration, maxsize=self._size).pool_manager
            return self._servers[client]

    def close(self) -> None:
        """Close the connections, except those of the caller."""
        for pool in (*self._servers.values(), *(() if self._given else (self._stores,))):
            pool.clear()


def _origin(url: str) -> tuple[str, Optional[str], Optional[int]]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
