"""Clients on a live server: the seed's examples with our client, and a client that openapi-generator generates."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import generated
from tests.live import Live

OPERATIONS = (
    "getDatasourceByDatasetId",
    "getDatasourceProcessedUntilTimestampByDatasetId",
    "getListOfRawSamplesFromDatasourceByDatasetId",
    "updateDatasourceByDatasetId",
    "updateDatasourceProcessedUntilTimestampByDatasetId",
    "verifyDatasourceByDatasetId",
)


def _run(code: str, live: Live, path: Path | None = None) -> str:
    environ = {**os.environ, "LIGHTLY_SERVER_LOCATION": live.url, **({"PYTHONPATH": str(path)} if path else {})}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Exception when calling" not in done.stdout, done.stdout
    return done.stdout


def _fill(bucket: Path) -> Path:
    for index in range(10):
        (bucket / f"{index}.png").write_bytes(b"pixels")
        os.utime(bucket / f"{index}.png", (1577836800, 1577836800))
    return bucket


@pytest.mark.parametrize("operation", OPERATIONS)
def test_examples_of_the_seed_run_unchanged(
    live: Live, bucket: Path, tmp_path_factory: pytest.TempPathFactory, operation: str
) -> None:
    """Only credentials, ids, the sample cursor and the placeholder config are replaced, and an import that the fifth
    example lacks is added. The second `Configuration` of each takes its host from the environment."""
    examples = generated.seed_examples(generated.seed_client(tmp_path_factory))
    assert set(examples) == set(OPERATIONS)
    dataset = live.configured({"type": "LOCAL", "fullPath": _fill(bucket).name})
    cursor = live.call("GET", live.datasource(dataset, "list")).json["cursor"]
    code = examples[operation]
    for placeholder, value in {
        "YOUR_API_KEY": live.token,
        "YOUR_BEARER_TOKEN": live.token,
        "50000000abcdef1234566789": dataset,
        "cursor_example": cursor,
        "DatasourceConfig(None)": f'DatasourceConfig(type="LOCAL", full_path="{bucket.name}/below")',
    }.items():
        code = code.replace(placeholder, value)
    if operation == "updateDatasourceProcessedUntilTimestampByDatasetId":
        code = "from swagger_client.model.timestamp import Timestamp\n" + code
    out = _run(code, live)

    expected = {
        "getDatasourceByDatasetId": bucket.name,
        "getDatasourceProcessedUntilTimestampByDatasetId": "'processed_until_timestamp': 0",
        "getListOfRawSamplesFromDatasourceByDatasetId": "0.png",
        "verifyDatasourceByDatasetId": "'can_read': True",
    }
    assert expected.get(operation, "") in out
    if operation == "getListOfRawSamplesFromDatasourceByDatasetId":
        assert "9.png" in out, "the second call continues by cursor and ignores from and to"
    if operation == "updateDatasourceByDatasetId":
        assert live.call("GET", live.datasource(dataset)).json["fullPath"] == f"{bucket.name}/below"
    if operation == "updateDatasourceProcessedUntilTimestampByDatasetId":
        mark = live.call("GET", live.datasource(dataset, "processedUntilTimestamp")).json
        assert mark == {"processedUntilTimestamp": 1577836800}


GENERATED = """
import swagger_client
from swagger_client.api.datasources_api import DatasourcesApi
from swagger_client.api.datasets_api import DatasetsApi
from swagger_client.model.dataset_create_request import DatasetCreateRequest
from swagger_client.model.dataset_name import DatasetName
from swagger_client.model.datasource_config import DatasourceConfig
from swagger_client.model.datasource_processed_until_timestamp_request import DatasourceProcessedUntilTimestampRequest
from swagger_client.model.mongo_object_id import MongoObjectID
from swagger_client.model.timestamp import Timestamp

configuration = swagger_client.Configuration(host=URL, discard_unknown_keys=True)
configuration.api_key["ApiKeyAuth"] = TOKEN
with swagger_client.ApiClient(configuration) as client:
    api = DatasourcesApi(client)
    dataset = MongoObjectID(DATASET)
    for config in CONFIGS:
        api.update_datasource_by_dataset_id(dataset, DatasourceConfig(**config))
        read = api.get_datasource_by_dataset_id(dataset)
        assert read.full_path == config["full_path"], read
    assert api.verify_datasource_by_dataset_id(dataset).can_list
    window = {"_from": Timestamp(0), "to": Timestamp(2000000000)}
    page = api.get_list_of_raw_samples_from_datasource_by_dataset_id(dataset, **window)
    names = [row.file_name for row in page.data]
    while page.has_more:
        page = api.get_list_of_raw_samples_from_datasource_by_dataset_id(dataset, cursor=page.cursor)
        names += [row.file_name for row in page.data]
    assert names == [f"{index}.png" for index in range(10)], names
    request = DatasourceProcessedUntilTimestampRequest(processed_until_timestamp=Timestamp(5))
    api.update_datasource_processed_until_timestamp_by_dataset_id(dataset, request)
    answer = api.get_datasource_processed_until_timestamp_by_dataset_id(dataset)
    assert answer.processed_until_timestamp.value == 5
    try:
        api.get_datasource_by_dataset_id(MongoObjectID("0" * 24))
    except swagger_client.exceptions.NotFoundException as error:
        assert "DATASET_UNKNOWN" in error.body
    else:
        raise AssertionError("no exception for an unknown dataset")
print("all passed", swagger_client.__file__)
"""


def test_client_generated_from_the_contract_runs_the_six_operations(
    live: Live, bucket: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its constructors accept only class names as types (contract.md#datasource-config)."""
    folder = generated.whole_client(tmp_path_factory)
    configs = [
        {
            "type": "DatasourceConfigS3",
            "full_path": "s3://bucket/path",
            "s3_region": "eu-central-1",
            "s3_access_key_id": "test-key-id",
            "s3_secret_access_key": "test-secret",
        },
        {"type": "DatasourceConfigLOCAL", "full_path": _fill(bucket).name},
    ]
    values = {"URL": live.url, "TOKEN": live.token, "DATASET": live.dataset(), "CONFIGS": configs}
    given = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    out = _run(given + GENERATED, live, folder)
    assert f"all passed {folder}" in out, "the generated client must have run"
