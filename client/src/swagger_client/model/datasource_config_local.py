"""A folder on the server."""

from swagger_client.model.datasource_config_base import DatasourceConfigBase
from swagger_client.model_utils import UNSET, member


class DatasourceConfigLOCAL(DatasourceConfigBase, kw_only=True):
    """A folder under the mount root that the operator of the server has configured.

    Attributes:
        full_path: relative to the mount root, without a leading `/`, `://`, and `.` or `..` parts; may be empty.
        web_server_location: the URL of your own web server for the folder; read URLs then use it.
    """

    type: str = member("type", str, enum=("LOCAL", "DatasourceConfigLOCAL"))
    full_path: str = member("fullPath", str, pattern=r"^(?!\/)(?![\s\S]*:\/\/)(?!([\s\S]*\/)?\.{1,2}(\/|$))")
    web_server_location: str = member("webServerLocation", str, default=UNSET, pattern=r"^https?:\/\/.+$")
