"""Which calls are retried, how often, and after which delays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import urllib3

import swagger_client
from swagger_client import rest
from swagger_client.api.datasources_api import DatasourcesApi
from tests.client.server import DATASET, PATH, Answer, Scripted, failure

GOOD = Answer(json={"processedUntilTimestamp": 5})
BUSY = failure(503, "MALFORMED_RESPONSE", "The store is down.")
MANY = failure(429, "BAD_REQUEST", "Too many requests.")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "BACKOFF_SECONDS", 0)


@contextmanager
def _api(server: Scripted, retries: Any = None) -> Iterator[DatasourcesApi]:
    configuration = swagger_client.Configuration(host=server.url)
    configuration.retries = retries
    with swagger_client.ApiClient(configuration) as api_client:
        yield DatasourcesApi(api_client)


@pytest.mark.parametrize(
    "trouble", [BUSY, MANY, Answer(hang_up=True), Answer(json=GOOD.json, cut=3)], ids=["503", "429", "hang-up", "cut"]
)
def test_a_get_is_retried_until_it_succeeds(server: Scripted, trouble: Answer) -> None:
    server.script(trouble, trouble, trouble, GOOD)
    with _api(server) as api:
        answer = api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    assert answer.processed_until_timestamp.value == 5
    assert len(server.requests) == 4


@pytest.mark.parametrize("trouble", [BUSY, MANY, Answer(hang_up=True)], ids=["503", "429", "hang-up"])
def test_a_put_is_retried_with_the_same_body(server: Scripted, trouble: Answer) -> None:
    server.script(trouble, Answer())
    with _api(server) as api:
        api.update_datasource_by_dataset_id(DATASET, {"type": "LOCAL", "full_path": "cameras"})
    first, second = server.requests
    assert first.json == {"type": "LOCAL", "fullPath": "cameras"}
    assert (first.method, first.target, first.body) == (second.method, second.target, second.body)


@pytest.mark.parametrize(("retries", "tries"), [(None, 4), (0, 1), (1, 2), (5, 6), (False, 1)])
@pytest.mark.parametrize(
    ("trouble", "error"),
    [(BUSY, swagger_client.ServiceException), (MANY, swagger_client.ApiException)],
    ids=["503", "429"],
)
def test_after_the_last_attempt_the_response_is_the_error(
    server: Scripted, trouble: Answer, error: type[swagger_client.ApiException], retries: Any, tries: int
) -> None:
    server.script(trouble)
    with _api(server, retries) as api, pytest.raises(error) as caught:
        api.get_datasource_by_dataset_id(DATASET)
    assert caught.value.request_id == "request-1"
    assert len(server.requests) == tries


@pytest.mark.parametrize(("retries", "tries"), [(None, 4), (0, 1), (2, 3)])
def test_the_number_of_attempts_after_hang_ups_is_limited(server: Scripted, retries: Any, tries: int) -> None:
    server.script(Answer(hang_up=True))
    with _api(server, retries) as api, pytest.raises(urllib3.exceptions.MaxRetryError) as caught:
        api.get_datasource_by_dataset_id(DATASET)
    assert isinstance(caught.value.reason, urllib3.exceptions.ProtocolError)
    assert len(server.requests) == tries


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_permanent_errors_are_not_retried(server: Scripted, status: int) -> None:
    server.script(Answer(status, {}))
    with _api(server) as api, pytest.raises(swagger_client.ApiException):
        api.get_datasource_by_dataset_id(DATASET)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [502, 504])
def test_a_restart_behind_a_proxy_is_retried(server: Scripted, status: int) -> None:
    """A plain call failed at once, while iterations and downloads got over it."""
    server.script(Answer(status, body=b"<html></html>"), Answer(status, body=b"<html></html>"), GOOD)
    with _api(server) as api:
        answer = api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    assert answer.processed_until_timestamp.value == 5


@pytest.mark.parametrize(
    "trouble", [BUSY, Answer(502, {}), Answer(504, {}), Answer(hang_up=True)], ids=["503", "502", "504", "hang-up"]
)
def test_a_post_is_not_retried(server: Scripted, trouble: Answer) -> None:
    """It is unknown whether the first attempt succeeded."""
    server.script(trouble)
    with _api(server) as api, pytest.raises((swagger_client.ServiceException, urllib3.exceptions.ProtocolError)):
        api.api_client.call_api("/v1/datasets", "POST", body={"name": "front-camera"})
    assert len(server.requests) == 1


def test_a_custom_retry_object(server: Scripted) -> None:
    server.script(Answer(500, {}), GOOD)
    with _api(server, urllib3.Retry(2, status_forcelist=[500])) as api:
        api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    assert len(server.requests) == 2


def test_the_delay_of_retry_after_is_used(server: Scripted) -> None:
    server.script(failure(503, "MALFORMED_RESPONSE", "The store is down.", Retry_After="1"), GOOD)
    start = time.monotonic()
    with _api(server) as api:
        api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    assert 1 <= time.monotonic() - start < 5


def test_the_delay_of_retry_after_is_limited() -> None:
    rules = rest.retry_rules(None)
    assert isinstance(rules, urllib3.Retry)
    assert rules.get_retry_after(urllib3.HTTPResponse(headers={"Retry-After": "7"})) == 7
    assert rules.get_retry_after(urllib3.HTTPResponse(headers={"Retry-After": "86400"})) == rest.MAX_RETRY_AFTER_SECONDS
    assert rules.get_retry_after(urllib3.HTTPResponse()) is None


def test_the_delays_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    rules = rest.retry_rules(None)
    assert isinstance(rules, urllib3.Retry)
    pauses = []
    for _ in range(rest.DEFAULT_RETRIES):
        rules = rules.increment("GET", PATH, error=urllib3.exceptions.ProtocolError())
        pauses.append(rules.get_backoff_time())
    assert pauses == [0, 1, 2]


def test_a_connection_closed_by_the_server_is_replaced(server: Scripted) -> None:
    server.script(Answer(json=GOOD.json, headers={"Connection": "close"}))
    with _api(server, 0) as api:
        for _ in range(3):
            api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    assert len(server.requests) == 3


def test_an_invalid_retry_after_is_ignored(api: DatasourcesApi, server: Scripted) -> None:
    """It caused a different error, without the server's text and without a retry."""
    busy = failure(503, "MALFORMED_RESPONSE", "The store is busy.", Retry_After="0.5")
    server.script(busy, Answer(json={"processedUntilTimestamp": 7}))
    answer = api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET)
    assert answer.processed_until_timestamp.value == 7
