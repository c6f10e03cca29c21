"""The base class of all types of datasource."""

from swagger_client.model.datasource_config import DatasourceConfig


class DatasourceConfigBase(DatasourceConfig, kw_only=True):
    """The base class of all types of datasource. The `type` selects the class of the new object."""
