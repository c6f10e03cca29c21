"""DatasetsApi: a dataset from creation to deletion on a live server, and the requests and responses."""

from __future__ import annotations

import copy
import pickle
import time
from collections.abc import Iterator
from typing import Any

import pytest

import swagger_client
from swagger_client import ApiException, ApiTypeError, ApiValueError, ForbiddenException, NotFoundException
from swagger_client.api.datasets_api import DatasetsApi
from swagger_client.api.datasources_api import DatasourcesApi
from swagger_client.model.dataset_create_request import DatasetCreateRequest
from swagger_client.model.dataset_data import DatasetData
from swagger_client.model.dataset_name import DatasetName
from swagger_client.model.dataset_type import DatasetType
from swagger_client.model.dataset_update_request import DatasetUpdateRequest
from swagger_client.model.datasource_config_local import DatasourceConfigLOCAL
from swagger_client.model.image_type import ImageType
from swagger_client.model.mongo_object_id import MongoObjectID
from tests.client.server import DATASET, Answer, Scripted, failure
from tests.live import Live

DATA = {
    "id": DATASET,
    "name": "front-camera",
    "userId": "ada",
    "type": "Images",
    "nSamples": 0,
    "sizeInBytes": 0,
    "createdAt": 1577836800000,
    "lastModifiedAt": 1577836800001,
}


@pytest.fixture
def owner(live: Live, request: pytest.FixtureRequest) -> Iterator[swagger_client.ApiClient]:
    """A client of a user that no other test has."""
    token = live.headwater("token", "create", "--user", f"user of {request.node.name}")
    with swagger_client.ApiClient(swagger_client.Configuration(live.url, {"ApiKeyAuth": token})) as api_client:
        yield api_client


@pytest.fixture
def datasets(configuration: swagger_client.Configuration) -> Iterator[DatasetsApi]:
    """The API of a scripted server."""
    with swagger_client.ApiClient(configuration) as api_client:
        yield DatasetsApi(api_client)


def test_a_dataset_is_created_found_renamed_and_deleted(owner: swagger_client.ApiClient) -> None:
    api = DatasetsApi(owner)
    assert api.get_datasets() == []
    made = api.create_dataset(DatasetCreateRequest("front-camera", type="Videos", img_type="full", creator="USER_PIP"))
    child = api.create_dataset(DatasetCreateRequest(DatasetName("child of it"), parent_dataset_id=made.id))

    found = api.get_dataset_by_id(made.id)
    assert (found.id, found.name.value, found.type.value) == (made.id, "front-camera", "Videos")
    assert found.img_type == ImageType("full")
    assert abs(found.created_at.value / 1000 - time.time()) < 60, "milliseconds"
    assert api.get_dataset_by_id(child.id.value).parent_dataset_id == made.id
    assert [each.id for each in api.get_datasets()] == [made.id, child.id]
    assert [each.id for each in api.get_datasets(page_size=1, page_offset=1)] == [child.id]
    assert api.get_datasets(shared=True) == []

    api.update_dataset_by_id(made.id, DatasetUpdateRequest("rear camera"))
    assert api.get_dataset_by_id(made.id).name.value == "rear camera"
    api.delete_dataset_by_id(made.id)
    with pytest.raises(NotFoundException) as unknown:
        api.get_dataset_by_id(made.id)
    assert unknown.value.code == "DATASET_UNKNOWN"
    api.delete_dataset_by_id(child.id, force=True)
    assert api.get_datasets() == []


def test_a_dataset_has_the_ids_of_its_datasources(owner: swagger_client.ApiClient) -> None:
    api, sources = DatasetsApi(owner), DatasourcesApi(owner)
    dataset_id = api.create_dataset({"name": "with a datasource"}).id
    assert api.get_dataset_by_id(dataset_id).get("datasources", []) == []
    sources.update_datasource_by_dataset_id(dataset_id, DatasourceConfigLOCAL(type="LOCAL", full_path=""))
    sources.update_datasource_processed_until_timestamp_by_dataset_id(dataset_id, {"processed_until_timestamp": 5})
    found = api.get_dataset_by_id(dataset_id)
    assert [each.value for each in found.datasources] == [sources.get_datasource_by_dataset_id(dataset_id).id]
    assert found.datasource_processed_until_timestamp.value == 5


def test_a_dataset_name_is_unique(owner: swagger_client.ApiClient) -> None:
    api = DatasetsApi(owner)
    api.create_dataset(DatasetCreateRequest("front-camera"))
    other = api.create_dataset(DatasetCreateRequest("rear-camera"))
    for call in (
        lambda: api.create_dataset(DatasetCreateRequest("front-camera")),
        lambda: api.update_dataset_by_id(other.id, DatasetUpdateRequest("front-camera")),
    ):
        with pytest.raises(ApiException) as taken:
            call()
        assert (taken.value.status, taken.value.code) == (400, "DATASET_NAME_EXISTS")


def test_datasets_of_other_users_are_inaccessible(live: Live, owner: swagger_client.ApiClient) -> None:
    api, foreign = DatasetsApi(owner), live.dataset()
    with pytest.raises(ForbiddenException):
        api.get_dataset_by_id(foreign)
    with pytest.raises(ForbiddenException):
        api.update_dataset_by_id(foreign, {"name": "mine now"})
    with pytest.raises(ForbiddenException):
        api.delete_dataset_by_id(foreign)
    assert live.call("GET", f"/v1/datasets/{foreign}").status == 200


def test_the_request_that_creates_a_dataset(server: Scripted, datasets: DatasetsApi) -> None:
    server.script(Answer(201, {"id": DATASET}))
    request = DatasetCreateRequest(
        "front-camera", type=DatasetType("Crops"), img_type="meta", parent_dataset_id=DATASET
    )
    assert isinstance(request.name, DatasetName)
    data, status, _ = datasets.create_dataset(request, _return_http_data_only=False)  # type: ignore[misc]
    assert (data.id.value, status) == (DATASET, 201)  # type: ignore[has-type]
    assert (server.request.method, server.request.path) == ("POST", "/v1/datasets")
    expected = {"name": "front-camera", "type": "Crops", "imgType": "meta", "parentDatasetId": DATASET}
    assert server.request.json == expected


def test_the_request_that_lists_datasets(server: Scripted, datasets: DatasetsApi) -> None:
    server.script(Answer(json=[]))
    assert datasets.get_datasets() == []
    datasets.get_datasets(
        shared=False,
        exclude_playground=True,
        get_assets_of_team=False,
        get_assets_of_team_inclusive_self=True,
        page_size=1,
        page_offset=0,
    )
    first, second = server.requests
    assert first.raw_query == "token=token-of-a-test"
    assert second.query[:-1] == [
        ("shared", "False"),
        ("excludePlayground", "True"),
        ("getAssetsOfTeam", "False"),
        ("getAssetsOfTeamInclusiveSelf", "True"),
        ("pageSize", "1"),
        ("pageOffset", "0"),
    ]


def test_a_dataset_from_a_newer_server_can_be_read(server: Scripted, datasets: DatasetsApi) -> None:
    newer = {**DATA, "type": "Sounds", "accessType": "READ", "accessRole": "0b1111111", "colour": "red"}
    server.script(Answer(json=[DATA, newer]))
    plain, found = datasets.get_datasets()
    assert (found.type.value, found.access_type.value, found["colour"]) == ("Sounds", "READ", "red")
    assert "access_type" not in plain
    assert plain.to_dict()["last_modified_at"] == 1577836800001
    for copied in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert copied == found
        assert isinstance(copied, DatasetData)


@pytest.mark.parametrize(
    "answer", [{"id": DATASET}, [{"id": DATASET}], [5], {}, [{**DATA, "createdAt": "2020"}], [{**DATA, "name": None}]]
)
def test_a_response_without_a_list_of_datasets_is_an_error(
    server: Scripted, datasets: DatasetsApi, answer: Any
) -> None:
    server.script(Answer(json=answer))
    with pytest.raises(ApiTypeError):
        datasets.get_datasets()


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (ApiValueError, lambda api: api.get_datasets(page_size=0)),
        (ApiValueError, lambda api: api.get_datasets(page_size=1_000_000_000)),
        (ApiValueError, lambda api: api.get_datasets(page_offset=-1)),
        (ApiTypeError, lambda api: api.get_datasets(page_size="5")),
        (ApiTypeError, lambda api: api.get_datasets(page_offset=True)),
        (ApiTypeError, lambda api: api.get_datasets(shared="True")),
        (ApiTypeError, lambda api: api.get_datasets(get_assets_of_team_inclusive_self=1)),
        (ApiTypeError, lambda api: api.get_datasets(nonsense=1)),
        (ApiTypeError, lambda api: api.delete_dataset_by_id(DATASET, force="yes")),
        (ApiValueError, lambda api: api.get_dataset_by_id("front-camera")),
        (ApiTypeError, lambda api: api.create_dataset("front-camera")),
        (ApiValueError, lambda api: api.create_dataset({"name": "x"})),
        (ApiValueError, lambda api: api.create_dataset({"name": "front", "type": "Sounds"})),
        (ApiTypeError, lambda api: api.create_dataset({"type": "Images"})),
        (ApiTypeError, lambda api: api.update_dataset_by_id(DATASET, None)),
        (ApiValueError, lambda api: DatasetName("x" * 256)),
        (ApiValueError, lambda api: DatasetName(" front")),
        (ApiValueError, lambda api: DatasetCreateRequest("front", creator="NOBODY")),
        (ApiTypeError, lambda api: DatasetCreateRequest("front", type=ImageType("full"))),  # type: ignore[arg-type]
        (ApiTypeError, lambda api: DatasetUpdateRequest(5)),  # type: ignore[arg-type]
    ],
)
def test_invalid_parameters_are_refused_before_a_request(
    server: Scripted, datasets: DatasetsApi, error: type[Exception], call: Any
) -> None:
    with pytest.raises(error):
        call(datasets)
    assert server.requests == []


def test_creating_a_dataset_is_not_retried(server: Scripted, datasets: DatasetsApi) -> None:
    server.script(
        failure(503, "MALFORMED_RESPONSE", "The catalog is down.", Retry_After="0"), Answer(201, {"id": DATASET})
    )
    with pytest.raises(swagger_client.ServiceException):
        datasets.create_dataset(DatasetCreateRequest("front-camera"))
    assert len(server.requests) == 1


def test_deleting_a_dataset_is_retried(server: Scripted, datasets: DatasetsApi) -> None:
    server.script(failure(503, "MALFORMED_RESPONSE", "The catalog is down.", Retry_After="0"), Answer())
    datasets.delete_dataset_by_id(MongoObjectID(DATASET))
    assert [(each.method, each.path) for each in server.requests] == [("DELETE", f"/v1/datasets/{DATASET}")] * 2
