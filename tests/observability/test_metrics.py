"""Metrics count work. The library's own instruments, with locks, are the oracle for ours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from headwater.domain.errors import CatalogUnavailableError
from headwater.domain.feed import FeedMode
from headwater.observability import metrics as module
from headwater.observability.metrics import DatasetProgress, Metrics, Snapshot
from headwater.observability.work import CatalogWork, RequestWork, StoreWork, Usage, count, observing

LABELS = st.sampled_from(["a", 'b"\\', "c\n"])


def samples_of(metrics: Metrics, snapshot: Snapshot | None = None) -> dict[tuple[str, ...], float]:
    """Return all samples by their name and the values of their labels, in the order of the labels' names."""
    body, _ = metrics.render(snapshot or Snapshot(0.0, True, (), False, ()), "")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


@given(st.lists(st.tuples(LABELS, st.floats(0, 100))))
def test_counters_and_histograms_are_those_of_the_library(events: list[tuple[str, float]]) -> None:
    disable_created_metrics()
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    bounds = (0.5, 1, 10)
    counter = module._Counter(ours, "x", "Help.", ("label",))
    histogram = module._Histogram(ours, "y", "Help.", ("label",), bounds)
    their_counter = Counter("headwater_x", "Help.", ("label",), registry=theirs)
    their_histogram = Histogram("headwater_y_duration_seconds", "Help.", ("label",), buckets=bounds, registry=theirs)
    for label, value in events:
        counter.add(value, label)
        histogram.observe(value, label)
        their_counter.labels(label).inc(value)
        their_histogram.labels(label).observe(value)
    assert generate_latest(ours) == generate_latest(theirs)


def test_work_is_counted_while_it_is_in_flight_and_when_it_ends() -> None:
    metrics = Metrics("sqlite")
    with observing(metrics):
        with RequestWork("GET", [], "id") as request:
            assert samples_of(metrics)["headwater_http_requests_in_flight",] == 1
            with CatalogWork("read") as unit:
                unit.waited = 2.0
            request.route, request.status = "/v1/datasets/{dataset_id}", 200
        with RequestWork("BREW", [], "id") as request:
            request.status = None
        with StoreWork("s3", "GET") as asked:
            asked.status, asked.retries = "503", 3
        try:
            with CatalogWork("write"):
                raise CatalogUnavailableError("locked")
        except CatalogUnavailableError:
            pass
        count("rows", FeedMode.EXACT, amount=7)
    found = samples_of(metrics)
    assert found["headwater_http_requests_in_flight",] == 0
    assert found["headwater_http_request_duration_seconds_count", "GET", "/v1/datasets/{dataset_id}", "200"] == 1
    assert found["headwater_http_request_duration_seconds_count", "other", "unknown", "disconnected"] == 1
    assert found["headwater_store_request_duration_seconds_count", "s3", "503"] == 1
    assert found["headwater_store_retries_total", "s3"] == 3
    assert found["headwater_catalog_unit_duration_seconds_count", "read"] == 1
    assert found["headwater_catalog_wait_seconds_total", "read"] == 2
    assert found["headwater_catalog_errors_total", "CatalogUnavailable", "write"] == 1
    assert found["headwater_listing_rows_total", "exact"] == 7


def test_gauges_are_those_of_the_last_snapshot() -> None:
    """Of a dataset that was deleted, or a limit that is gone, no value may stay behind."""
    metrics = Metrics("sqlite")
    usage = [Usage("uploads", 1, 256), Usage("uploads", 2, 256), Usage("threads_compute", 2, 2, 5)]
    first = [DatasetProgress("a", 90, 95.5), DatasetProgress("b", None, None), DatasetProgress("c", None, 80.0)]
    found = samples_of(metrics, Snapshot(100.0, True, first, True, usage))
    assert found["headwater_ready",] == found["headwater_datasets_left_out",] == 1
    assert found["headwater_dataset_watermark_lag_seconds", "a"] == 10
    assert found["headwater_dataset_watermark_timestamp_seconds", "a"] == 90
    assert found["headwater_dataset_last_listing_timestamp_seconds", "a"] == 95.5
    assert found["headwater_dataset_last_listing_timestamp_seconds", "c"] == 80
    assert not any("b" in key for key in found)
    assert ("headwater_dataset_watermark_lag_seconds", "c") not in found
    assert (found["headwater_limit_used", "uploads"], found["headwater_limit_max", "uploads"]) == (3, 512)
    assert found["headwater_limit_waiting", "threads_compute"] == 5
    found = samples_of(metrics, Snapshot(100.0, False, [], False, []))
    assert found["headwater_ready",] == 0
    assert not any(key[0].startswith(("headwater_dataset_", "headwater_limit_")) for key in found)


def test_errors_are_counted_from_the_start() -> None:
    """A series that begins with 1 has no increase, so the first error would raise no alert."""
    found = samples_of(Metrics("sqlite"))
    for error in ("Unexpected", "CatalogUnavailable", "StoreUnavailable", "IssuerUnavailable", "TooManyRequests"):
        assert found["headwater_http_errors_total", error] == 0
    assert not any("_NotRetryable" in key or "Startup" in key for key in found)
