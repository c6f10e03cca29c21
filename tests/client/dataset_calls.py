"""Use a client's DatasetsApi: `python -m tests.client.dataset_calls URL TOKEN FOREIGN-DATASET`.

Runs with the generated client and with ours; see `outcomes`.
"""

import sys
from functools import partial
from typing import Any

import swagger_client
from swagger_client import models
from swagger_client.api.datasets_api import DatasetsApi
from swagger_client.api.datasources_api import DatasourcesApi
from tests.client.outcomes import Steps

# Evaluated in this order, with the names of `models`, and `api`, `sources`, `client`, `absent` and `foreign`. Later
# steps can use the result of a step with a name.
STEPS = [
    # Create.
    ("", "api.get_datasets()"),
    ("made", "api.create_dataset(DatasetCreateRequest(DatasetName('front-camera')))"),
    ("front", "made.id"),
    ("", "made"),
    (
        "full",
        "api.create_dataset(dataset_create_request=DatasetCreateRequest(name=DatasetName('rear camera_2'), "
        "type=DatasetType('Videos'), img_type=ImageType('thumbnail'), creator=DatasetCreator('USER_PIP'), "
        "parent_dataset_id=front)).id",
    ),
    ("", "api.create_dataset(DatasetCreateRequest(DatasetName('with more'), nonsense=[1, 'a']))"),
    ("", "api.create_dataset(DatasetCreateRequest(DatasetName('front-camera')))"),
    ("", "api.create_dataset({'name': DatasetName('from a dict'), 'type': DatasetType('Crops')})"),
    ("", "api.create_dataset({'name': 'from plain values', 'img_type': 'meta', 'parent_dataset_id': front.value})"),
    ("", "api.create_dataset({'name': 'x', 'imgType': 'meta'})"),
    ("", "api.create_dataset(DatasetCreateRequest(DatasetName('status')), _return_http_data_only=False)[:2]"),
    ("", "api.create_dataset(DatasetCreateRequest(DatasetName('raw')), _preload_content=False).status"),
    ("", "api.create_dataset(DatasetCreateRequest(DatasetName('later')), async_req=True).get()"),
    ("", "api.create_dataset(DatasetCreateRequest(DatasetName('orphan'), parent_dataset_id=MongoObjectID(absent)))"),
    ("", "api.create_dataset(DatasetCreateRequest(DatasetName('stolen'), parent_dataset_id=MongoObjectID(foreign)))"),
    ("", "api.create_dataset()"),
    ("", "api.create_dataset(None)"),
    ("", "api.create_dataset('front-camera')"),
    ("", "api.create_dataset(DatasetName('front-camera'))"),
    ("", "api.create_dataset(DatasetUpdateRequest(DatasetName('front-camera')))"),
    ("", "api.create_dataset(DatasetCreateRequest(DatasetName('name')), nonsense=1)"),
    # Find.
    ("", "api.get_dataset_by_id(front)"),
    ("", "api.get_dataset_by_id(dataset_id=full)"),
    ("", "api.get_dataset_by_id(full.value).img_type.value"),
    ("", "api.get_dataset_by_id(full).parent_dataset_id == front"),
    ("", "api.get_dataset_by_id(full).to_dict()"),
    ("", "api.get_dataset_by_id(front).img_type"),
    ("", "api.get_dataset_by_id(front)['name'].value"),
    ("", "type(api.get_dataset_by_id(front).created_at).__name__"),
    ("config", "DatasourceConfigLIGHTLY(type='DatasourceConfigLIGHTLY', full_path='')"),
    ("", "sources.update_datasource_by_dataset_id(front, config)"),
    ("", "len(api.get_dataset_by_id(front).datasources)"),
    ("", "api.get_dataset_by_id(front, _return_http_data_only=False)[1]"),
    ("", "api.get_dataset_by_id(MongoObjectID(absent))"),
    ("", "api.get_dataset_by_id(MongoObjectID(foreign))"),
    ("", "api.get_dataset_by_id('not-an-id')"),
    ("", "api.get_dataset_by_id(5)"),
    ("", "api.get_dataset_by_id()"),
    ("", "[each.name.value for each in api.get_datasets()]"),
    ("", "api.get_datasets(page_size=1)"),
    ("", "[each.name.value for each in api.get_datasets(page_size=2, page_offset=1)]"),
    ("", "api.get_datasets(page_offset=999999999)"),
    ("", "api.get_datasets(shared=True)"),
    ("", "len(api.get_datasets(shared=False, exclude_playground=True, get_assets_of_team=False))"),
    ("", "len(api.get_datasets(get_assets_of_team=True))"),
    ("", "len(api.get_datasets(get_assets_of_team_inclusive_self=True))"),
    ("", "api.get_datasets(page_size=1, _return_http_data_only=False)[1]"),
    ("", "len(api.get_datasets(async_req=True).get())"),
    ("", "api.get_datasets(page_size=0)"),
    ("", "api.get_datasets(page_size=1000000000)"),
    ("", "api.get_datasets(page_size='5')"),
    ("", "api.get_datasets(page_size=1.0)"),
    ("", "api.get_datasets(page_size=True)"),
    ("", "api.get_datasets(page_size=None)"),
    ("", "api.get_datasets(page_offset=-1)"),
    ("", "api.get_datasets(shared='True')"),
    ("", "api.get_datasets(shared=1)"),
    ("", "api.get_datasets(True)"),
    ("", "api.get_datasets(nonsense=1)"),
    # Rename.
    ("", "api.update_dataset_by_id(front, DatasetUpdateRequest(DatasetName('front camera')))"),
    ("", "api.update_dataset_by_id(front.value, {'name': 'front-camera 2'})"),
    ("taken", "DatasetUpdateRequest(name=DatasetName('rear camera_2'))"),
    ("", "api.update_dataset_by_id(front, dataset_update_request=taken)"),
    ("", "api.get_dataset_by_id(front).name"),
    (
        "",
        "api.update_dataset_by_id(front, DatasetUpdateRequest(DatasetName('nn n')), _return_http_data_only=False)[:2]",
    ),
    ("", "api.update_dataset_by_id(MongoObjectID(absent), DatasetUpdateRequest(DatasetName('front camera')))"),
    ("", "api.update_dataset_by_id(MongoObjectID(foreign), DatasetUpdateRequest(DatasetName('front camera')))"),
    ("", "api.update_dataset_by_id(front)"),
    ("", "api.update_dataset_by_id(front, 'front camera')"),
    ("", "api.update_dataset_by_id(front, None)"),
    # Delete.
    ("", "api.delete_dataset_by_id(front)"),
    ("", "api.get_dataset_by_id(front)"),
    ("", "api.delete_dataset_by_id(front)"),
    ("", "api.delete_dataset_by_id(full, force=True)"),
    ("", "api.delete_dataset_by_id(MongoObjectID(foreign))"),
    ("", "api.delete_dataset_by_id(full.value, force='yes')"),
    ("", "api.delete_dataset_by_id(full, force=None)"),
    ("", "api.delete_dataset_by_id()"),
    ("", "[api.delete_dataset_by_id(each.id, force=False) for each in api.get_datasets(page_size=2)]"),
    ("", "len(api.get_datasets())"),
    # Models.
    ("", "DatasetName('front-camera').to_str()"),
    ("", "DatasetName('x')"),
    ("", "DatasetName('-' * 5)"),
    ("", "DatasetName('x' * 256)"),
    ("", "DatasetName(5)"),
    ("", "DatasetType('Pictures')"),
    ("", "DatasetType('Images') == DatasetType('Images')"),
    ("", "DatasetType('Images') == 'Images'"),
    ("", "ImageType('big')"),
    ("", "ImageType()"),
    ("", "DatasetCreator('NOBODY')"),
    ("", "SharedAccessType('WRITE').value"),
    ("", "SharedAccessType('READ')"),
    ("", "TimestampMilliseconds(-1)"),
    ("", "TimestampMilliseconds(1577836800000).value"),
    ("", "TimestampMilliseconds(1.5)"),
    ("", "CreateEntityResponse(MongoObjectID(absent))"),
    ("", "CreateEntityResponse()"),
    ("", "DatasetUpdateRequest(DatasetName('front')).to_dict()"),
    ("", "DatasetUpdateRequest()"),
    ("", "DatasetUpdateRequest('front')"),
    ("", "DatasetCreateRequest(DatasetName('front'), DatasetType('Images'))"),
    ("", "DatasetCreateRequest(DatasetName('front'), type='Images')"),
    ("", "DatasetCreateRequest(DatasetName('front'), img_type=DatasetType('Images'))"),
    ("", "DatasetCreateRequest(DatasetName('front')).type"),
    ("", "DatasetCreateRequest(DatasetName('front'), type=DatasetType('Crops')).to_str()"),
    ("child", "DatasetCreateRequest(DatasetName('front'), parent_dataset_id=MongoObjectID(absent))"),
    ("", "client.sanitize_for_serialization(child)"),
    (
        "data",
        "DatasetData(MongoObjectID(absent), DatasetName('front'), 'ada', DatasetType('Images'), 0, 0, "
        "TimestampMilliseconds(5), TimestampMilliseconds(6), access_role='0b000000', "
        "datasources=[MongoObjectID(absent)])",
    ),
    ("", "data.to_str()"),
    ("", "client.sanitize_for_serialization(data)"),
    ("", "data.original_dataset_id"),
    ("", "setattr(data, 'access_role', '0b2')"),
    ("", "setattr(data, 'n_samples', -1)"),
    ("", "setattr(data, 'datasources', ['x'])"),
    ("", "setattr(data, 'created_at', 5)"),
]


def main(url: str, token: str, foreign: str) -> None:
    configuration = swagger_client.Configuration(host=url, api_key={"ApiKeyAuth": token}, access_token=token)
    steps = Steps()
    client = swagger_client.ApiClient(configuration)
    names: dict[str, Any] = {name: getattr(models, name) for name in dir(models)}
    names |= {"api": DatasetsApi(client), "sources": DatasourcesApi(client), "client": client}
    names |= {"absent": "0" * 24, "foreign": foreign}

    def evaluated(keep: str, expression: str) -> Any:
        client.set_default_header("X-Step", str(steps.number))
        value = eval(expression, {}, names)
        if keep:
            names[keep] = value
        return value

    with client:
        steps.run((f"{number} {step[1]}", partial(evaluated, *step)) for number, step in enumerate(STEPS))


if __name__ == "__main__":
    main(*sys.argv[1:])
