"""A folder on the server."""

from swagger_client.model.datasource_config_base import DatasourceConfigBase
from swagger_client.model_utils import UNSET, member


class DatasourceConfigLOCAL(DatasourceConfigBase, kw_only=True):
    """A folder below the mount root that the operator of the server has set.

    Attributes:
        full_path: relative to the mount root, without a leading `/`, `://`, and `.` or `..` parts; may be empty.
        web_server_location: a web server of one's own that serves the folder; read URLs then point there.
    """

    type: str = member("type", str, enum=("LOCAL", "DatasourceConfigLOCAL"))
    full_path: str = member("fullPath", str, pattern=r"^(?!\/)(?![\s\S]*:\/\/)(?!([\s\S]*\/)?\.{1,2}(\/|$))")
    web_server_location: str = member("webServerLocation", str, default=UNSET, pattern=r"^https?:\/\/.+$")
