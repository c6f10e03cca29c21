"""Storage that the server's operator provides."""

from swagger_client.model.datasource_config_base import DatasourceConfigBase
from swagger_client.model_utils import member


class DatasourceConfigLIGHTLY(DatasourceConfigBase, kw_only=True):
    """Storage that the server's operator provides, a separate area for each dataset.

    Attributes:
        full_path: a path within the dataset's area; may be empty.
    """

    type: str = member("type", str, enum=("LIGHTLY", "DatasourceConfigLIGHTLY"))
