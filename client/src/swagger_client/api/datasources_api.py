"""The operations on the datasource of a dataset: configure, verify, list, and the watermark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Union

from swagger_client.api.operations import Operation, Operations
from swagger_client.exceptions import ApiValueError
from swagger_client.model.datasource_config import DatasourceConfig
from swagger_client.model.datasource_config_verify_data import DatasourceConfigVerifyData
from swagger_client.model.datasource_processed_until_timestamp_request import (
    DatasourceProcessedUntilTimestampRequest,
)
from swagger_client.model.datasource_processed_until_timestamp_response import (
    DatasourceProcessedUntilTimestampResponse,
)
from swagger_client.model.datasource_raw_samples_data import DatasourceRawSamplesData
from swagger_client.model.mongo_object_id import MongoObjectID
from swagger_client.model.timestamp import Timestamp

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from swagger_client.api_client import CallOptions

_DATASOURCE = "/v1/datasets/{datasetId}/datasource"
_PROCESSED_UNTIL = f"{_DATASOURCE}/processedUntilTimestamp"

_GET = Operation("get_datasource_by_dataset_id", "GET", _DATASOURCE, DatasourceConfig)
_UPDATE = Operation("update_datasource_by_dataset_id", "PUT", _DATASOURCE, type(None))
_VERIFY = Operation("verify_datasource_by_dataset_id", "GET", f"{_DATASOURCE}/verify", DatasourceConfigVerifyData)
_LIST = Operation(
    "get_list_of_raw_samples_from_datasource_by_dataset_id", "GET", f"{_DATASOURCE}/list", DatasourceRawSamplesData
)
_GET_WATERMARK = Operation(
    "get_datasource_processed_until_timestamp_by_dataset_id",
    "GET",
    _PROCESSED_UNTIL,
    DatasourceProcessedUntilTimestampResponse,
)
_UPDATE_WATERMARK = Operation(
    "update_datasource_processed_until_timestamp_by_dataset_id", "PUT", _PROCESSED_UNTIL, type(None)
)


class DatasourcesApi(Operations):
    """Connect the datasource of a dataset, verify the access, list what is new, and store the watermark.

    Every method takes the `CallOptions` (`async_req`, `_return_http_data_only`, `_preload_content`,
    `_request_timeout` and others), some of which change what it returns, and raises

    - ApiException, and its subclasses for 401, 403, 404 and 5xx, if the server refuses or fails,
    - ApiTypeError and ApiValueError if a parameter is invalid,
    - urllib3's MaxRetryError if no response is received, after the retries of `Configuration.retries`.

    A dataset id may be given as a `str`, a time as an `int` of Unix seconds.
    """

    def get_datasource_by_dataset_id(
        self, dataset_id: Union[MongoObjectID, str], **options: Unpack[CallOptions]
    ) -> DatasourceConfig:
        """Get the datasource of a dataset.

        Args:
            dataset_id: ObjectId of the dataset.
            options: see the class.

        Returns:
            The stored configuration, as the class for its type; secrets are masked.

        Raises:
            NotFoundException: the dataset does not exist, or has no datasource (`code` says which).
        """
        return self._call(_GET, options, self._dataset(dataset_id, options))

    def update_datasource_by_dataset_id(
        self,
        dataset_id: Union[MongoObjectID, str],
        datasource_config: Union[DatasourceConfig, dict[str, Any]],
        **options: Unpack[CallOptions],
    ) -> None:
        """Set the datasource of a dataset. The server checks only its form; use verify to test the access.

        Args:
            dataset_id: ObjectId of the dataset.
            datasource_config: the new configuration, or a dict of its members by their Python names. A secret that is
                the mask of a response keeps the stored one.
            options: see the class.

        Raises:
            ApiValueError: the configuration is the placeholder `DatasourceConfig(None)`.
        """
        config = self._parameter(DatasourceConfig, datasource_config, "datasource_config", options)
        if isinstance(config, DatasourceConfig) and "type" not in config:
            raise ApiValueError("The datasource_config is a placeholder: create it with a type", ["datasource_config"])
        return self._call(_UPDATE, options, self._dataset(dataset_id, options), body=config)

    def verify_datasource_by_dataset_id(
        self, dataset_id: Union[MongoObjectID, str], **options: Unpack[CallOptions]
    ) -> DatasourceConfigVerifyData:
        """Test and verify that the configured datasource can be accessed correctly.

        Args:
            dataset_id: ObjectId of the dataset.
            options: see the class.

        Returns:
            A flag for each kind of access, each tested by using it, and the reason for each flag that is false.

        Raises:
            NotFoundException: the dataset does not exist, or has no datasource.
        """
        return self._call(_VERIFY, options, self._dataset(dataset_id, options))

    def get_list_of_raw_samples_from_datasource_by_dataset_id(
        self,
        dataset_id: Union[MongoObjectID, str],
        *,
        _from: Union[Timestamp, int, None] = None,
        to: Union[Timestamp, int, None] = None,
        cursor: Optional[str] = None,
        **options: Unpack[CallOptions],
    ) -> DatasourceRawSamplesData:
        """Get one page of the raw samples of a datasource, ordered by name.

        Args:
            dataset_id: ObjectId of the dataset.
            _from: Unix seconds; lists files of this second and later. Default: 0. Ignored with `cursor`.
            to: Unix seconds; lists files of this second and earlier. Default: now. Ignored with `cursor`.
            cursor: the cursor of the page before. Continue while `has_more` is true.
            options: see the class.

        Returns:
            The page. It can be short or empty even if there are more pages.

        Raises:
            NotFoundException: the dataset does not exist, or has no datasource.
            ServiceException: the store is down or busy.
        """
        query = {
            "from": self._optional(Timestamp, _from, "_from", options),
            "to": self._optional(Timestamp, to, "to", options),
            "cursor": self._optional(str, cursor, "cursor", options),
        }
        return self._call(_LIST, options, self._dataset(dataset_id, options), query)

    def get_datasource_processed_until_timestamp_by_dataset_id(
        self, dataset_id: Union[MongoObjectID, str], **options: Unpack[CallOptions]
    ) -> DatasourceProcessedUntilTimestampResponse:
        """Get the watermark: the second up to which all files are processed; 0 before it is set.

        Args:
            dataset_id: ObjectId of the dataset.
            options: see the class.

        Returns:
            The watermark, in Unix seconds.
        """
        return self._call(_GET_WATERMARK, options, self._dataset(dataset_id, options))

    def update_datasource_processed_until_timestamp_by_dataset_id(
        self,
        dataset_id: Union[MongoObjectID, str],
        datasource_processed_until_timestamp_request: Union[DatasourceProcessedUntilTimestampRequest, dict[str, Any]],
        **options: Unpack[CallOptions],
    ) -> None:
        """Set the watermark. The server writes it to disk before this returns.

        Args:
            dataset_id: ObjectId of the dataset.
            datasource_processed_until_timestamp_request: the watermark in Unix seconds; a lower one than before
                lists files again.
            options: see the class.

        Raises:
            NotFoundException: the dataset does not exist, or has no datasource.
        """
        body = self._parameter(
            DatasourceProcessedUntilTimestampRequest,
            datasource_processed_until_timestamp_request,
            "datasource_processed_until_timestamp_request",
            options,
        )
        return self._call(_UPDATE_WATERMARK, options, self._dataset(dataset_id, options), body=body)
