"""Traces of a real server, which sends them to a receiver of OTLP over HTTP."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from structlog.testing import capture_logs

from headwater.observability.tracing import traced
from headwater.observability.work import CatalogWork, RequestWork
from tests.live import Live, environ_for, fetch, request, start

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
LIST = "GET /v1/datasets/{dataset_id}/datasource/list"


class Receiver:
    """A receiver of traces: keeps the spans, and everything that it was sent."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        self.bodies = b""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.bodies += body
                receiver.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def take(self, sent: ExportTraceServiceRequest) -> None:
        for of_resource in sent.resource_spans:
            self.resources.append({each.key: each.value.string_value for each in of_resource.resource.attributes})
            for of_scope in of_resource.scope_spans:
                self.spans += of_scope.spans

    def wait_for(self, wanted: Callable[[Span], bool]) -> Span:
        """Return the first span of this kind, once it has arrived."""
        limit = time.monotonic() + 20
        while True:
            found = next(filter(wanted, list(self.spans)), None)
            if found is not None:
                return found
            assert time.monotonic() < limit, [span.name for span in self.spans]
            time.sleep(0.05)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()


@pytest.fixture(scope="module")
def traced_server(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("traced")
    environ = environ_for(folder / "data", local_root=str(folder), allowed_endpoints="127.0.0.0/8")
    environ |= {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    live = start(environ, folder)
    live.token = live.headwater("token", "create", "--user", "ada")
    try:
        yield live
    finally:
        assert live.stop() == 0


def attributes(span: Span) -> dict[str, str | int | float]:
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in span.attributes}


def test_a_request_continues_the_trace_of_its_client(receiver: Receiver, traced_server: Live) -> None:
    folder = Path(traced_server.environ["HEADWATER_LOCAL_ROOT"]) / "files"
    folder.mkdir()
    (folder / "name-of-a-file.png").write_bytes(b"x")
    dataset = traced_server.configured({"type": "LOCAL", "fullPath": "files"})
    answer = traced_server.call(
        "GET", traced_server.datasource(dataset, "list"), headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}
    )
    span = receiver.wait_for(lambda span: span.name == LIST)
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.kind) == (TRACE, PARENT, Span.SPAN_KIND_SERVER)
    assert attributes(span) == {
        "http.request.method": "GET",
        "http.route": LIST.removeprefix("GET "),
        "http.response.status_code": 200,
        "headwater.request_id": answer.headers["X-Request-Id"],
    }
    children = [each for each in receiver.spans if each.parent_span_id == span.span_id]
    names = [child.name for child in children]
    assert {"catalog read", "catalog write", "local disk"} == set(names)
    disk = children[names.index("local disk")]
    assert attributes(disk) == {"headwater.provider": "local", "http.request.resend_count": 0}
    assert "headwater.waited_seconds" in attributes(children[names.index("catalog write")])
    assert {resource["service.name"] for resource in receiver.resources} == {"headwater"}


def test_a_failed_request_to_a_store_is_an_error_with_its_retries(receiver: Receiver, traced_server: Live) -> None:
    dataset = traced_server.configured(
        {
            "type": "OBS",
            "fullPath": "name-of-a-bucket",
            "obsEndpoint": "http://127.0.0.1:9",
            "obsAccessKeyId": "test-key-id",
            "obsSecretAccessKey": "test-secret-access-key",
        }
    )
    answer = traced_server.call("GET", traced_server.datasource(dataset, "list"))
    assert answer.status == 503
    span = receiver.wait_for(lambda span: attributes(span).get("http.response.status_code") == 503)
    assert (span.name, span.status.code) == (LIST, Status.STATUS_CODE_ERROR)
    store = receiver.wait_for(lambda span: span.name == "s3 GET")
    assert store.parent_span_id == span.span_id
    assert attributes(store) == {
        "headwater.provider": "s3",
        "http.request.resend_count": 3,
        "error.type": "StoreUnavailable",
    }
    assert (store.status.code, store.status.message) == (Status.STATUS_CODE_ERROR, "")


def test_health_checks_are_not_traced_and_nothing_secret_is(receiver: Receiver, traced_server: Live) -> None:
    (Path(traced_server.environ["HEADWATER_LOCAL_ROOT"]) / "secret-name.png").write_bytes(b"x")
    dataset = traced_server.configured({"type": "LOCAL", "fullPath": ""})
    row = traced_server.rows(dataset)[0]
    assert fetch(row["readUrl"]).status == 200
    assert request(traced_server.url, path="/readyz").status == 200
    request(traced_server.url, path="/v1/datasets/secret-path", headers={"Authorization": "Bearer secret-token"})
    request(traced_server.url, path="/last-one?token=secret-token")
    receiver.wait_for(lambda span: span.name == "GET" and attributes(span)["http.response.status_code"] == 404)
    receiver.wait_for(lambda span: span.name == "GET /files/{path}")
    assert not any("readyz" in span.name for span in receiver.spans)
    requests = {span.span_id for span in receiver.spans if span.kind == Span.SPAN_KIND_SERVER}
    assert all(span.parent_span_id for span in receiver.spans if span.span_id not in requests), "each has a request"
    signature = row["readUrl"].rpartition("signature=")[2]
    for hidden in (traced_server.token, signature, "secret", "name-of-a", "test-key-id", dataset, ".png", "127.0.0.1:"):
        assert hidden.encode() not in receiver.bodies, hidden


def test_the_last_spans_are_sent_when_the_server_stops(receiver: Receiver, tmp_path: Path) -> None:
    """Spans are sent in batches: those of the last seconds would be missing."""
    environ = environ_for(tmp_path / "data")
    environ |= {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{receiver.url}/v1/traces", "OTEL_SERVICE_NAME": "last-service"}
    live = start(environ | {"OTEL_BSP_SCHEDULE_DELAY": "600000"}, tmp_path)
    request(live.url, path="/openapi.json")
    assert live.stop() == 0
    assert {"last-service"} <= {resource["service.name"] for resource in receiver.resources}
    assert "tracing_started" in live.log.read_text()


async def test_an_endpoint_that_does_not_answer_does_not_keep_the_server_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headwater.observability.tracing.FLUSH_SECONDS", 0.5)
    hanging = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # accepts, and never reads
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{hanging.server_address[1]}"}
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint["OTEL_EXPORTER_OTLP_ENDPOINT"])
    try:
        async with traced(endpoint):
            with RequestWork("GET", [], "id"), CatalogWork("read"):
                pass
            began = time.monotonic()
        assert time.monotonic() - began < 3
    finally:
        hanging.server_close()


@pytest.mark.parametrize(
    ("environ", "event"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "zipkin"}, "tracing_off"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "tracing_off"),
    ],
)
async def test_nothing_is_traced_unless_an_endpoint_is_set(environ: dict[str, str], event: str | None) -> None:
    with capture_logs() as logs:
        async with traced(environ):
            with RequestWork("GET", [], "id") as work:
                pass
    assert work._observed == []
    assert [line["event"] for line in logs] == ([event] if event else [])


async def test_an_endpoint_without_the_extra_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)  # as if it were not installed
    with capture_logs() as logs:
        async with traced({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}):
            pass
    assert [(line["event"], line["log_level"]) for line in logs] == [("tracing_off", "warning")]
    assert "pip install '.[tracing]'" in logs[0]["reason"]
