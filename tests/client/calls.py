"""Use a client as the seed's documentation shows: `python -m tests.client.calls URL`.

Runs with the generated client and with ours; see `outcomes`.
"""

import sys
from functools import partial
from typing import Any

import swagger_client
from swagger_client import models
from swagger_client.api.datasources_api import DatasourcesApi
from tests.client.outcomes import Steps

DATASET = "50000000abcdef1234566789"
OTHERS = {401: "1" * 24, 403: "3" * 24, 404: "4" * 24, 400: "a" * 24, 500: "5" * 24}

# Evaluated one by one, with the names of `models`, and `api`, `client` and `id`.
EXPRESSIONS = [
    # The six operations, in the forms of the documentation.
    "api.get_datasource_by_dataset_id(id)",
    "api.get_datasource_by_dataset_id(dataset_id=id)",
    "api.verify_datasource_by_dataset_id(id)",
    "api.get_datasource_processed_until_timestamp_by_dataset_id(id)",
    "api.get_datasource_processed_until_timestamp_by_dataset_id(id).processed_until_timestamp",
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id)",
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, _from=Timestamp(0), to=Timestamp(1577836800))",
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, _from=5, to=7, cursor='a/b+c d=&ü')",
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, cursor='')",
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id).data[1].file_name",
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id).data[0]['etag']",
    "api.update_datasource_processed_until_timestamp_by_dataset_id(id, "
    "DatasourceProcessedUntilTimestampRequest(processed_until_timestamp=Timestamp(1577836800)))",
    "api.update_datasource_by_dataset_id(id, DatasourceConfigLOCAL(type='DatasourceConfigLOCAL', full_path='a'))",
    "api.update_datasource_by_dataset_id(id, DatasourceConfigS3(type='DatasourceConfigS3', full_path='s3://b/p', "
    "s3_region='eu-central-1', s3_access_key_id='test-key-id', s3_secret_access_key='test-secret'))",
    "api.update_datasource_by_dataset_id(id, DatasourceConfigGCS(type='DatasourceConfigGCS', full_path='b', "
    "gcs_project_id='p', gcs_credentials='{}', thumb_suffix=None))",
    "api.update_datasource_by_dataset_id(id, DatasourceConfigAzure(type='DatasourceConfigAzure', full_path='c/p', "
    "account_name='a', account_key='k'))",
    "api.update_datasource_by_dataset_id(id, DatasourceConfigLIGHTLY(type='DatasourceConfigLIGHTLY', full_path=''))",
    "api.update_datasource_by_dataset_id(id, DatasourceConfig(type='DatasourceConfigLOCAL', full_path='a', more=[1]))",
    "api.update_datasource_by_dataset_id(id, {'type': 'DatasourceConfigLOCAL', 'full_path': 'a'})",
    "api.update_datasource_by_dataset_id(id, DatasourceConfigLOCAL(type='LOCAL', full_path='a'))",
    "api.update_datasource_processed_until_timestamp_by_dataset_id(id, {'processed_until_timestamp': 5})",
    "api.update_datasource_processed_until_timestamp_by_dataset_id(id, {'processed_until_timestamp': Timestamp(5)})",
    "api.update_datasource_processed_until_timestamp_by_dataset_id(id, {'processedUntilTimestamp': 5})",
    "api.update_datasource_by_dataset_id(id, DatasourceConfig(None))",
    # Options.
    "api.get_datasource_processed_until_timestamp_by_dataset_id(id, _return_http_data_only=False)[:2]",
    "api.update_datasource_by_dataset_id(id, DatasourceConfigLOCAL(type='DatasourceConfigLOCAL', full_path='a'), "
    "_return_http_data_only=False)[:2]",
    "api.get_datasource_processed_until_timestamp_by_dataset_id(id, _preload_content=False).data",
    "api.get_datasource_processed_until_timestamp_by_dataset_id(id, _request_timeout=20)",
    "api.get_datasource_processed_until_timestamp_by_dataset_id(id, _request_timeout=(20, 20.5))",
    "api.get_datasource_processed_until_timestamp_by_dataset_id(id, async_req=True).get()",
    "api.get_datasource_by_dataset_id(id, nonsense=1)",
    # Parameters of the wrong type or value.
    "api.get_datasource_by_dataset_id()",
    "api.get_datasource_by_dataset_id(None)",
    "api.get_datasource_by_dataset_id(5)",
    "api.get_datasource_by_dataset_id('not-an-id')",
    "api.get_datasource_by_dataset_id(Timestamp(5))",
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, _from=id)",
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, _from='5')",
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, to=-1)",
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, to=True)",
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, cursor=5)",
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, cursor=None)",
    "api.update_datasource_by_dataset_id(id, None)",
    "api.update_datasource_by_dataset_id(id, 'LOCAL')",
    "api.update_datasource_processed_until_timestamp_by_dataset_id(id, Timestamp(5))",
    # Error responses.
    *(f"api.get_datasource_by_dataset_id('{dataset}')" for dataset in OTHERS.values()),
    # Models.
    "MongoObjectID(id)",
    "MongoObjectID(value=id).value",
    "MongoObjectID(id) == MongoObjectID(id)",
    "MongoObjectID(id) == id",
    "MongoObjectID()",
    "MongoObjectID(5)",
    "MongoObjectID('not-an-id')",
    "MongoObjectID(id, id)",
    "MongoObjectID(id, more=1)",
    "MongoObjectID(id).nothing",
    "MongoObjectID(id).to_dict()",
    "hash(MongoObjectID(id))",
    "Timestamp(0)",
    "Timestamp(-1)",
    "Timestamp('5')",
    "Timestamp(5.0)",
    "Timestamp(True)",
    "Timestamp(None)",
    "setattr(Timestamp(5), 'value', -1)",
    "setattr(Timestamp(5), 'more', 1)",
    "ApiErrorCode('NOT_FOUND')",
    "ApiErrorCode('NO_SUCH_CODE')",
    "ApiErrorResponse(ApiErrorCode('NOT_FOUND'), 'text', 'request')",
    "ApiErrorResponse('NOT_FOUND', 'text', 'request')",
    "DatasourceProcessedUntilTimestampRequest(Timestamp(5))",
    "DatasourceProcessedUntilTimestampRequest()",
    "DatasourceProcessedUntilTimestampRequest(5)",
    "DatasourceProcessedUntilTimestampRequest(processed_until_timestamp='5')",
    "DatasourceProcessedUntilTimestampRequest(Timestamp(5))['processed_until_timestamp'].value",
    "DatasourceProcessedUntilTimestampRequest(Timestamp(5))['processedUntilTimestamp']",
    "DatasourceRawSamplesDataRow('a', 'b')",
    "DatasourceRawSamplesDataRow(read_url='b', file_name='a').to_dict()",
    "DatasourceRawSamplesDataRow('a', 'b', 'c')",
    "DatasourceRawSamplesDataRow('a', 5)",
    "DatasourceRawSamplesDataRow('a', 'b', more={'x': 1}).to_dict()",
    "DatasourceRawSamplesDataRow('a', 'b', more=object())",
    "DatasourceRawSamplesDataRow('a', 'b') == DatasourceRawSamplesDataRow('a', 'b')",
    "DatasourceRawSamplesDataRow('a', 'b') == DatasourceRawSamplesDataRow('a', 'c')",
    "DatasourceRawSamplesDataRow('a', 'b') != DatasourceRawSamplesDataRow('a', 'b', more=1)",
    "DatasourceRawSamplesDataRow('a', 'b').to_str()",
    "'file_name' in DatasourceRawSamplesDataRow('a', 'b')",
    "'fileName' in DatasourceRawSamplesDataRow('a', 'b')",
    "DatasourceRawSamplesDataRow('a', 'b').get('nothing', 4)",
    "hash(DatasourceRawSamplesDataRow('a', 'b'))",
    "setattr(DatasourceRawSamplesDataRow('a', 'b'), 'file_name', 5)",
    "setattr(DatasourceRawSamplesDataRow('a', 'b'), 'more', 5)",
    "DatasourceRawSamplesDataRow('a', 'b').__setitem__(5, 5)",
    "DatasourceRawSamplesData(True, 'c', [DatasourceRawSamplesDataRow('a', 'b')]).to_dict()",
    "DatasourceRawSamplesData(True, 'c', [DatasourceRawSamplesDataRow('a', 'b')])",
    "DatasourceRawSamplesData('yes', 'c', [])",
    "DatasourceRawSamplesData(True, 'c', [5])",
    "DatasourceRawSamplesData(True, 'c', {})",
    "DatasourceConfigVerifyData(True, True, False)",
    "DatasourceConfigVerifyData(True, True, False).can_overwrite",
    "DatasourceConfigVerifyData(True, True, 1)",
    "DatasourceConfig()",
    "DatasourceConfig(type='FTP', full_path='a')",
    "DatasourceConfigBase(type='DatasourceConfigLOCAL', full_path='a')",
    "DatasourceConfigLOCAL('LOCAL')",
    "DatasourceConfigLOCAL(type='DatasourceConfigLOCAL')",
    "DatasourceConfigLOCAL(type='DatasourceConfigLOCAL', full_path='../a')",
    "DatasourceConfigLOCAL(type='DatasourceConfigLOCAL', full_path=5)",
    "DatasourceConfigLOCAL(type='DatasourceConfigLOCAL', full_path='a', web_server_location='ftp://x')",
    "DatasourceConfigLOCAL(type='DatasourceConfigLOCAL', full_path='a', web_server_location='http://x').to_dict()",
    "DatasourceConfigLOCAL(type='DatasourceConfigLOCAL', full_path='a').web_server_location",
    "DatasourceConfigLOCAL(type='DatasourceConfigLOCAL', full_path='a', id=id).id",
    "DatasourceConfigLOCAL(type='DatasourceConfigLOCAL', full_path='a', id='x')",
    "DatasourceConfigLOCAL(type='DatasourceConfigS3', full_path='a')",
    "setattr(DatasourceConfigLOCAL(type='DatasourceConfigLOCAL', full_path='a'), 'full_path', 5)",
    "setattr(DatasourceConfigLOCAL(type='DatasourceConfigLOCAL', full_path='a'), 'full_path', '/a')",
    "DatasourceConfigAzure(type='DatasourceConfigAzure', full_path='c', account_name='', account_key='k')",
    "client.sanitize_for_serialization(DatasourceConfigLOCAL(type='DatasourceConfigLOCAL', full_path='a', b_c=1))",
    "DatasourceConfigAzure(type='DatasourceConfigAzure', full_path='c', account_name='a', account_key='k')",
]


def main(url: str) -> None:
    configuration = swagger_client.Configuration(host=url, api_key={"ApiKeyAuth": "a+b/c=="}, access_token="x.y.z")
    steps = Steps()
    client = swagger_client.ApiClient(configuration)
    names = {**{name: getattr(models, name) for name in dir(models)}, "api": DatasourcesApi(client), "client": client}
    names["id"] = DATASET

    def evaluated(expression: str) -> Any:
        client.set_default_header("X-Step", str(steps.number))
        return eval(expression, {}, names)

    with client:
        steps.run((expression, partial(evaluated, expression)) for expression in EXPRESSIONS)


if __name__ == "__main__":
    main(sys.argv[1])
