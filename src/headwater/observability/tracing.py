"""Traces by OpenTelemetry: a span for each request, request to a store, and unit of work of the catalog.

The extra `tracing` installs what this module imports, and the variables of OpenTelemetry set where spans are sent
(docs/monitoring.md#traces). Attributes tell no token, secret, URL, path or key, and no text of an error, which may
contain one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from headwater import __version__
from headwater.domain.errors import HeadwaterError
from headwater.observability.work import CatalogWork, RequestWork, StoreWork, Work, observing

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"

FLUSH_SECONDS = 5.0
"""How long the end of the server waits until the last spans are sent."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def traced(environ: Mapping[str, str]) -> AsyncIterator[None]:
    """Trace what is done in the block, if the variables of OpenTelemetry name an endpoint.

    Args:
        environ: the variables. OpenTelemetry itself reads those of the process.
    """
    provider = _provider(environ)
    if provider is None:
        yield
        return
    log.info("tracing_started")
    try:
        with observing(Tracing(provider)):
            yield
    finally:
        # A daemon thread: nobody waits longer for an endpoint that does not answer.
        flushing = threading.Thread(target=provider.shutdown, name="tracing-flush", daemon=True)
        flushing.start()
        await asyncio.to_thread(flushing.join, FLUSH_SECONDS)


def _provider(environ: Mapping[str, str]) -> TracerProvider | None:
    """Return what makes spans and sends them; None if they are not wanted, or not possible, which is logged."""
    exporter = environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    if not any(map(environ.get, ENDPOINTS)) or exporter == "none":
        return None
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    protocol = next(filter(None, map(environ.get, _PROTOCOLS)), _PROTOCOL)
    if exporter != "otlp" or protocol != _PROTOCOL:
        log.warning("tracing_off", reason=f"the only exporter is otlp, with the protocol {_PROTOCOL}")
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("tracing_off", reason="OpenTelemetry is not installed: pip install '.[tracing]'")
        return None
    own = Resource({"service.name": "headwater", "service.version": __version__})
    provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class _Begun(NamedTuple):
    span: Span
    token: Token[Context]


class Tracing:
    """Makes a span of each work; an `Observer`.

    Health checks and scrapes have none, and neither has work that belongs to no request.

    Args:
        provider: makes the spans.
    """

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import context, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._context = context
        self._trace = trace
        self._tracer = provider.get_tracer("headwater", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, work: Work) -> _Begun | None:
        """See `Observer.begin`."""
        kinds = self._trace.SpanKind
        parent = self._context.get_current()
        if isinstance(work, RequestWork):
            if work.is_probe:
                return None
            parent = self._propagator.extract(_trace_headers(work), parent)
            name, kind = work.method, kinds.SERVER
        elif not self._trace.get_current_span(parent).get_span_context().is_valid:
            return None
        elif isinstance(work, StoreWork):
            name, kind = f"{work.provider} {work.operation}", kinds.CLIENT
        else:
            assert isinstance(work, CatalogWork)
            name, kind = f"catalog {work.mode}", kinds.INTERNAL
        span = self._tracer.start_span(name, parent, kind)
        return _Begun(span, self._context.attach(self._trace.set_span_in_context(span, parent)))

    def end(self, work: Work, state: object) -> None:
        """See `Observer.end`."""
        if not isinstance(state, _Begun):
            return
        span, token = state
        self._context.detach(token)
        if isinstance(work, RequestWork) and work.route is not None:
            span.update_name(f"{work.method} {work.route}")
        span.set_attributes(_attributes(work))
        if (error := _error_of(work)) is not None:
            span.set_attribute("error.type", error)
            span.set_status(self._trace.StatusCode.ERROR)
        span.end()

    def count(self, event: str, amount: int, *labels: str) -> None:
        """See `Observer.count`. Nothing of it is traced."""


def _trace_headers(work: RequestWork) -> dict[str, str]:
    wanted = (b"traceparent", b"tracestate")
    return {name.decode(): value.decode("latin-1") for name, value in work.headers if name in wanted}


def _attributes(work: Work) -> dict[str, Any]:
    """Return the attributes of work, by OpenTelemetry's conventions where they have a name for them."""
    if isinstance(work, CatalogWork):
        return {"headwater.waited_seconds": work.waited}
    if isinstance(work, StoreWork):
        of_store: dict[str, Any] = {"headwater.provider": work.provider, "http.request.resend_count": work.retries}
        if work.status.isdigit():
            return {**of_store, "http.request.method": work.operation, "http.response.status_code": int(work.status)}
        return of_store
    assert isinstance(work, RequestWork)
    attributes: dict[str, Any] = {"http.request.method": work.method, "headwater.request_id": work.request_id}
    if work.route is not None:
        attributes["http.route"] = work.route
    if work.status is not None:
        attributes["http.response.status_code"] = work.status
    return attributes


def _error_of(work: Work) -> str | None:
    """Return what kind of error work ended with, if it did."""
    if isinstance(work, RequestWork):
        return None if work.status is None or work.status < 500 else str(work.status)
    if work.error is not None:
        return work.error.name() if isinstance(work.error, HeadwaterError) else type(work.error).__name__
    if isinstance(work, StoreWork) and work.status.isdigit() and int(work.status) >= 400:
        return work.status
    return None
