"""The class that every kind of storage is derived from."""

from swagger_client.model.datasource_config import DatasourceConfig


class DatasourceConfigBase(DatasourceConfig, kw_only=True):
    """The class that every kind of storage is derived from. Made with a `type`, it becomes that kind."""
