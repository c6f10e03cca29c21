"""Settings that the generated client does not have: other processes, no_proxy, log files, saved files."""

from __future__ import annotations

import copy
import io
import logging
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import swagger_client
from swagger_client.api.datasources_api import DatasourcesApi
from swagger_client.model.datasource_raw_samples_data import DatasourceRawSamplesData
from swagger_client.models import DatasourceProcessedUntilTimestampRequest, Timestamp
from tests.client.conftest import TOKEN
from tests.client.server import DATASET, PATH, Answer, Scripted

PAGE = Answer(
    json={"hasMore": False, "cursor": "end", "data": [{"fileName": "a.jpg", "readUrl": "http://a", "size": 7}]}
)
WATERMARK = Answer(json={"processedUntilTimestamp": 5})


def _list(api: DatasourcesApi) -> DatasourceRawSamplesData:
    return api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET)


def _status(api_client: swagger_client.ApiClient) -> Any:
    return api_client.call_api(f"{PATH}/list", "GET", auth_settings=["ApiKeyAuth"])[1]


def test_a_client_works_in_another_process(
    server: Scripted, configuration: swagger_client.Configuration, tmp_path: Path
) -> None:
    """A pickled client has credentials, settings and headers, but no connections and threads; responses are models."""
    server.script(PAGE)
    configuration.retries = 0
    configuration.logger_file = str(tmp_path / "log")
    configuration.debug = True
    with (
        swagger_client.ApiClient(configuration, "X-Team", "cameras", pool_threads=2) as api_client,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes,
    ):
        api = DatasourcesApi(api_client)
        here: Any = api.get_list_of_raw_samples_from_datasource_by_dataset_id(DATASET, async_req=True)
        page = here.get(10)
        there = processes.submit(_list, api).result(60)
        assert processes.submit(_status, api_client).result(60) == 200
    assert there == page
    assert there.data[0]["size"] == 7
    assert [sent.query for sent in server.requests] == [[("token", TOKEN)]] * 3
    assert [sent.headers["X-Team"] for sent in server.requests] == ["cameras"] * 3
    log = (tmp_path / "log").read_text()
    assert log.count("-> 200") == 3, "the other process writes the file too"
    assert TOKEN not in log


def test_a_pickled_model_has_no_configuration() -> None:
    """A configuration contains a token, and a model that was converted with one once contained it."""
    configuration = swagger_client.Configuration(api_key={"ApiKeyAuth": TOKEN})
    make: Any = DatasourceProcessedUntilTimestampRequest
    converted = make(5, _configuration=configuration)
    pickled = pickle.dumps(converted)
    assert TOKEN.encode() not in pickled
    copied = pickle.loads(pickled)
    assert copied == converted
    copied.processed_until_timestamp = 7
    assert copied.processed_until_timestamp == Timestamp(7)


def test_copies_of_a_client(api: DatasourcesApi, server: Scripted) -> None:
    server.script(PAGE)
    _list(api)
    for copied in (copy.copy(api.api_client), pickle.loads(pickle.dumps(api.api_client))):
        assert copied.rest_client is not api.api_client.rest_client
        assert copied.last_response is None
        assert _list(DatasourcesApi(copied)).data[0].file_name == "a.jpg"
        copied.close()


@pytest.mark.parametrize(
    ("no_proxy", "past"),
    [
        (None, False),
        ("", False),
        ("example.com", False),
        ("127.0.0.1", True),
        ("example.com, 127.0.0.1", True),
        ("*", True),
    ],
)
def test_hosts_in_no_proxy_bypass_the_proxy(server: Scripted, no_proxy: str | None, past: bool) -> None:
    server.script(WATERMARK)
    configuration = swagger_client.Configuration(host=server.url)
    configuration.proxy, configuration.no_proxy = server.url, no_proxy
    with swagger_client.ApiClient(configuration) as api_client:
        DatasourcesApi(api_client).get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    assert server.request.target.startswith("/v1") is past


@pytest.mark.parametrize("no_proxy", ["headwater.example", ".example", "headwater.example:8443"])
def test_the_forms_of_no_proxy(no_proxy: str) -> None:
    configuration = swagger_client.Configuration(host="https://user@headwater.example:8443/team")
    configuration.proxy, configuration.no_proxy = "http://proxy.example:3128", no_proxy
    with swagger_client.ApiClient(configuration) as api_client:
        assert api_client.rest_client.pool_manager.proxy is None


def test_no_proxy_of_the_environment_is_ignored(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the settings takes precedence, as with the generated client."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    server.script(WATERMARK)
    configuration = swagger_client.Configuration(host="http://headwater.invalid")
    configuration.proxy = server.url
    with swagger_client.ApiClient(configuration) as api_client:
        DatasourcesApi(api_client).get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    assert server.request.target.startswith("http://headwater.invalid/")


def test_another_log_file_replaces_the_first(tmp_path: Path) -> None:
    configuration = swagger_client.Configuration()
    logger = logging.getLogger("swagger_client.somewhere")
    for name in ("first", "second"):
        configuration.logger_file = str(tmp_path / name)
        logger.warning("text for %s", name)
    configuration.copy().logger_file = str(tmp_path / "second")
    logger.warning("more")
    assert [(tmp_path / name).read_text().count("\n") for name in ("first", "second")] == [1, 2]


def test_debug_writes_to_stderr_without_other_handlers(
    api: DatasourcesApi, server: Scripted, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script(WATERMARK)
    monkeypatch.setattr(logging.getLogger("swagger_client"), "propagate", False)
    api.api_client.configuration.debug = True
    api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    written = capfd.readouterr()
    assert "?token=*** -> 200" in written.err
    assert TOKEN not in written.err + written.out


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="a.txt"', "a.txt"),
        ("attachment; filename=../../a.txt", "a.txt"),
        (r'attachment; filename="..\..\a.txt"', "a.txt"),
        ("attachment; filename=/etc/passwd", "passwd"),
        ('attachment; filename=".."', "answer"),
        ("attachment; filename=a/", "answer"),
        ("attachment", "answer"),
    ],
)
def test_a_saved_file_is_written_to_a_new_folder(
    api: DatasourcesApi, server: Scripted, tmp_path: Path, disposition: str, name: str
) -> None:
    server.script(Answer(body=b"\x00bytes", headers={"Content-Disposition": disposition}))
    api.api_client.configuration.temp_folder_path = str(tmp_path)
    files = [
        api.api_client.call_api("/v1/file", "GET", response_type=(io.IOBase,), _return_http_data_only=True)
        for _ in range(2)
    ]
    for file in files:
        with file:
            assert file.read() == b"\x00bytes"
            assert (Path(file.name).name, Path(file.name).parents[1]) == (name, tmp_path)
    assert files[0].name != files[1].name


def test_the_environment_variable_replaces_the_first_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTLY_SERVER_LOCATION", "http://from-the-environment")
    configuration = swagger_client.Configuration(host="http://given", server_index=0)
    assert configuration.host == "http://from-the-environment"
    assert configuration.get_host_from_settings(None) == "http://given"
    with pytest.raises(ValueError, match="Invalid index 1"):
        configuration.get_host_from_settings(1)
