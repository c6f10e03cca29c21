"""The operations on datasets. Every datasource belongs to a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Union

from swagger_client.api.operations import Operation, Operations
from swagger_client.exceptions import ApiValueError
from swagger_client.model.create_entity_response import CreateEntityResponse
from swagger_client.model.dataset_create_request import DatasetCreateRequest
from swagger_client.model.dataset_data import DatasetData
from swagger_client.model.dataset_update_request import DatasetUpdateRequest
from swagger_client.model.mongo_object_id import MongoObjectID

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from swagger_client.api_client import CallOptions

_DATASETS = "/v1/datasets"
_DATASET = f"{_DATASETS}/{{datasetId}}"

_CREATE = Operation("create_dataset", "POST", _DATASETS, CreateEntityResponse)
_GET = Operation("get_dataset_by_id", "GET", _DATASET, DatasetData)
_GET_ALL = Operation("get_datasets", "GET", _DATASETS, list[DatasetData])
_UPDATE = Operation("update_dataset_by_id", "PUT", _DATASET, type(None))
_DELETE = Operation("delete_dataset_by_id", "DELETE", _DATASET, type(None))

_MAX_PAGE_NUMBER = 999_999_999
"""The largest page size and offset that the contract allows."""


class DatasetsApi(Operations):
    """Create, find, rename and delete the datasets of the caller. Every datasource belongs to a dataset.

    Every method takes the `CallOptions` (`async_req`, `_return_http_data_only`, `_preload_content`,
    `_request_timeout` and others), some of which change what it returns, and raises

    - ApiException, and its subclasses for 401, 403, 404 and 5xx, if the server refuses or fails,
    - ApiTypeError and ApiValueError if a parameter is invalid,
    - urllib3's MaxRetryError if no response is received, after the retries of `Configuration.retries`; `create_dataset`
      is sent only once, because a retry could find the name in use by the first attempt.

    A dataset id may be given as a `str`.
    """

    def create_dataset(
        self, dataset_create_request: Union[DatasetCreateRequest, dict[str, Any]], **options: Unpack[CallOptions]
    ) -> CreateEntityResponse:
        """Create a dataset.

        Args:
            dataset_create_request: its name and other properties; or a dict of these.
            options: see the class.

        Returns:
            The id of the new dataset.

        Raises:
            ApiException: 400 with code `DATASET_NAME_EXISTS`: another dataset of the same owner has this name.
        """
        body = self._parameter(DatasetCreateRequest, dataset_create_request, "dataset_create_request", options)
        return self._call(_CREATE, options, {}, body=body)

    def get_dataset_by_id(self, dataset_id: Union[MongoObjectID, str], **options: Unpack[CallOptions]) -> DatasetData:
        """Get a dataset.

        Args:
            dataset_id: ObjectId of the dataset.
            options: see the class.

        Returns:
            The dataset; `datasources` has the ids of its datasources.

        Raises:
            NotFoundException: the dataset does not exist.
            ForbiddenException: it belongs to someone else.
        """
        return self._call(_GET, options, self._dataset(dataset_id, options))

    def get_datasets(
        self,
        *,
        shared: Optional[bool] = None,
        exclude_playground: Optional[bool] = None,
        get_assets_of_team: Optional[bool] = None,
        get_assets_of_team_inclusive_self: Optional[bool] = None,
        page_size: Optional[int] = None,
        page_offset: Optional[int] = None,
        **options: Unpack[CallOptions],
    ) -> list[DatasetData]:
        """Get the datasets of the caller, in order of creation.

        Args:
            shared: True for the datasets that others share instead; empty on a Headwater server, which has no sharing.
            exclude_playground: has no effect on a Headwater server.
            get_assets_of_team: True for the datasets of the team instead; empty on a Headwater server, which has no
                teams.
            get_assets_of_team_inclusive_self: True for the datasets of the team and of the caller.
            page_size: the largest number of datasets to return, 1 or more. Default: all.
            page_offset: how many datasets (not pages) to skip.
            options: see the class.

        Returns:
            The datasets; the list can be empty.
        """
        query = {
            "shared": self._optional(bool, shared, "shared", options),
            "excludePlayground": self._optional(bool, exclude_playground, "exclude_playground", options),
            "getAssetsOfTeam": self._optional(bool, get_assets_of_team, "get_assets_of_team", options),
            "getAssetsOfTeamInclusiveSelf": self._optional(
                bool, get_assets_of_team_inclusive_self, "get_assets_of_team_inclusive_self", options
            ),
            "pageSize": self._optional(int, page_size, "page_size", options),
            "pageOffset": self._optional(int, page_offset, "page_offset", options),
        }
        _check_range("page_size", query["pageSize"], 1)
        _check_range("page_offset", query["pageOffset"], 0)
        return self._call(_GET_ALL, options, {}, query)

    def update_dataset_by_id(
        self,
        dataset_id: Union[MongoObjectID, str],
        dataset_update_request: Union[DatasetUpdateRequest, dict[str, Any]],
        **options: Unpack[CallOptions],
    ) -> None:
        """Rename a dataset.

        Args:
            dataset_id: ObjectId of the dataset.
            dataset_update_request: the new name, or a dict with it.
            options: see the class.

        Raises:
            NotFoundException: the dataset does not exist.
            ForbiddenException: it belongs to someone else.
            ApiException: 400 with code `DATASET_NAME_EXISTS`: another dataset of the same owner has this name.
        """
        body = self._parameter(DatasetUpdateRequest, dataset_update_request, "dataset_update_request", options)
        return self._call(_UPDATE, options, self._dataset(dataset_id, options), body=body)

    def delete_dataset_by_id(
        self,
        dataset_id: Union[MongoObjectID, str],
        *,
        force: Optional[bool] = None,
        **options: Unpack[CallOptions],
    ) -> None:
        """Delete a dataset with its datasource and watermark. Files in stores are not deleted.

        Args:
            dataset_id: ObjectId of the dataset.
            force: has no effect on a Headwater server: a dataset with a datasource can be deleted without it.
            options: see the class.

        Raises:
            NotFoundException: the dataset does not exist, or an earlier attempt of the same call deleted it and the
                response was lost.
            ForbiddenException: it belongs to someone else.
        """
        query = {"force": self._optional(bool, force, "force", options)}
        return self._call(_DELETE, options, self._dataset(dataset_id, options), query)


def _check_range(name: str, value: Any, minimum: int) -> None:
    if isinstance(value, int) and not minimum <= value <= _MAX_PAGE_NUMBER:
        raise ApiValueError(f"Invalid value for `{name}`, must be a value from {minimum} to {_MAX_PAGE_NUMBER}")
