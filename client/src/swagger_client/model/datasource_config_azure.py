"""Azure Blob Storage."""

from swagger_client.model.datasource_config_base import DatasourceConfigBase
from swagger_client.model_utils import member


class DatasourceConfigAzure(DatasourceConfigBase, kw_only=True):
    """Azure Blob Storage with an account key or a SAS token.

    Attributes:
        full_path: container and path, without a scheme.
        account_name: the name of the storage account; in another cloud than Azure's public one its host, such as
            `account.blob.core.usgovcloudapi.net`.
        account_key: a key of the storage account, or a SAS token; masked in responses.
    """

    type: str = member("type", str, enum=("AZURE", "DatasourceConfigAzure"))
    full_path: str = member("fullPath", str, pattern=r"^(?![a-zA-Z][a-zA-Z0-9+.-]*:\/\/)[^\/]+(\/|$)")
    account_name: str = member("accountName", str, minLength=1)
    account_key: str = member("accountKey", str, minLength=1, secret=True)
