"""What the six operations return, and in which forms."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

import swagger_client
from swagger_client.api.datasources_api import DatasourcesApi
from swagger_client.apis import DatasourcesApi as DatasourcesApiOfAll
from swagger_client.model.datasource_raw_samples_data import DatasourceRawSamplesData
from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow
from swagger_client.model_utils import from_server
from tests.client.server import DATASET, Answer, Scripted

ROWS = [{"fileName": f"{number}.jpg", "readUrl": f"http://files/{number}?sig=1"} for number in range(3)]
PAGE = Answer(json={"hasMore": True, "cursor": "next", "data": ROWS})

COMMON = {"id": DATASET, "purpose": "INPUT", "thumbSuffix": ".lightly/[filename].[extension]"}
CONFIGS: list[dict[str, Any]] = [
    {
        "type": "S3",
        "fullPath": "s3://my-bucket/front/",
        "s3Region": "eu-central-1",
        "s3AccessKeyId": "test-key-id",
        "s3SecretAccessKey": "********",
        "s3ServerSideEncryptionKMSKey": "arn:aws:kms:eu-central-1:123456789012:key/my-key",
    },
    {
        "type": "S3DelegatedAccess",
        "fullPath": "my-bucket",
        "s3Region": "us-east-1",
        "s3ExternalId": "my-external-id",
        "s3ARN": "arn:aws:iam::123456789012:role/headwater",
    },
    {"type": "GCS", "fullPath": "gs://b/p", "gcsProjectId": "my-project", "gcsCredentials": "********"},
    {"type": "AZURE", "fullPath": "container/p", "accountName": "account", "accountKey": "********"},
    {
        "type": "OBS",
        "fullPath": "obs://b/p",
        "obsEndpoint": "https://minio.example.com:9000",
        "obsAccessKeyId": "test-key-id",
        "obsSecretAccessKey": "********",
    },
    {"type": "LOCAL", "fullPath": "", "webServerLocation": "http://localhost:3456"},
    {"type": "LIGHTLY", "fullPath": "a"},
]
CLASSES = {
    "S3": "DatasourceConfigS3",
    "S3DelegatedAccess": "DatasourceConfigS3DelegatedAccess",
    "GCS": "DatasourceConfigGCS",
    "AZURE": "DatasourceConfigAzure",
    "OBS": "DatasourceConfigOBS",
    "LOCAL": "DatasourceConfigLOCAL",
    "LIGHTLY": "DatasourceConfigLIGHTLY",
}


@pytest.mark.parametrize("wire", CONFIGS, ids=lambda wire: wire["type"])
def test_each_type_of_datasource_becomes_its_class(api: DatasourcesApi, server: Scripted, wire: dict[str, Any]) -> None:
    server.script(Answer(json={**wire, **COMMON}))
    config = api.get_datasource_by_dataset_id(DATASET)
    assert type(config).__name__ == CLASSES[wire["type"]]
    assert (config.type, config.full_path) == (wire["type"], wire["fullPath"])
    assert (config.id, config.purpose) == (DATASET, "INPUT")
    assert config.thumb_suffix == COMMON["thumbSuffix"]
    assert api.api_client.sanitize_for_serialization(config) == {**wire, **COMMON}


def test_member_names_with_abbreviations(api: DatasourcesApi, server: Scripted) -> None:
    server.script(*[Answer(json=wire) for wire in CONFIGS])
    s3, delegated, gcs, azure, obs, local, lightly = (api.get_datasource_by_dataset_id(DATASET) for _ in CONFIGS)
    assert set(s3.to_dict()) == {
        "type",
        "full_path",
        "s3_region",
        "s3_access_key_id",
        "s3_secret_access_key",
        "s3_server_side_encryption_kms_key",
    }
    assert set(delegated.to_dict()) == {"type", "full_path", "s3_region", "s3_external_id", "s3_arn"}
    assert set(gcs.to_dict()) == {"type", "full_path", "gcs_project_id", "gcs_credentials"}
    assert set(azure.to_dict()) == {"type", "full_path", "account_name", "account_key"}
    assert set(obs.to_dict()) == {"type", "full_path", "obs_endpoint", "obs_access_key_id", "obs_secret_access_key"}
    assert set(local.to_dict()) == {"type", "full_path", "web_server_location"}
    assert set(lightly.to_dict()) == {"type", "full_path"}


def test_a_page_of_a_listing(api: DatasourcesApi, server: Scripted) -> None:
    server.script(PAGE)
    page = api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET)
    assert isinstance(page, DatasourceRawSamplesData)
    assert (page.has_more, page.cursor, len(page.data)) == (True, "next", 3)
    assert all(type(row) is DatasourceRawSamplesDataRow for row in page.data)
    assert (page.data[1].file_name, page.data[1].read_url) == ("1.jpg", "http://files/1?sig=1")
    assert page.to_dict()["data"][2] == {"file_name": "2.jpg", "read_url": "http://files/2?sig=1"}


@given(names=st.lists(st.text()))
def test_file_names_are_unchanged(names: list[str]) -> None:
    wire = json.dumps({"hasMore": False, "cursor": "c", "data": [{"fileName": name, "readUrl": "u"} for name in names]})
    page: DatasourceRawSamplesData = from_server(DatasourceRawSamplesData, json.loads(wire))
    assert [row.file_name for row in page.data] == names


def test_a_verify_response_has_flags_and_errors(api: DatasourcesApi, server: Scripted) -> None:
    flags = {"canRead": True, "canWrite": False, "canList": True, "canOverwrite": False}
    server.script(Answer(json={**flags, "errors": {"canWrite": "AccessDenied: the credentials lack s3:PutObject"}}))
    verified = api.verify_datasource_by_dataset_id(DATASET)
    assert (verified.can_read, verified.can_write, verified.can_list, verified.can_overwrite) == (
        True,
        False,
        True,
        False,
    )
    assert verified.errors.can_write == "AccessDenied: the credentials lack s3:PutObject"
    assert "can_read" not in verified.errors


def test_members_missing_from_an_older_server_are_not_set(api: DatasourcesApi, server: Scripted) -> None:
    server.script(Answer(json={"canRead": True, "canWrite": True, "canList": True}))
    verified = api.verify_datasource_by_dataset_id(DATASET)
    assert "can_overwrite" not in verified
    assert verified.get("errors") is None
    with pytest.raises(swagger_client.ApiAttributeError, match="can_overwrite"):
        _ = verified.can_overwrite


def test_a_watermark_response(api: DatasourcesApi, server: Scripted) -> None:
    server.script(Answer(json={"processedUntilTimestamp": 0}))
    assert api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET).processed_until_timestamp.value == 0


def test_members_added_by_a_newer_server_are_kept(api: DatasourcesApi, server: Scripted) -> None:
    """A response with unknown members, enum values and forms can be read."""
    server.script(
        Answer(json={"hasMore": False, "cursor": "c", "data": [{**ROWS[0], "sizeInBytes": 7}], "total": {"all": 1}}),
        Answer(json={**CONFIGS[0], "fullPath": "s4://new/form", "s3Region": "mars-north-1", "purpose": "NEW_ONE"}),
    )
    page = api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET)
    assert page["total"] == {"all": 1}
    assert page.data[0]["sizeInBytes"] == 7
    assert page.data[0].to_dict() == {"file_name": "0.jpg", "read_url": "http://files/0?sig=1", "sizeInBytes": 7}
    config = api.get_datasource_by_dataset_id(DATASET)
    assert config["s3_region"] == "mars-north-1"
    assert config.purpose == "NEW_ONE"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(body=b"<html>hello</html>"), swagger_client.ApiTypeError),
        (Answer(body=b""), swagger_client.ApiTypeError),
        (Answer(json=[]), swagger_client.ApiTypeError),
        (Answer(json={"hasMore": False, "data": []}), swagger_client.ApiTypeError),
        (Answer(json={"hasMore": "no", "cursor": "c", "data": []}), swagger_client.ApiTypeError),
        (Answer(json={"hasMore": False, "cursor": None, "data": []}), swagger_client.ApiTypeError),
        (Answer(json={"hasMore": False, "cursor": "c", "data": {}}), swagger_client.ApiTypeError),
        (
            Answer(json={"hasMore": False, "cursor": "c", "data": [ROWS[0], {"fileName": "x"}]}),
            swagger_client.ApiTypeError,
        ),
        (
            Answer(json={"hasMore": False, "cursor": "c", "data": [{**ROWS[0], "readUrl": 5}]}),
            swagger_client.ApiTypeError,
        ),
    ],
)
def test_a_response_of_another_form_is_an_error(
    api: DatasourcesApi, server: Scripted, answer: Answer, error: type[Exception]
) -> None:
    server.script(answer)
    with pytest.raises(error):
        api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET)


def test_the_error_names_the_path_in_the_response(api: DatasourcesApi, server: Scripted) -> None:
    server.script(Answer(json={"hasMore": False, "cursor": "c", "data": [ROWS[0], {"fileName": 5, "readUrl": "u"}]}))
    with pytest.raises(swagger_client.ApiTypeError, match=r"\['received_data'\]\['data'\]\[1\]\['file_name'\]"):
        api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET)


@pytest.mark.parametrize(
    "wire", [{"fullPath": "a"}, {"type": "FTP", "fullPath": "a"}, {"type": ["S3"]}, {"type": "GCS"}]
)
def test_an_unknown_type_of_datasource_is_a_value_error(
    api: DatasourcesApi, server: Scripted, wire: dict[str, Any]
) -> None:
    server.script(Answer(json=wire))
    with pytest.raises(swagger_client.ApiValueError):
        api.get_datasource_by_dataset_id(DATASET)


def test_the_charset_of_a_response_is_used(api: DatasourcesApi, server: Scripted) -> None:
    wire = json.dumps({"hasMore": False, "cursor": "ü", "data": []}, ensure_ascii=False)
    server.script(
        Answer(body=wire.encode("latin-1"), headers={"Content-Type": "application/json; charset=ISO-8859-1"}),
        Answer(body=wire.encode()),
    )
    for _ in range(2):
        assert api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET).cursor == "ü"


def test_a_call_can_return_status_and_headers(api: DatasourcesApi, server: Scripted) -> None:
    server.script(Answer(json=PAGE.json, headers={"X-Request-Id": "r-1"}), Answer())
    answer: Any = api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET, _return_http_data_only=False)
    data, status, headers = answer
    assert (data.cursor, status, headers["x-request-id"]) == ("next", 200, "r-1")
    nothing: Any = api.update_datasource_by_dataset_id(  # type: ignore[func-returns-value]  # the option changes it
        DATASET, {"type": "LOCAL", "full_path": ""}, _return_http_data_only=False
    )
    assert nothing[:2] == (None, 200)


def test_a_saved_response_can_be_deserialized(api: DatasourcesApi) -> None:
    class Saved:
        data = json.dumps(ROWS)

    rows = api.api_client.deserialize(Saved, (list[DatasourceRawSamplesDataRow],))
    assert [row.file_name for row in rows] == ["0.jpg", "1.jpg", "2.jpg"]


def test_a_call_can_return_urllib3s_unread_response(api: DatasourcesApi, server: Scripted) -> None:
    server.script(PAGE)
    response: Any = api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET, _preload_content=False)
    assert isinstance(response, urllib3.HTTPResponse)
    assert json.loads(response.read()) == PAGE.json
    response.release_conn()


def test_async_calls_return_their_results(configuration: swagger_client.Configuration, server: Scripted) -> None:
    """All calls wait for the server at the same time, so each runs in its own thread."""
    together = threading.Barrier(3)

    def meet(_: Any) -> Answer:
        together.wait(10)
        return PAGE

    server.answer = meet
    with swagger_client.ApiClient(configuration, pool_threads=3) as api_client:
        api = DatasourcesApiOfAll(api_client)
        waiting: list[Any] = [
            api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET, async_req=True) for _ in range(3)
        ]
        assert [each.get(10).cursor for each in waiting] == ["next"] * 3


def test_get_raises_the_error_of_an_async_call(api: DatasourcesApi, server: Scripted) -> None:
    server.script(Answer(404, {}))
    waiting: Any = api.get_datasource_by_dataset_id(DATASET, async_req=True)
    with pytest.raises(swagger_client.NotFoundException):
        waiting.get(10)
    with pytest.raises(swagger_client.ApiTypeError):
        api.get_datasource_by_dataset_id(5, async_req=True)  # type: ignore[arg-type]  # refused at once


def test_threads_can_share_a_client(api: DatasourcesApi, server: Scripted) -> None:
    server.answer = lambda request: Answer(
        json={"processedUntilTimestamp": int(request.path.split("/")[3], 16) % 10**9}
    )
    wrong: list[Any] = []

    def work(first: int) -> None:
        for number in range(first, first + 25):
            answer = api.get_datasource_processed_until_timestamp_by_dataset_id(f"{number:024x}")
            if answer.processed_until_timestamp.value != number:
                wrong.append((number, answer))

    threads = [threading.Thread(target=work, args=(1000 * each,)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(server.requests) == 200
