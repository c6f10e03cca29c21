"""All APIs, for `from swagger_client.apis import …`."""

from swagger_client.api.datasets_api import DatasetsApi
from swagger_client.api.datasources_api import DatasourcesApi

__all__ = ["DatasetsApi", "DatasourcesApi"]
