"""Use the six operations on a live server: `python -m tests.client.live_calls URL TOKEN DATASET FOREIGN FOLDER`.

Runs with the generated client and with ours, each with its own dataset; see `outcomes`.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import swagger_client
from swagger_client import models
from swagger_client.api.datasources_api import DatasourcesApi
from tests.client.outcomes import Steps

ABSENT = "0" * 24
LOCAL = "DatasourceConfigLOCAL(type='DatasourceConfigLOCAL', full_path=folder)"

# Evaluated one by one, with the names of `models`, and `api`, `stranger` (with an invalid token), `id`, `foreign`,
# `absent`, `folder`, `names` and `walk`.
EXPRESSIONS = [
    # Without a datasource.
    "api.get_datasource_by_dataset_id(id)",
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id)",
    "api.verify_datasource_by_dataset_id(id)",
    "api.get_datasource_processed_until_timestamp_by_dataset_id(id)",
    "api.update_datasource_processed_until_timestamp_by_dataset_id(id, "
    "DatasourceProcessedUntilTimestampRequest(Timestamp(5)))",
    # Configure, verify.
    f"api.update_datasource_by_dataset_id(id, {LOCAL})",
    "api.get_datasource_by_dataset_id(id).full_path == folder",
    "type(api.get_datasource_by_dataset_id(id))",
    "[api.verify_datasource_by_dataset_id(id)[flag] for flag in ('can_read', 'can_write', 'can_list')]",
    f"api.update_datasource_by_dataset_id(id, {LOCAL}, _return_http_data_only=False)[:2]",
    # List.
    "names(api.get_list_of_raw_samples_from_datasource_by_dataset_id(id))",
    "names(api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, _from=Timestamp(1577836803), "
    "to=Timestamp(1577836806)))",
    "names(api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, _from=7, to=5))",
    "names(api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, _from=10**12))",
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id).has_more",
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, cursor='nonsense')",
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, cursor='')",
    "walk()",
    "names(api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, async_req=True).get(20))",
    "names(api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, _return_http_data_only=False)[0])",
    # The watermark.
    "api.get_datasource_processed_until_timestamp_by_dataset_id(id).processed_until_timestamp.value",
    "api.update_datasource_processed_until_timestamp_by_dataset_id(id, "
    "DatasourceProcessedUntilTimestampRequest(Timestamp(1577836800)))",
    "api.get_datasource_processed_until_timestamp_by_dataset_id(dataset_id=id)",
    "api.update_datasource_processed_until_timestamp_by_dataset_id(id, {'processed_until_timestamp': 7})",
    "api.update_datasource_processed_until_timestamp_by_dataset_id(id, "
    "DatasourceProcessedUntilTimestampRequest(Timestamp(10**12)))",
    # Errors.
    *(
        f"{api}.{call}"
        for api, call in (
            ("api", "get_datasource_by_dataset_id(absent)"),
            ("api", "get_datasource_by_dataset_id(foreign)"),
            ("api", "verify_datasource_by_dataset_id(absent)"),
            ("api", f"update_datasource_by_dataset_id(foreign, {LOCAL})"),
            ("stranger", "get_datasource_by_dataset_id(id)"),
            ("stranger", "get_datasource_by_dataset_id(absent)"),
            ("stranger", f"update_datasource_by_dataset_id(id, {LOCAL})"),
        )
    ),
    # Other types, whose form the server checks.
    "api.update_datasource_by_dataset_id(id, DatasourceConfigS3(type='DatasourceConfigS3', full_path='s3://b/p', "
    "s3_region='eu-central-1', s3_access_key_id='test-key-id', s3_secret_access_key='test-secret'))",
    "[api.get_datasource_by_dataset_id(id)[name] for name in ('type', 'full_path', 's3_region', 's3_access_key_id')]",
    "api.update_datasource_by_dataset_id(id, DatasourceConfigAzure(type='DatasourceConfigAzure', full_path='c', "
    "account_name='account', account_key='test-secret', thumb_suffix=None))",
    "[api.get_datasource_by_dataset_id(id)[name] for name in ('type', 'full_path', 'account_name')]",
    "api.get_datasource_processed_until_timestamp_by_dataset_id(id).to_dict()",
]


def _names(page: Any) -> Any:
    return [row.file_name for row in page.data]


def main(url: str, token: str, dataset: str, foreign: str, folder: str) -> None:
    steps = Steps()
    configuration = swagger_client.Configuration(host=url, api_key={"ApiKeyAuth": token})
    bad = swagger_client.Configuration(host=url, api_key={"ApiKeyAuth": "not-a-token"})
    clients = [swagger_client.ApiClient(each) for each in (configuration, bad)]
    api, stranger = (DatasourcesApi(client) for client in clients)

    def walk() -> Any:
        """Return all names, page by page."""
        page = api.get_list_of_raw_samples_from_datasource_by_dataset_id(dataset)
        found = _names(page)
        while page.has_more:
            page = api.get_list_of_raw_samples_from_datasource_by_dataset_id(dataset, cursor=page.cursor)
            found += _names(page)
        return found, _names(api.get_list_of_raw_samples_from_datasource_by_dataset_id(dataset, cursor=page.cursor))

    names: dict[str, Any] = {name: getattr(models, name) for name in dir(models)}
    names.update(api=api, stranger=stranger, id=dataset, foreign=foreign, absent=ABSENT, folder=folder)
    names.update(names=_names, walk=walk)

    def evaluated(expression: str) -> Any:
        for client in clients:
            client.set_default_header("X-Step", str(steps.number))
        return eval(expression, {}, names)

    made: list[tuple[str, Callable[[], Any]]] = [(each, partial(evaluated, each)) for each in EXPRESSIONS]
    with clients[0], clients[1]:
        steps.run(made)


if __name__ == "__main__":
    main(*sys.argv[1:6])
