"""Storage that the operator of the server provides."""

from swagger_client.model.datasource_config_base import DatasourceConfigBase
from swagger_client.model_utils import member


class DatasourceConfigLIGHTLY(DatasourceConfigBase, kw_only=True):
    """Storage that the operator of the server provides, with a separate folder for each dataset.

    Attributes:
        full_path: a path in the dataset's folder; can be empty.
    """

    type: str = member("type", str, enum=("LIGHTLY", "DatasourceConfigLIGHTLY"))
