"""All models, for `from swagger_client.models import …`."""

from importlib import import_module as _import_module
from typing import Any

from swagger_client.model.api_error_code import ApiErrorCode
from swagger_client.model.api_error_response import ApiErrorResponse
from swagger_client.model.create_entity_response import CreateEntityResponse
from swagger_client.model.dataset_create_request import DatasetCreateRequest
from swagger_client.model.dataset_creator import DatasetCreator
from swagger_client.model.dataset_data import DatasetData
from swagger_client.model.dataset_name import DatasetName
from swagger_client.model.dataset_type import DatasetType
from swagger_client.model.dataset_update_request import DatasetUpdateRequest
from swagger_client.model.datasource_config import DatasourceConfig
from swagger_client.model.datasource_config_azure import DatasourceConfigAzure
from swagger_client.model.datasource_config_base import DatasourceConfigBase
from swagger_client.model.datasource_config_gcs import DatasourceConfigGCS
from swagger_client.model.datasource_config_lightly import DatasourceConfigLIGHTLY
from swagger_client.model.datasource_config_local import DatasourceConfigLOCAL
from swagger_client.model.datasource_config_obs import DatasourceConfigOBS
from swagger_client.model.datasource_config_s3 import DatasourceConfigS3
from swagger_client.model.datasource_config_s3_delegated_access import DatasourceConfigS3DelegatedAccess
from swagger_client.model.datasource_config_verify_data import DatasourceConfigVerifyData
from swagger_client.model.datasource_config_verify_data_errors import DatasourceConfigVerifyDataErrors
from swagger_client.model.datasource_processed_until_timestamp_request import DatasourceProcessedUntilTimestampRequest
from swagger_client.model.datasource_processed_until_timestamp_response import DatasourceProcessedUntilTimestampResponse
from swagger_client.model.datasource_raw_samples_data import DatasourceRawSamplesData
from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow
from swagger_client.model.image_type import ImageType
from swagger_client.model.mongo_object_id import MongoObjectID
from swagger_client.model.shared_access_type import SharedAccessType
from swagger_client.model.timestamp import Timestamp
from swagger_client.model.timestamp_milliseconds import TimestampMilliseconds

__all__ = [
    "ApiErrorCode",
    "ApiErrorResponse",
    "CreateEntityResponse",
    "DatasetCreateRequest",
    "DatasetCreator",
    "DatasetData",
    "DatasetName",
    "DatasetType",
    "DatasetUpdateRequest",
    "DatasourceConfig",
    "DatasourceConfigAzure",
    "DatasourceConfigBase",
    "DatasourceConfigGCS",
    "DatasourceConfigLIGHTLY",
    "DatasourceConfigLOCAL",
    "DatasourceConfigOBS",
    "DatasourceConfigS3",
    "DatasourceConfigS3DelegatedAccess",
    "DatasourceConfigVerifyData",
    "DatasourceConfigVerifyDataErrors",
    "DatasourceProcessedUntilTimestampRequest",
    "DatasourceProcessedUntilTimestampResponse",
    "DatasourceRawSamplesData",
    "DatasourceRawSamplesDataRow",
    "ImageType",
    "MongoObjectID",
    "SharedAccessType",
    "Timestamp",
    "TimestampMilliseconds",
]

_ALL_OF_MODULES = {f"DatasourceConfig{kind}AllOf": kind.lower() for kind in ("Azure", "GCS", "LIGHTLY", "LOCAL", "S3")}
"""The modules of the `…AllOf` models, imported on first use because few programs need them."""


def __getattr__(name: str) -> Any:
    if name not in _ALL_OF_MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module(f"swagger_client.model.datasource_config_{_ALL_OF_MODULES[name]}_all_of"), name)


def __dir__() -> list[str]:
    return [*globals(), *_ALL_OF_MODULES]
