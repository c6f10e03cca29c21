"""Datasets: what a datasource belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Union

from swagger_client.api.operations import Operations
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

_MOST = 999_999_999
"""The largest page size and offset that the contract allows."""


class DatasetsApi(Operations):
    """The datasets of the one who asks: make, find, rename and delete them. A datasource needs a dataset.

    Every method takes the `CallOptions` (`async_req`, `_return_http_data_only`, `_preload_content`,
    `_request_timeout` and others), which change what it returns as they say, and raises

    - ApiException, and its subclasses for 401, 403, 404 and 5xx, when the server refuses or fails,
    - ApiTypeError and ApiValueError when a parameter is not as documented,
    - urllib3's MaxRetryError when no answer came, after as many tries as `Configuration.retries` says; `create_dataset`
      is sent once only, because a repetition could find the name taken by the first.

    A dataset id may be given as a `str`.
    """

    def create_dataset(
        self, dataset_create_request: Union[DatasetCreateRequest, dict[str, Any]], **options: Unpack[CallOptions]
    ) -> CreateEntityResponse:
        """Make a dataset.

        Args:
            dataset_create_request: its name, and what else is to be said of it; or a dict of these.
            options: see the class.

        Returns:
            The id of the new dataset.

        Raises:
            ApiException: 400 with code `DATASET_NAME_EXISTS`: another dataset of the same owner has this name.
        """
        body = self._parameter(DatasetCreateRequest, dataset_create_request, "dataset_create_request", options)
        return self._call("create_dataset", "POST", _DATASETS, CreateEntityResponse, options, {}, body=body)

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
        return self._call(
            "get_dataset_by_id", "GET", _DATASET, DatasetData, options, self._dataset(dataset_id, options)
        )

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
        """Get one's datasets, in the order in which they were made.

        Args:
            shared: True for those that others have shared instead; a Headwater server has no sharing, so for none.
            exclude_playground: changes nothing at a Headwater server.
            get_assets_of_team: True for those of one's team instead; a Headwater server has no teams, so for none.
            get_assets_of_team_inclusive_self: True for those of one's team and one's own.
            page_size: the most datasets to get, from 1 on. Default: all of them.
            page_offset: how many datasets, not pages, to pass over.
            options: see the class.

        Returns:
            The datasets, possibly none.
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
        _check_bounds("page_size", page_size, 1)
        _check_bounds("page_offset", page_offset, 0)
        return self._call("get_datasets", "GET", _DATASETS, list[DatasetData], options, {}, query)

    def update_dataset_by_id(
        self,
        dataset_id: Union[MongoObjectID, str],
        dataset_update_request: Union[DatasetUpdateRequest, dict[str, Any]],
        **options: Unpack[CallOptions],
    ) -> None:
        """Give a dataset another name.

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
        return self._call(
            "update_dataset_by_id", "PUT", _DATASET, type(None), options, self._dataset(dataset_id, options), body=body
        )

    def delete_dataset_by_id(
        self,
        dataset_id: Union[MongoObjectID, str],
        *,
        force: Optional[bool] = None,
        **options: Unpack[CallOptions],
    ) -> None:
        """Delete a dataset, with its datasource and watermark. No file in any store is touched.

        Args:
            dataset_id: ObjectId of the dataset.
            force: changes nothing at a Headwater server: a dataset with a datasource can be deleted without it.
            options: see the class.

        Raises:
            NotFoundException: the dataset does not exist; also where an earlier try of the same call deleted it and
                its answer was lost.
            ForbiddenException: it belongs to someone else.
        """
        query = {"force": self._optional(bool, force, "force", options)}
        return self._call(
            "delete_dataset_by_id", "DELETE", _DATASET, type(None), options, self._dataset(dataset_id, options), query
        )


def _check_bounds(name: str, value: Any, least: int) -> None:
    if isinstance(value, int) and not least <= value <= _MOST:
        raise ApiValueError(f"Invalid value for `{name}`, must be a value from {least} to {_MOST}")
