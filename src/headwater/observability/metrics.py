"""Metrics in the formats of Prometheus and OpenMetrics. docs/monitoring.md describes each of them.

Only a server whose operator wants metrics imports this module.

No label has a value that a client or a store chooses: routes are templates, codes are those that the code knows, and
datasets have an id and an upper limit. Times are in seconds and sizes in bytes, as Prometheus asks for.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate, product
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from headwater import __version__
from headwater.domain.errors import CatalogUnavailableError, HeadwaterError, StartupError
from headwater.domain.feed import FeedMode
from headwater.observability.work import OTHER, CatalogWork, RequestWork, StoreWork, Usage, Work

_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"})

_REQUEST_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STORE_BOUNDS = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
_CATALOG_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)

LIMITS_MET = ("body_too_slow", "connections", "connections_of_one_address", "head_too_slow", "response_not_read")
"""The limits of connections (contract.md#connections)."""


class DatasetProgress(NamedTuple):
    """How far the processing of a dataset has come.

    Attributes:
        id: of the dataset.
        watermark: in Unix seconds; None if it was never set.
        last_listing: when a listing of its exact feed last ended, in Unix seconds; None if none has.
    """

    id: str
    watermark: int | None
    last_listing: float | None


class Snapshot(NamedTuple):
    """What is read when metrics are asked for.

    Attributes:
        now: Unix seconds.
        ready: whether the server is ready, as `/readyz` says.
        datasets: the progress of datasets.
        left_out: whether there are more datasets than may be listed.
        usage: how much of what is limited is in use.
    """

    now: float
    ready: bool
    datasets: Sequence[DatasetProgress]
    left_out: bool
    usage: Iterable[Usage]


class Metrics:
    """The metrics of one process; an `Observer`.

    Args:
        catalog: the kind of the database, for `headwater_build_info`.
    """

    def __init__(self, catalog: str) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self._registry)
        work = _WorkMetrics(self._registry)
        self._begin, self._end = work.begin, work.end
        self._counters = _counters(self._registry)
        self._gauges = _Gauges(self._registry)
        build = Gauge(
            "headwater_build_info",
            "Always 1; the labels tell what runs.",
            ("version", "python", "catalog"),
            registry=self._registry,
        )
        build.labels(__version__, platform.python_version(), catalog).set(1)

    def begin(self, work: Work) -> None:
        """See `Observer.begin`."""
        self._begin(work)

    def end(self, work: Work, state: object) -> None:
        """See `Observer.end`."""
        self._end(work)

    def count(self, event: str, amount: int, *labels: str) -> None:
        """See `Observer.count`."""
        self._counters[event].add(amount, *labels)

    def render(self, snapshot: Snapshot, accept: str) -> tuple[bytes, str]:
        """Return all metrics and their media type.

        Args:
            snapshot: what was read just now.
            accept: the header `Accept` of the request, which chooses the format.
        """
        self._gauges.set(snapshot)
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type


class _Counter(Collector):
    """A counter. It is in one thread, so it needs no lock as those of the library: that takes twice as long.

    Args:
        registry: what the counter belongs to.
        name: without `headwater_` and `_total`.
        help: the description.
        labels: the names of the labels.
        known: the values of the labels from which it begins with 0.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        name: str,
        help: str,  # noqa: A002
        labels: tuple[str, ...] = (),
        known: Iterable[tuple[str, ...]] = (),
    ) -> None:
        self._name, self._help, self._labels = f"headwater_{name}", help, labels
        self._values = dict.fromkeys(known if labels else [()], 0.0)
        registry.register(self)

    def add(self, amount: float, *labels: str) -> None:
        self._values[labels] = self._values.get(labels, 0.0) + amount

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._help, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        yield family


class _Histogram(Collector):
    """A histogram of seconds; see `_Counter`.

    Args:
        registry: what the histogram belongs to.
        name: without `headwater_` and `_duration_seconds`.
        help: the description.
        labels: the names of the labels.
        bounds: the upper bounds of the buckets.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        name: str,
        help: str,  # noqa: A002
        labels: tuple[str, ...],
        bounds: tuple[float, ...],
    ) -> None:
        self._name, self._help, self._labels = f"headwater_{name}_duration_seconds", help, labels
        self._bounds = bounds
        self._empty = [0.0] * (len(bounds) + 2)
        self._values: dict[tuple[str, ...], list[float]] = {}
        """For each bucket how often, and the sum of all."""
        registry.register(self)

    def observe(self, seconds: float, *labels: str) -> None:
        values = self._values.get(labels)
        if values is None:
            values = self._values[labels] = self._empty.copy()
        values[bisect_left(self._bounds, seconds)] += 1
        values[-1] += seconds

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self._name, self._help, labels=self._labels)
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        for labels, (*counts, total) in self._values.items():
            family.add_metric(labels, list(zip(names, accumulate(counts), strict=True)), total)
        yield family


def _counters(registry: CollectorRegistry) -> dict[str, _Counter]:
    """Return the counters by the events that they count."""
    return {
        "errors": _Counter(
            registry,
            "http_errors",
            "Requests that were answered with an error, by the error.",
            ("error",),
            [(each,) for each in _names(HeadwaterError)],
        ),
        "limits_met": _Counter(
            registry,
            "http_limits_met",
            "Connections that were refused or closed because of a limit for clients.",
            ("limit",),
            [(each,) for each in LIMITS_MET],
        ),
        "store_errors": _Counter(
            registry, "store_errors", "Error responses of stores and errors of disks, by code.", ("provider", "code")
        ),
        "pages": _Counter(registry, "listing_pages", "Pages of listings.", ("feed",), _FEEDS),
        "rows": _Counter(registry, "listing_rows", "Files on pages of listings.", ("feed",), _FEEDS),
        "late_arrivals": _Counter(registry, "late_arrivals", "File versions that exact feeds found after their time."),
    }


_FEEDS = [(mode.value,) for mode in FeedMode]


def _names(error: type[HeadwaterError]) -> list[str]:
    """Return the names of an error and its subclasses that requests can end with."""
    kinds = [each for each in error.__subclasses__() if not issubclass(each, StartupError)]
    return sorted({error.name(), *(name for each in kinds for name in _names(each))})


class _WorkMetrics:
    """Counts and durations of work."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._in_flight: dict[type[Work], int] = {}
        kinds: tuple[tuple[type[Work], str, str], ...] = (
            (RequestWork, "http_requests", "Requests in flight, this one included."),
            (StoreWork, "store_requests", "Requests to stores and uses of disks in flight."),
            (CatalogWork, "catalog_units", "Units of work of the catalog that run, or wait for their turn."),
        )
        for kind, name, what in kinds:
            self._in_flight[kind] = 0
            gauge = Gauge(f"headwater_{name}_in_flight", what, registry=registry)
            gauge.set_function(partial(self._in_flight.__getitem__, kind))
        self._requests = _Histogram(
            registry,
            "http_request",
            "Time from the head of a request to the end of its response.",
            ("method", "route", "status"),
            _REQUEST_BOUNDS,
        )
        self._stores = _Histogram(
            registry,
            "store_request",
            "Time of a request to a store with its retries, or of one use of a disk.",
            ("provider", "status"),
            _STORE_BOUNDS,
        )
        self._retries = _Counter(registry, "store_retries", "Requests that were sent to stores again.", ("provider",))
        self._units = _Histogram(
            registry,
            "catalog_unit",
            "Time of a unit of work of the catalog, with what it waited for.",
            ("mode",),
            _CATALOG_BOUNDS,
        )
        self._waits = _Counter(
            registry,
            "catalog_wait_seconds",
            "Time that units of work waited for a thread, a connection or SQLite's write lock.",
            ("mode",),
            [("read",), ("write",)],
        )
        self._failures = _Counter(
            registry,
            "catalog_errors",
            "Units of work that failed because of the catalog.",
            ("mode", "error"),
            list(product(("read", "write"), _names(CatalogUnavailableError))),
        )

    def begin(self, work: Work) -> None:
        self._in_flight[type(work)] += 1

    def end(self, work: Work) -> None:
        self._in_flight[type(work)] -= 1
        if isinstance(work, CatalogWork):
            self._units.observe(work.seconds, work.mode)
            self._waits.add(work.waited, work.mode)
            if isinstance(work.error, CatalogUnavailableError):
                self._failures.add(1, work.mode, work.error.name())
        elif isinstance(work, StoreWork):
            self._stores.observe(work.seconds, work.provider, work.status)
            if work.retries:
                self._retries.add(work.retries, work.provider)
        elif isinstance(work, RequestWork):
            method = work.method if work.method in _METHODS else OTHER
            status = "disconnected" if work.status is None else str(work.status)
            self._requests.observe(work.seconds, method, work.route or "unknown", status)


class _Gauges:
    """What is set from a snapshot."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, help: str, *labels: str) -> Gauge:  # noqa: A002
            return Gauge(f"headwater_{name}", help, labels, registry=registry)

        self._ready = gauge(
            "ready", "1 if the server is ready, as /readyz says; 0 if not, or if it is not known in time."
        )
        self._left_out = gauge("datasets_left_out", "1 if there are more datasets than HEADWATER_METRICS_MAX_DATASETS.")
        self._watermark = gauge("dataset_watermark_timestamp_seconds", "The watermark of a dataset.", "dataset")
        self._lag = gauge(
            "dataset_watermark_lag_seconds", "How long ago the watermark of a dataset is; negative if ahead.", "dataset"
        )
        self._listing = gauge(
            "dataset_last_listing_timestamp_seconds", "When a listing of an exact feed last ended.", "dataset"
        )
        self._used = gauge("limit_used", "How much of something limited is in use.", "limit")
        self._most = gauge("limit_max", "How much of it there is.", "limit")
        self._waiting = gauge("limit_waiting", "How much work waits for it.", "limit")

    def set(self, snapshot: Snapshot) -> None:
        self._ready.set(snapshot.ready)
        self._left_out.set(snapshot.left_out)
        for each in (self._watermark, self._lag, self._listing, self._used, self._most, self._waiting):
            each.clear()
        for dataset in snapshot.datasets:
            if dataset.watermark is not None:
                self._watermark.labels(dataset.id).set(dataset.watermark)
                self._lag.labels(dataset.id).set(snapshot.now - dataset.watermark)
            if dataset.last_listing is not None:
                self._listing.labels(dataset.id).set(dataset.last_listing)
        for limit, used, most, waiting in snapshot.usage:
            self._used.labels(limit).inc(used)
            self._most.labels(limit).inc(most)
            self._waiting.labels(limit).inc(waiting)
