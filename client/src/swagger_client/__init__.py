"""The Python client of the Datasources API, for Headwater and servers like it.

```python
import swagger_client
from swagger_client.api.datasources_api import DatasourcesApi

configuration = swagger_client.Configuration(host="http://localhost:8000", api_key={"ApiKeyAuth": token})
with swagger_client.ApiClient(configuration) as api_client:
    page = DatasourcesApi(api_client).get_list_of_raw_samples_from_datasource_by_dataset_id(dataset_id)
```

`headwater_client` streams whole listings, lists what is new and downloads files.
"""

from swagger_client.api_client import ApiClient
from swagger_client.configuration import Configuration
from swagger_client.exceptions import (
    ApiAttributeError,
    ApiException,
    ApiKeyError,
    ApiTypeError,
    ApiValueError,
    ForbiddenException,
    NotFoundException,
    OpenApiException,
    ServiceException,
    UnauthorizedException,
)
from swagger_client.version import __version__ as __version__

__all__ = [
    "ApiAttributeError",
    "ApiClient",
    "ApiException",
    "ApiKeyError",
    "ApiTypeError",
    "ApiValueError",
    "Configuration",
    "ForbiddenException",
    "NotFoundException",
    "OpenApiException",
    "ServiceException",
    "UnauthorizedException",
]
