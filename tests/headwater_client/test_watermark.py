"""New samples: the watermark moves only after all of them were processed, and never backwards."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

import swagger_client
from headwater_client import download, new_samples
from swagger_client.api.datasources_api import DatasourcesApi
from tests.client.server import DATASET, Answer, Request, Scripted, failure
from tests.headwater_client.conftest import OLD, put
from tests.headwater_client.fake_server import FakeServer
from tests.headwater_client.stores import listed_page
from tests.live import Live


def watermark(live: Live, dataset: str) -> int:
    return int(live.call("GET", live.datasource(dataset, "processedUntilTimestamp")).json["processedUntilTimestamp"])


def move(live: Live, dataset: str, seconds: int) -> None:
    path = live.datasource(dataset, "processedUntilTimestamp")
    assert live.call("PUT", path, {"processedUntilTimestamp": seconds}).status == 200


def settle_until(seconds: int) -> float:
    """Return the settle seconds with which a window ends in this second, or one or two before it."""
    return time.time() - seconds


def test_new_samples_are_listed_and_the_watermark_moves(
    live: Live, live_api: DatasourcesApi, dataset: str, fill: Callable[[int], list[str]]
) -> None:
    names = fill(20)
    with new_samples(live_api, dataset, settle=60) as samples:
        assert samples.begin == 0
        assert abs(samples.end - (time.time() - 60)) < 5
        assert [sample.file_name for sample in samples] == names
        assert watermark(live, dataset) == 0, "not before the block has ended"
    assert samples.consumed
    assert samples.moved
    assert watermark(live, dataset) == samples.end
    with new_samples(live_api, dataset, settle=0) as samples:
        assert samples.begin > OLD
        assert list(samples) == []


def test_new_samples_without_a_block(live_api: DatasourcesApi, dataset: str, tmp_path: Path) -> None:
    """The error was that an object of a private class is not iterable."""
    with pytest.raises(swagger_client.ApiTypeError, match=r"use `with new_samples\("):
        list(new_samples(live_api, dataset))  # type: ignore[call-overload]
    with pytest.raises(swagger_client.ApiTypeError, match=r"use `with new_samples\("):
        download(new_samples(live_api, dataset), tmp_path)  # type: ignore[arg-type]


def test_a_file_from_1970_is_new_until_the_watermark_is_set(
    live_api: DatasourcesApi, dataset: str, bucket: Path
) -> None:
    """It was never listed. Build tools and archives set this time."""
    put(bucket, "reproducible.png", seconds=0)
    with new_samples(live_api, dataset) as samples:
        assert [sample.file_name for sample in samples] == ["reproducible.png"]
    with new_samples(live_api, dataset) as samples:
        assert list(samples) == []


def test_files_that_arrive_during_the_block_are_new_next_time(
    live: Live, live_api: DatasourcesApi, dataset: str, bucket: Path, fill: Callable[[int], list[str]]
) -> None:
    fill(20)
    with new_samples(live_api, dataset, settle=settle_until(OLD + 10)) as samples:
        put(bucket, "edge.png", seconds=samples.end)
        late = put(bucket, "late.png", seconds=samples.end + 1)
        names = [sample.file_name for sample in samples]
    assert "edge.png" in names
    assert late not in names
    with new_samples(live_api, dataset, settle=settle_until(OLD + 20)) as samples:
        assert [sample.file_name for sample in samples] == [late]


def test_a_file_in_the_second_of_the_watermark_is_not_new(
    live: Live, live_api: DatasourcesApi, dataset: str, bucket: Path
) -> None:
    put(bucket, "at.png", seconds=OLD)
    put(bucket, "after.png", seconds=OLD + 1)
    move(live, dataset, OLD)
    with new_samples(live_api, dataset) as samples:
        assert [sample.file_name for sample in samples] == ["after.png"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("read", [0, 3, 20])
def test_an_exception_leaves_the_watermark_unchanged(
    live: Live,
    live_api: DatasourcesApi,
    dataset: str,
    fill: Callable[[int], list[str]],
    error: type[BaseException],
    read: int,
) -> None:
    """Even an exception after the last sample."""
    fill(20)
    with pytest.raises(error), new_samples(live_api, dataset) as samples:  # noqa: PT012
        for _ in range(read):
            next(samples)
        if read == 20:
            assert list(samples) == []
        raise error
    assert watermark(live, dataset) == 0
    assert not samples.moved


def test_break_leaves_the_watermark_unchanged(
    live: Live, live_api: DatasourcesApi, dataset: str, fill: Callable[[int], list[str]]
) -> None:
    """Even a break at the last sample: only another read shows that there are no more."""
    names = fill(20)
    with new_samples(live_api, dataset) as samples:
        for sample in samples:
            if sample.file_name == names[-1]:
                break
    assert not samples.consumed
    assert watermark(live, dataset) == 0
    assert next(samples, None) is None
    assert not samples.consumed, "the end of a block is not the end of a listing"


def test_unread_samples_leave_the_watermark_unchanged(live: Live, live_api: DatasourcesApi, dataset: str) -> None:
    with new_samples(live_api, dataset):
        pass
    assert watermark(live, dataset) == 0


def test_the_watermark_moves_without_new_samples(live: Live, live_api: DatasourcesApi, dataset: str) -> None:
    with new_samples(live_api, dataset) as samples:
        assert list(samples) == []
    assert samples.moved
    assert watermark(live, dataset) == samples.end


def test_a_watermark_past_the_window_is_not_moved(
    live: Live, live_api: DatasourcesApi, dataset: str, fill: Callable[[int], list[str]]
) -> None:
    fill(3)
    ahead = int(time.time()) - 30
    move(live, dataset, ahead)
    with new_samples(live_api, dataset, settle=60) as samples:
        assert samples.end < samples.begin
        assert list(samples) == []
    assert not samples.moved
    assert watermark(live, dataset) == ahead


def test_a_watermark_lowered_during_the_block_is_not_overwritten(
    live: Live,
    live_api: DatasourcesApi,
    dataset: str,
    fill: Callable[[int], list[str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    fill(3)
    move(live, dataset, OLD)
    with new_samples(live_api, dataset) as samples:
        move(live, dataset, OLD - 100)
        assert list(samples) == []
    assert not samples.moved
    assert watermark(live, dataset) == OLD - 100
    assert f"set back from {OLD} to {OLD - 100}" in caplog.text


@pytest.mark.parametrize("start", [0, OLD - 100])
def test_a_datasource_that_moved_during_the_block_is_listed_again(
    live: Live,
    live_api: DatasourcesApi,
    dataset: str,
    bucket: Path,
    fill: Callable[[int], list[str]],
    start: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """If the watermark was 0, only the cursor shows that the datasource moved."""
    fill(3)
    put(bucket, "below/old.png", seconds=OLD)
    move(live, dataset, start)
    with new_samples(live_api, dataset) as samples:
        assert len(list(samples)) == 4
        config = {"type": "LOCAL", "fullPath": f"{bucket.name}/below"}
        assert live.call("PUT", live.datasource(dataset), config).status == 200
    assert not samples.moved
    assert watermark(live, dataset) == 0
    assert "the watermark is not moved" in caplog.text
    with new_samples(live_api, dataset) as samples:
        assert [sample.file_name for sample in samples] == ["old.png"]
    assert samples.moved


def test_a_datasource_that_moves_during_the_listing_is_an_error(
    live: Live, live_api: DatasourcesApi, dataset: str, bucket: Path, fill: Callable[[int], list[str]]
) -> None:
    fill(40)
    put(bucket, "below/old.png")
    with pytest.raises(swagger_client.ApiException, match="moved"), new_samples(live_api, dataset) as samples:  # noqa: PT012
        next(samples)
        config = {"type": "LOCAL", "fullPath": f"{bucket.name}/below"}
        assert live.call("PUT", live.datasource(dataset), config).status == 200
        list(samples)
    assert watermark(live, dataset) == 0


@pytest.mark.parametrize(("other", "stays"), [(-100, False), (0, True), (100, True)])
def test_a_watermark_raised_during_the_block_is_never_lowered(
    live: Live, live_api: DatasourcesApi, dataset: str, fill: Callable[[int], list[str]], other: int, stays: bool
) -> None:
    fill(3)
    with new_samples(live_api, dataset, settle=3600) as samples:
        assert len(list(samples)) == 3
        move(live, dataset, samples.end + other)
    assert samples.moved is not stays
    assert watermark(live, dataset) == samples.end + max(other, 0)


def test_a_suppressed_error_is_not_the_end_of_the_listing(
    live: Live, live_api: DatasourcesApi, dataset: str, bucket: Path, fill: Callable[[int], list[str]]
) -> None:
    """An iterator ends after an error, but the listing does not."""
    fill(40)
    config = live.call("GET", live.datasource(dataset)).json
    with new_samples(live_api, dataset) as samples:
        next(samples)
        live.call("PUT", live.datasource(dataset), {**config, "fullPath": f"{bucket.name}-none"})
        with pytest.raises(swagger_client.ApiException):
            list(samples)
        live.call("PUT", live.datasource(dataset), config)
        assert list(samples) == []
    assert not samples.consumed
    assert watermark(live, dataset) == 0


def test_each_block_needs_its_own_call(live_api: DatasourcesApi, dataset: str) -> None:
    block = new_samples(live_api, dataset)
    with block as samples:
        list(samples)
    with pytest.raises(swagger_client.ApiValueError, match="call new_samples again"):
        block.__enter__()


@pytest.mark.parametrize("settle", [-1, math.nan, math.inf])
def test_an_invalid_settle_is_refused_at_once(api: DatasourcesApi, settle: float) -> None:
    with pytest.raises(swagger_client.ApiValueError, match="settle"):
        new_samples(api, DATASET, settle=settle)


@pytest.mark.parametrize("settle", [0, 0.5, 60, 3600])
def test_now_is_the_time_of_the_server(
    api: DatasourcesApi, server: Scripted, monkeypatch: pytest.MonkeyPatch, settle: float
) -> None:
    now = OLD + 12345
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: formatdate(now, usegmt=True))
    fake = FakeServer(server)
    with new_samples(api, DATASET, settle=settle) as samples:
        assert len(list(samples)) == 2
    assert samples.end == math.floor(now - settle)
    assert fake.mark == samples.end


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 99 Foo 2020 00:00:00 GMT"])
def test_without_a_date_header_now_is_the_local_time(
    api: DatasourcesApi, server: Scripted, monkeypatch: pytest.MonkeyPatch, date: str
) -> None:
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: date)
    FakeServer(server)
    with new_samples(api, DATASET) as samples:
        list(samples)
    assert abs(samples.end - (time.time() - 60)) < 5


@pytest.mark.parametrize("key", ["GET /processedUntilTimestamp", "GET /list", "PUT /processedUntilTimestamp"])
def test_every_request_is_retried(configuration: swagger_client.Configuration, server: Scripted, key: str) -> None:
    configuration.retries = 0
    fake = FakeServer(server)
    fake.trouble[key] = [Answer(503), Answer(hang_up=True)]
    with swagger_client.ApiClient(configuration) as api_client:
        with new_samples(DatasourcesApi(api_client), DATASET, pause=0) as samples:
            assert len(list(samples)) == 2
        assert samples.moved
        assert fake.mark == samples.end


@pytest.mark.parametrize("cursor", [False, True])
def test_a_server_that_fails_at_the_end_is_an_error(
    configuration: swagger_client.Configuration, server: Scripted, cursor: bool
) -> None:
    configuration.retries = 0
    fake = FakeServer(server)
    with swagger_client.ApiClient(configuration) as api_client:
        block = new_samples(DatasourcesApi(api_client), DATASET, attempts=1)
        with pytest.raises(swagger_client.ServiceException), block as samples:  # noqa: PT012
            list(samples)
            key = "GET /list" if cursor else "PUT /processedUntilTimestamp"
            fake.trouble[key] = [failure(503, "MALFORMED_RESPONSE", "The catalog is down.")]
    assert fake.mark == 0


def test_a_last_cursor_that_is_refused_for_another_reason_is_an_error(api: DatasourcesApi, server: Scripted) -> None:
    fake = FakeServer(server)
    refused = failure(400, "DATASET_DATASOURCE_INVALID", "No such bucket.")
    with pytest.raises(swagger_client.ApiException, match="No such bucket"), new_samples(api, DATASET) as samples:  # noqa: PT012
        list(samples)
        fake.trouble["GET /list"] = [refused]
    assert fake.mark == 0


def test_a_successful_block_logs_nothing(
    live_api: DatasourcesApi, dataset: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "swagger_client"), new_samples(live_api, dataset) as samples:
        list(samples)
    assert [record for record in caplog.records if record.name.startswith("swagger_client.samples")] == []


def test_a_watermark_lowered_between_two_attempts_is_not_overwritten(
    plain_api: DatasourcesApi, server: Scripted
) -> None:
    """Only the PUT was retried, minutes after the checks, so files that someone wanted again were lost."""
    held = {"mark": 100, "puts": 0}

    def answer(request: Request) -> Answer:
        if request.path.endswith("/list"):
            return listed_page()
        if request.method == "GET":
            return Answer(json={"processedUntilTimestamp": held["mark"]})
        held["puts"] += 1
        held["mark"] = 0  # someone lowers it while the server is busy
        return failure(503, "MALFORMED_RESPONSE", "Busy.")

    server.answer = answer
    with new_samples(plain_api, DATASET, pause=0) as samples:
        assert list(samples) == []
    assert (samples.moved, held) == (False, {"mark": 0, "puts": 1})


def test_a_lost_response_counts_as_moved(plain_api: DatasourcesApi, server: Scripted) -> None:
    held = {"mark": 100, "puts": 0}

    def answer(request: Request) -> Answer:
        if request.path.endswith("/list"):
            return listed_page()
        if request.method == "GET":
            return Answer(json={"processedUntilTimestamp": held["mark"]})
        held["puts"] += 1
        held["mark"] = request.json["processedUntilTimestamp"]
        return Answer(hang_up=True)

    server.answer = answer
    with new_samples(plain_api, DATASET, pause=0) as samples:
        assert list(samples) == []
    assert samples.moved
    assert held == {"mark": samples.end, "puts": 1}
