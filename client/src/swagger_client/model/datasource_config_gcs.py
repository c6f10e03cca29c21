"""Google Cloud Storage."""

from swagger_client.model.datasource_config_base import DatasourceConfigBase
from swagger_client.model_utils import member


class DatasourceConfigGCS(DatasourceConfigBase, kw_only=True):
    """Google Cloud Storage with the key file of a service account.

    Attributes:
        full_path: bucket and path, with or without `gs://`.
        gcs_project_id: the id of the project that the bucket belongs to.
        gcs_credentials: the content of the JSON key file, as one string; masked in responses.
    """

    type: str = member("type", str, enum=("GCS", "DatasourceConfigGCS"))
    full_path: str = member("fullPath", str, pattern=r"^([gG][sS]:\/\/|(?![a-zA-Z][a-zA-Z0-9+.-]*:\/\/))[^\/]+(\/|$)")
    gcs_project_id: str = member("gcsProjectId", str, minLength=1)
    gcs_credentials: str = member("gcsCredentials", str, minLength=1, secret=True)
