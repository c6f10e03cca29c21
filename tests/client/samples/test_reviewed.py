"""Faults that a review found in the samples module, each with what kept it unseen."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

import swagger_client
from swagger_client.api.datasources_api import DatasourcesApi
from swagger_client.exceptions import ApiTypeError
from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow as Row
from swagger_client.redaction import redact
from swagger_client.samples import Downloaded, DownloadError, ReadUrls, download, new_samples
from swagger_client.samples.sample import Place, sample_of
from tests.client.server import DATASET, Answer, Request, Scripted, failure


def page(*rows: tuple[str, str], more: bool = False) -> Answer:
    data = [{"fileName": name, "readUrl": url} for name, url in rows]
    return Answer(json={"hasMore": more, "cursor": "c", "data": data})


@pytest.fixture
def impatient(server: Scripted) -> Any:
    configuration = swagger_client.Configuration(host=server.url, api_key={"ApiKeyAuth": "token-of-a-test"})
    configuration.retries = 0
    with swagger_client.ApiClient(configuration) as api_client:
        yield DatasourcesApi(api_client)


def test_a_watermark_that_was_set_back_between_two_attempts_stays(impatient: DatasourcesApi, server: Scripted) -> None:
    """Only the PUT was tried again, minutes after the checks: files that somebody wanted again were lost."""
    held = {"mark": 100, "puts": 0}

    def answer(request: Request) -> Answer:
        if request.path.endswith("/list"):
            return page()
        if request.method == "GET":
            return Answer(json={"processedUntilTimestamp": held["mark"]})
        held["puts"] += 1
        held["mark"] = 0  # somebody sets it back while the server is busy
        return failure(503, "MALFORMED_RESPONSE", "Busy.")

    server.answer = answer
    with new_samples(impatient, DATASET, pause=0) as samples:
        assert list(samples) == []
    assert (samples.moved, held) == (False, {"mark": 0, "puts": 1})


def test_a_watermark_whose_answer_was_lost_counts_as_moved(impatient: DatasourcesApi, server: Scripted) -> None:
    held = {"mark": 100, "puts": 0}

    def answer(request: Request) -> Answer:
        if request.path.endswith("/list"):
            return page()
        if request.method == "GET":
            return Answer(json={"processedUntilTimestamp": held["mark"]})
        held["puts"] += 1
        held["mark"] = request.json["processedUntilTimestamp"]
        return Answer(hang_up=True)

    server.answer = answer
    with new_samples(impatient, DATASET, pause=0) as samples:
        assert list(samples) == []
    assert samples.moved
    assert held == {"mark": samples.end, "puts": 1}


def test_urls_that_were_kept_and_refused_are_not_given_out_again(impatient: DatasourcesApi, server: Scripted) -> None:
    """Old URLs of a page stayed in the way: the rest of it failed, though the listing had good ones."""
    urls = ReadUrls(pause=0)
    place = Place(impatient, DATASET, None, None, None)
    first = sample_of(Row("a", "u0"), place)
    last = "u0"
    for number in range(1, 6):
        server.script(page(("a", f"u{number}"), ("b", f"v{number}")))
        last = str(urls.fresh(first, last))
        assert last == f"u{number}"
        # The other file of the page was listed at the same time: its kept URL has expired with this one.
        assert urls.fresh(sample_of(Row("b", f"v{number - 1}"), place), f"v{number - 1}") == f"v{number}"


def test_an_error_of_a_download_can_be_pickled() -> None:
    """Pools of processes hung or broke on it."""
    error = DownloadError({"a": ValueError("no")}, Downloaded(1, 2, 3))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.downloaded) == (str(error), error.downloaded)


def test_threads_end_where_one_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that had been started asked ten times a second for work, for as long as the process lived."""
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def start_some(thread: threading.Thread) -> None:
        if thread.name.startswith("swagger_client: download"):
            if len(started) == 3:
                raise RuntimeError("can't start new thread")
            started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)
    with pytest.raises(RuntimeError, match="new thread"):
        download([Row("a", "http://127.0.0.1:1/a")], tmp_path)
    for thread in started:
        thread.join(5)
        assert not thread.is_alive()


def test_a_row_without_its_name_is_no_success(tmp_path: Path) -> None:
    """It ended the thread that had it, and the download said that all was well."""
    nameless = Row("a", "http://127.0.0.1:1/a")
    object.__delattr__(nameless, "file_name") if hasattr(type(nameless), "__slots__") else None
    with pytest.raises(ApiTypeError, match="file_name"):
        download([nameless], tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        '"GET /b/a.jpg?X-Amz-Credential=SECRET&X-Amz-Signature=SECRET HTTP/1.1" 200',
        "https://a.blob.core.windows.net/c/b?sv=2021-12-02&sp=r&sig=SECRET%3D",
        "https://storage.googleapis.com/b/a?X-Goog-Signature=SECRET",
        "/files/a.png?expires=1&signature=SECRET",
    ],
)
def test_signed_urls_are_no_text_for_logs(text: str) -> None:
    assert "SECRET" not in redact(text)


def test_a_retry_after_that_is_no_time_is_passed_over(api: DatasourcesApi, server: Scripted) -> None:
    """It became an error of its own, without the server's words and without another try."""
    busy = failure(503, "MALFORMED_RESPONSE", "The store is busy.", Retry_After="0.5")
    server.script(busy, Answer(json={"processedUntilTimestamp": 7}))
    answer = api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    assert answer.processed_until_timestamp.value == 7


def test_a_token_that_no_header_can_have_is_not_repeated(server: Scripted) -> None:
    """Python's own error held it."""
    configuration = swagger_client.Configuration(host=server.url, access_token="part-’-of-a-token")
    with swagger_client.ApiClient(configuration) as client, pytest.raises(swagger_client.ApiValueError) as refusal:
        DatasourcesApi(client).get_datasource_by_dataset_id(DATASET)
    assert "part-" not in repr(refusal.value)


def test_a_token_is_hidden_before_a_long_text_is_cut(server: Scripted) -> None:
    """What was left of it at the cut was shown."""
    token = "a-token-of-many-characters"
    configuration = swagger_client.Configuration(host=server.url, api_key={"ApiKeyAuth": token})
    configuration.retries = 0
    for before in range(970, 1000):
        server.script(Answer(404, body=b"x" * before + token.encode() + b" not here"))
        with swagger_client.ApiClient(configuration) as client, pytest.raises(swagger_client.ApiException) as refusal:
            DatasourcesApi(client).get_datasource_by_dataset_id(DATASET)
        assert "a-tok" not in str(refusal.value)


def test_threads_of_calls_are_started_once() -> None:
    client = swagger_client.ApiClient(swagger_client.Configuration(host="http://127.0.0.1:1"))
    pools: list[object] = []
    threads = [threading.Thread(target=lambda: pools.append(client.pool)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(pool) for pool in pools}) == 1
    client.close()
