"""S3-compatible stores."""

from swagger_client.model.datasource_config_base import DatasourceConfigBase
from swagger_client.model_utils import member


class DatasourceConfigOBS(DatasourceConfigBase, kw_only=True):
    """An S3-compatible store.

    Attributes:
        full_path: bucket and path, with or without `obs://`.
        obs_endpoint: the URL of the store, such as `https://minio.example.com:9000`.
        obs_access_key_id: the id of the access key.
        obs_secret_access_key: its secret; masked in responses.
    """

    type: str = member("type", str, enum=("OBS", "DatasourceConfigOBS"))
    full_path: str = member(
        "fullPath", str, pattern=r"^([oO][bB][sS]:\/\/|[sS]3:\/\/|(?![a-zA-Z][a-zA-Z0-9+.-]*:\/\/))[^\/]+(\/|$)"
    )
    obs_endpoint: str = member("obsEndpoint", str, minLength=1, pattern=r"^https?:\/\/.+$")
    obs_access_key_id: str = member("obsAccessKeyId", str, minLength=1)
    obs_secret_access_key: str = member("obsSecretAccessKey", str, minLength=1, secret=True)
