"""What the six operations send."""

from __future__ import annotations

import copy
import threading
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import swagger_client
from swagger_client.api.datasets_api import DatasetsApi
from swagger_client.api.datasources_api import DatasourcesApi
from swagger_client.model.datasource_config import DatasourceConfig
from swagger_client.model.datasource_config_local import DatasourceConfigLOCAL
from swagger_client.model.datasource_config_s3 import DatasourceConfigS3
from swagger_client.model.datasource_processed_until_timestamp_request import DatasourceProcessedUntilTimestampRequest
from swagger_client.model.mongo_object_id import MongoObjectID
from swagger_client.model.timestamp import Timestamp
from tests.client.conftest import TOKEN
from tests.client.server import DATASET, PATH, Answer, Scripted
from tests.headwater_client.stores import WholeNumber

PAGE = Answer(json={"hasMore": False, "cursor": "end", "data": []})
WATERMARK = Answer(json={"processedUntilTimestamp": 5})
VERIFIED = Answer(json={"canRead": True, "canWrite": True, "canList": True})
LOCAL = Answer(json={"type": "LOCAL", "fullPath": "cameras", "purpose": "INPUT_OUTPUT"})


@pytest.mark.parametrize(
    ("call", "path", "answer"),
    [
        (DatasourcesApi.get_datasource_by_dataset_id, PATH, LOCAL),
        (DatasourcesApi.verify_datasource_by_dataset_id, f"{PATH}/verify", VERIFIED),
        (DatasourcesApi.get_list_of_raw_samples_from_datasource_by_dataset_id, f"{PATH}/list", PAGE),
        (
            DatasourcesApi.get_datasource_processed_until_timestamp_by_dataset_id,
            f"{PATH}/processedUntilTimestamp",
            WATERMARK,
        ),
    ],
)
@pytest.mark.parametrize("dataset_id", [DATASET, MongoObjectID(DATASET)], ids=["str", "model"])
def test_a_get_request_has_the_token_in_the_query(
    api: DatasourcesApi, server: Scripted, call: Any, path: str, answer: Answer, dataset_id: Any
) -> None:
    server.script(answer)
    call(api, dataset_id)
    sent = server.request
    assert (sent.method, sent.path, sent.query, sent.body) == ("GET", path, [("token", TOKEN)], b"")
    assert sent.headers["Accept"] == "application/json"
    assert sent.headers["User-Agent"] == f"headwater-client/{swagger_client.__version__}"
    assert "Content-Type" not in sent.headers
    assert "Authorization" not in sent.headers


def test_the_parameters_of_a_listing(api: DatasourcesApi, server: Scripted) -> None:
    server.script(PAGE)
    api.get_list_of_raw_samples_from_datasource_by_dataset_id(
        DATASET, _from=Timestamp(0), to=1577836800, cursor="a/+ b"
    )
    assert server.request.query == [("from", "0"), ("to", "1577836800"), ("cursor", "a/+ b"), ("token", TOKEN)]


def test_whole_numbers_of_other_libraries(api: DatasourcesApi, server: Scripted) -> None:
    """A time from a table of numpy or pandas was refused, because `numpy.int64` is not an `int`."""
    whole: Any = WholeNumber
    time_limit: Any = Fraction(21, 2)
    server.script(PAGE)
    api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET, _from=whole(5), to=Timestamp(whole(9)))
    assert server.request.query == [("from", "5"), ("to", "9"), ("token", TOKEN)]
    server.script(Answer())
    request = DatasourceProcessedUntilTimestampRequest(Timestamp(whole(7)))
    api.update_datasource_processed_until_timestamp_by_dataset_id(DATASET, request, _request_timeout=time_limit)
    assert server.requests[-1].body == b'{"processedUntilTimestamp": 7}'
    with pytest.raises(swagger_client.ApiValueError):
        Timestamp(whole(-1))
    server.script(Answer(json=[]))
    DatasetsApi(api.api_client).get_datasets(page_size=whole(5), page_offset=whole(0))
    assert dict(server.requests[-1].query)["pageSize"] == "5"
    with pytest.raises(swagger_client.ApiValueError, match="page_size"):
        DatasetsApi(api.api_client).get_datasets(page_size=whole(0))


def test_none_is_not_sent_but_an_empty_cursor_is(api: DatasourcesApi, server: Scripted) -> None:
    """The server refuses an empty cursor; without it the listing would start again, in an endless loop."""
    server.script(PAGE)
    api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET, _from=None, to=None, cursor=None)
    api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET, cursor="")
    assert [sent.query for sent in server.requests] == [[("token", TOKEN)], [("cursor", ""), ("token", TOKEN)]]


def test_setting_a_datasource_sends_json_names(api: DatasourcesApi, server: Scripted) -> None:
    server.script(Answer())
    config = DatasourceConfigS3(
        type="DatasourceConfigS3",
        full_path="s3://my-bucket/front",
        s3_region="eu-central-1",
        s3_access_key_id="test-key-id",
        s3_secret_access_key="test-secret",
        thumb_suffix=None,
    )
    assert api.update_datasource_by_dataset_id(DATASET, config) is None  # type: ignore[func-returns-value]  # at run time
    sent = server.request
    assert (sent.method, sent.path, sent.query) == ("PUT", PATH, [("token", TOKEN)])
    assert sent.headers["Content-Type"] == "application/json"
    assert sent.json == {
        "type": "DatasourceConfigS3",
        "fullPath": "s3://my-bucket/front",
        "s3Region": "eu-central-1",
        "s3AccessKeyId": "test-key-id",
        "s3SecretAccessKey": "test-secret",
        "thumbSuffix": None,
    }


def test_a_datasource_can_be_a_dict_of_python_names(api: DatasourcesApi, server: Scripted) -> None:
    server.script(Answer())
    api.update_datasource_by_dataset_id(DATASET, {"type": "LOCAL", "full_path": "cameras"})
    assert server.request.json == {"type": "LOCAL", "fullPath": "cameras"}


def test_setting_the_watermark(api: DatasourcesApi, server: Scripted) -> None:
    server.script(Answer())
    api.update_datasource_processed_until_timestamp_by_dataset_id(
        DATASET, DatasourceProcessedUntilTimestampRequest(Timestamp(1577836800))
    )
    sent = server.request
    assert (sent.method, sent.path) == ("PUT", f"{PATH}/processedUntilTimestamp")
    assert sent.json == {"processedUntilTimestamp": 1577836800}


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda api: api.get_datasource_by_dataset_id(5), swagger_client.ApiTypeError),
        (lambda api: api.get_datasource_by_dataset_id(None), swagger_client.ApiTypeError),
        (lambda api: api.get_datasource_by_dataset_id("../../x"), swagger_client.ApiValueError),
        (lambda api: api.get_datasource_by_dataset_id(DATASET, verbose=True), swagger_client.ApiTypeError),
        (
            lambda api: api.get_list_of_raw_samples_from_datasource_by_dataset_id(
                DATASET, _from=MongoObjectID(DATASET)
            ),
            swagger_client.ApiTypeError,
        ),
        (
            lambda api: api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET, to=True),
            swagger_client.ApiTypeError,
        ),
        (
            lambda api: api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET, to=-1),
            swagger_client.ApiValueError,
        ),
        (
            lambda api: api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET, cursor=5),
            swagger_client.ApiTypeError,
        ),
        (lambda api: api.update_datasource_by_dataset_id(DATASET, "LOCAL"), swagger_client.ApiTypeError),
        (
            lambda api: api.update_datasource_by_dataset_id(DATASET, DatasourceConfig(None)),
            swagger_client.ApiValueError,
        ),
        (lambda api: api.update_datasource_by_dataset_id(DATASET, {}), swagger_client.ApiValueError),
    ],
)
def test_invalid_values_are_refused_before_a_request(
    api: DatasourcesApi, server: Scripted, call: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        call(api)
    assert server.requests == []


def test_bearer_token_and_api_key_are_both_sent(server: Scripted) -> None:
    server.script(WATERMARK)
    configuration = swagger_client.Configuration(host=server.url, access_token="a.b.c")
    with swagger_client.ApiClient(configuration) as api_client:
        api = DatasourcesApi(api_client)
        api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
        configuration.api_key["ApiKeyAuth"] = TOKEN
        api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    bearer, both = server.requests
    assert (bearer.headers["Authorization"], bearer.query) == ("Bearer a.b.c", [])
    assert (both.headers["Authorization"], both.query) == ("Bearer a.b.c", [("token", TOKEN)])


def test_prefix_and_refresh_hook_of_an_api_key(
    api: DatasourcesApi, server: Scripted, configuration: swagger_client.Configuration
) -> None:
    server.script(WATERMARK)
    tokens = iter(["first", "second"])
    configuration.api_key_prefix["ApiKeyAuth"] = "Key"
    configuration.refresh_api_key_hook = lambda config: config.api_key.update(ApiKeyAuth=next(tokens))
    for _ in range(2):
        api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    assert [sent.query for sent in server.requests] == [[("token", "Key first")], [("token", "Key second")]]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(token=st.text(min_size=1).filter(lambda text: not set(text) & set("\r\n")), cursor=st.text())
def test_any_token_and_cursor_arrive_unchanged(api: DatasourcesApi, server: Scripted, token: str, cursor: str) -> None:
    server.script(PAGE)
    server.requests.clear()
    api.api_client.configuration.api_key["ApiKeyAuth"] = token
    api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET, cursor=cursor)
    assert server.request.query == [("cursor", cursor), ("token", token)]


def test_plus_and_slash_are_percent_encoded(api: DatasourcesApi, server: Scripted) -> None:
    server.script(WATERMARK)
    api.api_client.configuration.api_key["ApiKeyAuth"] = "a+b/c=="
    api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    assert server.request.raw_query == "token=a%2Bb%2Fc%3D%3D"


def test_headers_and_cookie_of_a_client_are_sent_with_every_request(
    configuration: swagger_client.Configuration, server: Scripted
) -> None:
    server.script(WATERMARK)
    with swagger_client.ApiClient(configuration, "X-Team", "cameras", cookie="session=1") as api_client:
        api_client.user_agent = "mine/1"
        api_client.set_default_header("X-More", "yes")
        DatasourcesApi(api_client).get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    sent = server.request.headers
    assert [sent[name] for name in ("X-Team", "X-More", "Cookie", "User-Agent")] == [
        "cameras",
        "yes",
        "session=1",
        "mine/1",
    ]


@pytest.mark.parametrize("suffix", ["", "/", "//"])
def test_a_host_can_end_with_a_slash(server: Scripted, suffix: str) -> None:
    server.script(WATERMARK)
    with swagger_client.ApiClient(swagger_client.Configuration(host=server.url + suffix)) as api_client:
        DatasourcesApi(api_client).get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    assert server.request.target == f"{PATH}/processedUntilTimestamp"


def test_a_host_can_have_a_path(server: Scripted) -> None:
    server.script(WATERMARK)
    with swagger_client.ApiClient(swagger_client.Configuration(host=f"{server.url}/team/api/")) as api_client:
        DatasourcesApi(api_client).get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    assert server.request.target == f"/team/api{PATH}/processedUntilTimestamp"


def test_the_sources_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    assert swagger_client.Configuration().host == "https://api.lightly.ai"
    monkeypatch.setenv("LIGHTLY_SERVER_LOCATION", "http://from-the-environment/")
    assert swagger_client.Configuration(access_token="t").host == "http://from-the-environment/"
    assert swagger_client.Configuration(host="http://given").host == "http://given"
    monkeypatch.setenv("LIGHTLY_SERVER_LOCATION", "")
    assert swagger_client.Configuration().host == "https://api.lightly.ai"


def test_a_second_configuration_uses_the_environment_variable(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seed's examples create a second Configuration for the bearer token; the generated client's loses the host."""
    server.script(WATERMARK)
    monkeypatch.setenv("LIGHTLY_SERVER_LOCATION", server.url)
    configuration = swagger_client.Configuration(host="https://api.lightly.ai")
    configuration = swagger_client.Configuration(access_token="a.b.c")
    with swagger_client.ApiClient(configuration) as api_client:
        DatasourcesApi(api_client).get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    assert server.request.headers["Authorization"] == "Bearer a.b.c"


def test_a_client_without_a_configuration_uses_the_default_one(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script(WATERMARK)
    monkeypatch.setattr(swagger_client.Configuration, "_default", None)
    default = swagger_client.Configuration(host=server.url, api_key={"ApiKeyAuth": TOKEN})
    swagger_client.Configuration.set_default(default)
    default.api_key["ApiKeyAuth"] = "changed afterwards"
    api = DatasourcesApi()
    api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    api.api_client.close()
    assert server.request.query == [("token", TOKEN)]


def test_a_copy_of_a_configuration_has_its_own_credentials() -> None:
    configuration = swagger_client.Configuration(api_key={"ApiKeyAuth": TOKEN}, username="u", password="p")
    configuration.retries = 7
    for copied in (copy.deepcopy(configuration), configuration.copy()):
        copied.api_key["ApiKeyAuth"] = "other"
        assert configuration.api_key == {"ApiKeyAuth": TOKEN}
        assert (copied.retries, copied.host) == (7, configuration.host)
        assert copied.get_basic_auth_token() == "Basic dTpw"


def test_a_config_from_a_response_can_be_sent_back(api: DatasourcesApi, server: Scripted) -> None:
    server.script(LOCAL, Answer())
    config = api.get_datasource_by_dataset_id(DATASET)
    assert isinstance(config, DatasourceConfigLOCAL)
    config.full_path = "cameras/front"
    api.update_datasource_by_dataset_id(DATASET, config)
    assert server.requests[1].json == {"type": "LOCAL", "fullPath": "cameras/front", "purpose": "INPUT_OUTPUT"}


def test_parameters_can_be_sent_unchecked(api: DatasourcesApi, server: Scripted) -> None:
    server.script(PAGE, Answer())
    unchecked: Any = {"_check_input_type": False}
    list_: Any = api.get_list_of_raw_samples_from_datasource_by_dataset_id
    list_("any/id", _from="yesterday", cursor=7, **unchecked)
    api.update_datasource_by_dataset_id(DATASET, {"type": "FTP", "nothing": None}, **unchecked)
    listed, put = server.requests
    assert listed.path == "/v1/datasets/any%2Fid/datasource/list"
    assert listed.query == [("from", "yesterday"), ("cursor", "7"), ("token", TOKEN)]
    assert put.json == {"type": "FTP", "nothing": None}
    with pytest.raises(swagger_client.ApiValueError, match="dataset_id"):
        list_(None, **unchecked)


def test_a_datasource_can_be_a_dict_of_json_names(api: DatasourcesApi, server: Scripted) -> None:
    server.script(Answer())
    config = {"type": "S3", "fullPath": "b", "s3Region": "eu-central-1", "s3AccessKeyId": "i", "s3SecretAccessKey": "k"}
    api.update_datasource_by_dataset_id(DATASET, config, _spec_property_naming=True, _content_type="application/x+json")
    assert server.request.json == config
    assert server.request.headers["Content-Type"] == "application/x+json"


def test_call_operation_and_configuration_can_select_the_server(server: Scripted) -> None:
    class Servers(swagger_client.Configuration):
        def get_host_settings(self) -> Any:
            area = {"default_value": "one", "enum_values": ["one", "two"]}
            return [{"url": server.url}, {"url": server.url + "/{area}", "variables": {"area": area}}]

    server.script(WATERMARK)
    name = "get_datasource_processed_until_timestamp_by_dataset_id"
    configuration = Servers(server_index=0, server_variables={"area": "two"})
    with swagger_client.ApiClient(configuration) as api_client:
        call = DatasourcesApi(api_client).get_datasource_processed_until_timestamp_by_dataset_id
        call(DATASET)
        call(DATASET, _host_index=1)
        configuration.server_operation_index = {name: 1}
        configuration.server_operation_variables = {name: {"area": "one"}}
        call(DATASET)
        configuration.server_operation_variables = {name: {"area": "three"}}
        with pytest.raises(ValueError, match="three"):
            call(DATASET)
        with pytest.raises(ValueError, match="Invalid index 2"):
            call(DATASET, _host_index=2)
    assert [sent.path.partition("/v1")[0] for sent in server.requests] == ["", "/two", "/one"]


def test_the_thread_pool_is_started_once() -> None:
    client = swagger_client.ApiClient(swagger_client.Configuration(host="http://127.0.0.1:1"))
    pools: list[object] = []
    threads = [threading.Thread(target=lambda: pools.append(client.pool)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(pool) for pool in pools}) == 1
    client.close()
