"""A listing as a stream: every row once, one page ahead, despite failures, and without leftover threads."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import urllib3

import swagger_client
from headwater_client import ReadUrls, Sample, iter_samples, new_samples, set_datasource
from headwater_client.listing import DEFAULT_TIMEOUT_SECONDS
from swagger_client.api.datasources_api import DatasourcesApi
from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow
from swagger_client.model.timestamp import Timestamp
from tests.client.server import DATASET, Answer, Request, Scripted, failure
from tests.client.server import running as running_store
from tests.headwater_client.conftest import OLD, put
from tests.headwater_client.stores import WholeNumber
from tests.live import Live, fetch


def page(cursor: str, *names: str, more: bool = True) -> Answer:
    rows = [{"fileName": name, "readUrl": f"http://x/{name}"} for name in names]
    return Answer(json={"hasMore": more, "cursor": cursor, "data": rows})


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("swagger_client")]


def test_every_row_of_every_page(
    live: Live, live_api: DatasourcesApi, dataset: str, fill: Callable[[int], list[str]]
) -> None:
    names = fill(50)
    samples = list(iter_samples(live_api, dataset))
    assert [sample.file_name for sample in samples] == names
    assert fetch(samples[49].read_url).body == b"49"


def test_the_window_is_sent(live_api: DatasourcesApi, dataset: str, bucket: Path) -> None:
    for number in range(5):
        put(bucket, f"{number}.png", seconds=OLD + number)
    begin = datetime.fromtimestamp(OLD + 1, UTC)

    def names(**window: Any) -> list[str]:
        return [sample.file_name for sample in iter_samples(live_api, dataset, **window)]

    assert names(from_=OLD + 1, to=OLD + 3) == ["1.png", "2.png", "3.png"]
    assert names(from_=begin, to=begin.astimezone(timezone(timedelta(hours=5)))) == ["1.png"]
    assert names(from_=Timestamp(OLD + 4)) == ["4.png"]
    assert names(from_=OLD + 4, to=OLD) == []
    assert names(from_=WholeNumber(OLD + 3), to=WholeNumber(OLD + 3)) == ["3.png"]  # numpy.int64 was refused
    # The time of a file in second 1 can have any fraction.
    assert names(from_=begin + timedelta(milliseconds=900), to=begin + timedelta(milliseconds=999)) == ["1.png"]


class NotATime(datetime):
    """Stands in for `pandas.NaT`: a datetime that is not equal to itself and has no methods of one."""

    def __eq__(self, _: object) -> bool:
        return False

    def __ne__(self, _: object) -> bool:
        return True

    __hash__ = datetime.__hash__

    def utcoffset(self) -> timedelta | None:
        raise ValueError("NaTType does not support utcoffset")


@pytest.mark.parametrize(
    ("time", "error"),
    [
        (datetime(2020, 1, 1), swagger_client.ApiValueError),
        (-1, swagger_client.ApiValueError),
        (datetime(1969, 12, 31, tzinfo=UTC), swagger_client.ApiValueError),
        (1.5, swagger_client.ApiTypeError),
        ("2020", swagger_client.ApiTypeError),
        (True, swagger_client.ApiTypeError),
        (date(2020, 1, 1), swagger_client.ApiTypeError),
        (WholeNumber(-1), swagger_client.ApiValueError),
        (NotATime(2020, 1, 1), swagger_client.ApiValueError),
    ],
)
@pytest.mark.parametrize("name", ["from_", "to"])
def test_an_invalid_time_is_refused_at_once(api: DatasourcesApi, name: str, time: Any, error: type[Exception]) -> None:
    """`pandas.NaT` was a bare `ValueError: NaTType does not support utcoffset`."""
    with pytest.raises(error, match=name):
        iter_samples(api, DATASET, **{name: time})


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"pause": -1.0}, {"pause": float("nan")}])
def test_an_invalid_retry_policy_is_refused_at_once(api: DatasourcesApi, wrong: Any) -> None:
    with pytest.raises(swagger_client.ApiValueError, match=next(iter(wrong))):
        iter_samples(api, DATASET, **wrong)


@pytest.mark.parametrize("wrong", [{"attempts": 2.5}, {"attempts": "3"}, {"attempts": True}, {"pause": "1"}])
def test_a_retry_policy_of_a_wrong_type_is_refused_at_once(api: DatasourcesApi, wrong: Any) -> None:
    """A text was a bare `TypeError` about `<`, and fractions of attempts were accepted."""
    with pytest.raises(swagger_client.ApiTypeError, match=f"{next(iter(wrong))} must be a"):
        iter_samples(api, DATASET, **wrong)


@pytest.mark.parametrize("listed", [iter_samples, new_samples])
def test_a_server_that_is_not_running(listed: Any, caplog: pytest.LogCaptureFixture) -> None:
    """There were ninety lines, most of them of urllib3, with the reason at their end."""
    with running_store() as stopped:
        configuration = swagger_client.Configuration(host=stopped.url)
    configuration.retries = 0
    with swagger_client.ApiClient(configuration) as api_client:
        try:
            rows = listed(DatasourcesApi(api_client), DATASET, attempts=2, pause=0)
            rows.__enter__() if listed is new_samples else next(rows)
        except urllib3.exceptions.MaxRetryError as error:
            shown = traceback.format_exception(error)
    reason = f"no response from {stopped.url} (connection refused): check that the server is running"
    assert reason in shown[-1]
    assert len("".join(shown).splitlines()) < 20, shown
    assert f"failed, trying again in 0 s: {reason}" in caplog.text


def test_a_server_that_does_not_accept_connections_is_noticed_within_seconds() -> None:
    """The time limit of two minutes was also that for connecting, for each of twenty attempts."""
    assert DEFAULT_TIMEOUT_SECONDS == (10.0, 120.0)


def test_an_empty_page_does_not_end_the_listing(api: DatasourcesApi, server: Scripted) -> None:
    server.script(page("1"), page("2"), page("3", "a.png"), page("4"), page("5", "b.png", more=False))
    assert [sample.file_name for sample in iter_samples(api, DATASET)] == ["a.png", "b.png"]


def test_the_first_request_fixes_the_window(api: DatasourcesApi, server: Scripted) -> None:
    server.script(page("c 1", "a.png"), page("c2", "b.png", more=False))
    list(iter_samples(api, DATASET, from_=5, to=9))
    first, second = server.requests
    assert dict(first.query) == {"from": "5", "to": "9", "token": "token-of-a-test"}
    assert dict(second.query) == {"cursor": "c 1", "token": "token-of-a-test"}


def test_no_request_before_the_first_row_is_read(api: DatasourcesApi, server: Scripted) -> None:
    server.script(page("1", more=False))
    rows = iter_samples(api, DATASET)
    assert server.requests == []
    assert list(rows) == []
    assert len(server.requests) == 1


def test_only_one_page_is_fetched_ahead(api: DatasourcesApi, server: Scripted) -> None:
    server.script(page("1", "a", "b"), page("2", "c"), page("3", "d"), page("4", "e"))
    rows = iter_samples(api, DATASET)
    assert next(rows).file_name == "a"
    _until(lambda: len(server.requests) == 2)
    assert next(rows).file_name == "b"
    time.sleep(0.1)
    assert len(server.requests) == 2
    assert threads() == [], "the thread has ended with its page"
    assert next(rows).file_name == "c"
    _until(lambda: len(server.requests) == 3)
    time.sleep(0.1)
    assert len(server.requests) == 3
    rows.close()  # type: ignore[attr-defined]


def test_the_next_page_is_fetched_during_processing(api: DatasourcesApi, server: Scripted) -> None:
    answers = [page(str(number), "a", more=number < 4) for number in range(5)]
    for answer in answers:
        answer.delay = 0.3
    server.script(*answers)
    start = time.monotonic()
    for _ in iter_samples(api, DATASET):
        time.sleep(0.3)
    assert time.monotonic() - start < 2.7, "not 5 times fetching plus 5 times processing"


@pytest.mark.parametrize("trouble", [Answer(hang_up=True), Answer(503), Answer(429), Answer(502, body=b"<html>")])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_after_a_failure_it_continues_by_cursor(
    plain_api: DatasourcesApi, server: Scripted, trouble: Answer, position: int
) -> None:
    pages = [page("1", "a"), page("2", "b"), page("3", "c", more=False)]
    server.script(*pages[:position], trouble, trouble, *pages[position:])
    rows = iter_samples(plain_api, DATASET, pause=0.01)
    assert [sample.file_name for sample in rows] == ["a", "b", "c"]
    cursors = [dict(request.query).get("cursor") for request in server.requests]
    expected: list[str | None] = [None, "1", "2"]
    assert cursors == expected[:position] + [expected[position]] * 3 + expected[position + 1 :]


def test_the_clients_own_retries_come_first(
    api: DatasourcesApi, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urllib3.Retry, "sleep", lambda *_: None)
    server.script(*[Answer(503)] * 7, page("1", "a", more=False))
    assert len(list(iter_samples(api, DATASET, attempts=2, pause=0))) == 1
    assert len(server.requests) == 8


def test_it_gives_up_after_the_last_attempt(plain_api: DatasourcesApi, server: Scripted) -> None:
    server.script(page("1", "a", "b"), failure(503, "MALFORMED_RESPONSE", "The store is down."))
    rows = iter_samples(plain_api, DATASET, attempts=3, pause=0)
    assert next(rows).file_name == "a"
    assert next(rows).file_name == "b"
    with pytest.raises(swagger_client.ServiceException, match=r"The store is down\."):
        next(rows)
    assert len(server.requests) == 4
    with pytest.raises(StopIteration):
        next(rows)


def test_the_delays_grow_and_retry_after_is_used(plain_api: DatasourcesApi, server: Scripted) -> None:
    server.script(Answer(503), Answer(503), page("1", more=False))
    start = time.monotonic()
    list(iter_samples(plain_api, DATASET, pause=0.1))
    assert 0.3 <= time.monotonic() - start < 3
    server.script(Answer(429, headers={"Retry-After": "1"}), page("1", more=False))
    start = time.monotonic()
    list(iter_samples(plain_api, DATASET, pause=0))
    assert 1 <= time.monotonic() - start < 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_permanent_errors_are_not_retried(plain_api: DatasourcesApi, server: Scripted, status: int) -> None:
    server.script(page("1", "a"), failure(status, "SOME_CODE", "No."))
    rows = iter_samples(plain_api, DATASET)
    next(rows)
    with pytest.raises(swagger_client.ApiException) as caught:
        next(rows)
    assert caught.value.status == status
    assert len(server.requests) == 2


def test_log_lines_hide_the_token(
    plain_api: DatasourcesApi, server: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    server.script(Answer(hang_up=True), page("1", more=False))
    list(iter_samples(plain_api, DATASET, pause=0))
    assert "a page of the listing failed, trying again in 0 s" in caplog.text
    assert "token-of-a-test" not in caplog.text


def test_leaving_the_loop_stops_the_requests(plain_api: DatasourcesApi, server: Scripted) -> None:
    """Even during a long delay before a retry of the next page."""
    server.script(page("1", "a", "b"), Answer(503))
    rows = iter_samples(plain_api, DATASET, pause=30)
    start = time.monotonic()
    for _ in rows:
        _until(lambda: len(server.requests) == 2)
        break
    rows.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 2
    _until(lambda: threads() == [])
    assert len(server.requests) == 2


def test_deleting_the_iterator_stops_the_requests(plain_api: DatasourcesApi, server: Scripted) -> None:
    server.script(page("1", "a", "b"), Answer(503))
    rows = iter_samples(plain_api, DATASET, pause=30)
    next(rows)
    del rows
    gc.collect()
    _until(lambda: threads() == [])


def test_a_response_that_exceeds_the_time_limit(plain_api: DatasourcesApi, server: Scripted) -> None:
    slow = page("1", "a", more=False)
    slow.delay = 1.0
    server.script(slow, page("2", "b", more=False))
    rows = iter_samples(plain_api, DATASET, request_timeout=0.2, pause=0)
    assert [sample.file_name for sample in rows] == ["b"]


def test_the_number_of_pages_does_not_affect_memory(api: DatasourcesApi, server: Scripted) -> None:
    names = [f"{number:04}-{'x' * 100}.png" for number in range(500)]

    def peak(pages: int) -> int:
        def answer(request: Request) -> Answer:
            number = int(dict(request.query).get("cursor", "0")) + 1
            return page(str(number), *names, more=number < pages)

        server.answer = answer
        tracemalloc.start()
        try:
            assert sum(1 for _ in iter_samples(api, DATASET)) == 500 * pages
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)
    assert peak(30) < 1.3 * peak(4)


def test_a_sample_is_a_row(api: DatasourcesApi, server: Scripted) -> None:
    rows = [{"fileName": "a", "readUrl": "http://x/a", "size": 5}]
    server.script(Answer(json={"hasMore": False, "cursor": "1", "data": rows}))
    (sample,) = iter_samples(api, DATASET)
    plain = DatasourceRawSamplesDataRow("a", "http://x/a")
    plain["size"] = 5
    assert isinstance(sample, Sample)
    assert sample == plain
    assert plain == sample
    assert sample != DatasourceRawSamplesDataRow("a", "http://x/a")
    assert sample.to_dict() == {"file_name": "a", "read_url": "http://x/a", "size": 5}
    assert repr(sample) == repr(plain)
    for copied in (copy.copy(sample), copy.deepcopy(sample), pickle.loads(pickle.dumps(sample))):
        assert type(copied) is Sample
        assert copied == sample
    with pytest.raises(AttributeError):
        _ = sample["other"]
    with pytest.raises(TypeError):
        hash(sample)


def _until(condition: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("work", [iter_samples, new_samples, ReadUrls, lambda api, name: set_datasource(api, name, {})])
@pytest.mark.parametrize("name", ["front", "", "5" * 23, "5" * 24 + "\n", "X" * 1000])
def test_a_name_instead_of_an_id(plain_api: DatasourcesApi, work: Callable[..., Any], name: str) -> None:
    """The error was about a regular expression for `value`, and came with the first row."""
    with pytest.raises(swagger_client.ApiValueError, match=r"24 hexadecimal digits.*get_datasets") as caught:
        work(plain_api, name)
    assert len(str(caught.value)) < 500
