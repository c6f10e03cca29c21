"""Metrics of a real server: who may read them, what they count, and what never gets into them."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.commands import run_command
from tests.live import Answer, Live, environ_for, fetch, request, running, start

TOKEN = "token-of-the-operator"
SECRET = "test-secret-access-key"
HOSTILE_CODE = "CodeOfAHostileStore"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("metrics")


@pytest.fixture(scope="module")
def monitored(folder: Path) -> Iterator[Live]:
    with running(
        folder,
        local_root=str(folder),
        allowed_endpoints="127.0.0.0/8",
        page_size="2",
        metrics_token=TOKEN,
        metrics_max_datasets="20",
    ) as started:
        yield started


def scrape(url: str, token: str = TOKEN, **headers: str) -> Answer:
    return request(url, path="/metrics", headers={"Authorization": f"Bearer {token}", **headers})


def samples(monitored: Live) -> dict[tuple[str, ...], float]:
    """Return all samples of a server by their name and the values of their labels, sorted by the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(scrape(monitored.url).body.decode())
        for sample in family.samples
    }


def test_without_a_setting_there_are_no_metrics(live: Live) -> None:
    answer = request(live.url, path="/metrics", headers={"Authorization": f"Bearer {live.token}"})
    assert (answer.status, answer.code) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer \xe9"},
    ],
)
def test_only_the_token_of_the_operator_reads_metrics(monitored: Live, headers: dict[str, str]) -> None:
    answer = request(monitored.url, path="/metrics", headers=headers)
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert "HEADWATER_METRICS_TOKEN" in answer.text
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_neither_a_token_of_a_user_nor_one_in_the_query_reads_metrics(monitored: Live) -> None:
    """Proxies log queries."""
    assert scrape(monitored.url, monitored.token).status == 401
    assert request(monitored.url, path=f"/metrics?token={TOKEN}").status == 401
    assert monitored.call("GET", "/v1/datasets", token=TOKEN).status == 401, "nor does this token read anything else"


def test_metrics_come_in_the_format_that_was_asked_for(monitored: Live) -> None:
    plain = scrape(monitored.url)
    assert (plain.status, plain.headers["Cache-Control"]) == (200, "no-store")
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert len(list(text_string_to_metric_families(plain.body.decode()))) > 20
    prometheus = scrape(
        monitored.url, Accept="application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    )
    assert prometheus.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert len(list(openmetrics_families(prometheus.body.decode()))) > 20


def ports_of(address: str) -> set[int]:
    """Return the ports on which a process of this machine listens at exactly this IPv4 address."""
    number = "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
    found = [line.split()[1].split(":") for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(port, 16) for host, port in found if host == number}


@contextmanager
def on_its_own_port(folder: Path, **settings: str) -> Iterator[tuple[Live, str]]:
    """Run a server with a port for metrics; yield it, and the URL of that port as the server prints it."""
    server = start(environ_for(folder / "data", metrics_port="0", **settings), folder)
    try:
        assert server.process.stdout is not None
        found = re.fullmatch(r"Metrics: (http://\S+)/metrics\n", server.process.stdout.readline())
        assert found is not None
        yield server, found[1]
    finally:
        assert server.stop() == 0


def test_a_port_of_its_own_is_on_loopback_and_has_only_metrics(tmp_path: Path) -> None:
    with on_its_own_port(tmp_path, host="0.0.0.0") as (server, url):
        assert url.startswith("http://127.0.0.1:")
        assert int(url.rsplit(":", 1)[1]) in ports_of("127.0.0.1")
        answer = request(url, path="/metrics")
        assert answer.status == 200
        assert b"headwater_build_info{" in answer.body
        assert request(url, path="/v1/datasets").code == "NOT_FOUND"
        assert request(url, "POST", "/metrics").status == 405
        assert request(server.url, path="/metrics").status == 404


def test_a_port_of_its_own_asks_for_the_token_if_there_is_one(tmp_path: Path) -> None:
    with on_its_own_port(tmp_path, metrics_token=TOKEN) as (server, url):
        assert request(url, path="/metrics").status == 401
        assert scrape(url).status == 200
        assert request(server.url, path="/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status == 404


def test_a_port_in_use_is_named_by_its_setting(monitored: Live, tmp_path: Path) -> None:
    port = monitored.url.rsplit(":", 1)[1]
    assert "HEADWATER_METRICS_PORT" in run_command(environ_for(tmp_path, metrics_port=port), "serve", code=6)


def test_a_short_token_is_refused(tmp_path: Path) -> None:
    out = run_command(environ_for(tmp_path, metrics_token="short"), "serve", code=6)
    assert "HEADWATER_METRICS_TOKEN: expected 16 or more" in out
    assert "short" not in out


def test_health_checks_and_scrapes_are_not_logged_unless_they_fail(monitored: Live) -> None:
    """They were nine of ten lines of a server that nobody used."""
    assert request(monitored.url, path="/healthz").status == request(monitored.url, path="/readyz").status == 200
    assert scrape(monitored.url).status == 200
    refused = request(monitored.url, path="/metrics").headers["X-Request-Id"]
    last = monitored.call("GET", "/nowhere").headers["X-Request-Id"]
    limit = time.monotonic() + 5
    while last not in monitored.log.read_text():
        assert time.monotonic() < limit
        time.sleep(0.02)
    lines = [
        line
        for line in monitored.log.read_text().splitlines()
        if re.search(r'"path": "/(healthz|readyz|metrics)"', line)
    ]
    assert all('"status": 200' not in line for line in lines)
    assert any(refused in line for line in lines)


def test_requests_are_counted_by_route_and_not_by_path(monitored: Live, folder: Path) -> None:
    (folder / "images").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        (folder / "images" / name).write_bytes(b"x")
    dataset = monitored.configured({"type": "LOCAL", "fullPath": "images"})
    before = samples(monitored)
    rows = monitored.rows(dataset)
    assert fetch(rows[0]["readUrl"]).status == 200
    monitored.call("GET", f"/v1/datasets/{'0' * 24}")
    for path in ("/nowhere/1", "/nowhere/2", "//nowhere", "/docs/assets/none.js"):
        assert monitored.call("GET", path).status == 404
    assert monitored.call("GET", "/docs").status == 200
    found = samples(monitored)

    def added(name: str, *labels: str) -> float:
        return found.get((name, *labels), 0.0) - before.get((name, *labels), 0.0)

    requests = "headwater_http_request_duration_seconds_count"
    assert added(requests, "GET", "/v1/datasets/{dataset_id}/datasource/list", "200") == 2
    assert added(requests, "GET", "/v1/datasets/{dataset_id}", "404") == 1
    assert added(requests, "GET", "/files/{path}", "200") == 1
    assert added(requests, "GET", "unknown", "404") == 4
    assert added(requests, "GET", "/docs", "200") == 1
    assert added("headwater_http_errors_total", "NotFound") == 4
    assert added("headwater_http_errors_total", "DatasetUnknown") == 1
    assert added("headwater_listing_rows_total", "exact") == 3
    assert added("headwater_listing_pages_total", "exact") == 2
    assert added("headwater_catalog_unit_duration_seconds_count", "read") > 4
    assert added("headwater_catalog_unit_duration_seconds_count", "write") > 1
    assert added("headwater_store_request_duration_seconds_count", "local", "ok") >= 3
    assert found["headwater_http_requests_in_flight",] == 1
    assert found["headwater_ready",] == 1


def test_late_arrivals_and_the_progress_of_a_dataset(monitored: Live, folder: Path) -> None:
    (folder / "late").mkdir()
    (folder / "late" / "a.png").write_bytes(b"x")
    dataset = monitored.configured({"type": "LOCAL", "fullPath": "late"})
    lag = ("headwater_dataset_watermark_lag_seconds", dataset)
    listing = ("headwater_dataset_last_listing_timestamp_seconds", dataset)
    before = samples(monitored)
    assert lag not in before, "a watermark that was never set is not 57 years old"
    assert listing not in before
    monitored.rows(dataset)
    watermark = int(time.time()) - 100
    monitored.call(
        "PUT", monitored.datasource(dataset, "processedUntilTimestamp"), {"processedUntilTimestamp": watermark}
    )
    (folder / "late" / "b.png").write_bytes(b"x")
    os.utime(folder / "late" / "b.png", (1e9, 1e9))
    monitored.rows(dataset)
    found = samples(monitored)
    assert found["headwater_late_arrivals_total",] - before["headwater_late_arrivals_total",] == 1
    assert 100 <= found[lag] < 130
    assert found["headwater_dataset_watermark_timestamp_seconds", dataset] == watermark
    assert abs(found[listing] - time.time()) < 30


class HostileStore(BaseHTTPRequestHandler):
    """Answers with an error whose code nobody knows, or with a status that nobody knows."""

    def do_GET(self) -> None:
        status = 470 if "status" in self.path else 403
        code = "AccessDenied" if "denied" in self.path else f"{HOSTILE_CODE}{time.monotonic_ns()}"
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def hostile_store() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), HostileStore)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_stores_and_clients_cannot_choose_labels(monitored: Live, hostile_store: int) -> None:
    def obs(bucket: str, port: int = hostile_store) -> str:
        return monitored.configured(
            {
                "type": "OBS",
                "fullPath": bucket,
                "obsEndpoint": f"http://127.0.0.1:{port}",
                "obsAccessKeyId": "test-key-id",
                "obsSecretAccessKey": SECRET,
            }
        )

    for bucket in ("denied-files", "code-files", "code-files-2", "status-files"):
        assert monitored.call("GET", monitored.datasource(obs(bucket), "list")).status == 400
    assert monitored.call("GET", monitored.datasource(obs("closed", 9), "list")).status == 503
    request(monitored.url, "PROPFIND", "/v1/datasets")
    text = scrape(monitored.url).body.decode()
    found = samples(monitored)
    assert found["headwater_store_errors_total", "AccessDenied", "s3"] == 1
    assert found["headwater_store_errors_total", "other", "s3"] == 3
    assert found["headwater_store_request_duration_seconds_count", "s3", "403"] == 3
    assert found["headwater_store_request_duration_seconds_count", "s3", "other"] == 1
    assert found["headwater_store_request_duration_seconds_count", "s3", "no_response"] == 1
    assert found["headwater_store_retries_total", "s3"] == 3
    assert found["headwater_http_errors_total", "StoreUnavailable"] == 1
    assert any(key[:2] == ("headwater_http_request_duration_seconds_count", "other") for key in found)
    for hidden in (
        HOSTILE_CODE,
        "PROPFIND",
        "-files",
        "test-key-id",
        SECRET,
        TOKEN,
        monitored.token,
        "ada",
        "127.0.0.1",
    ):
        assert hidden not in text, hidden


def test_the_number_of_datasets_with_metrics_is_limited(monitored: Live) -> None:
    """The oldest ones have metrics: nobody takes them away by creating others."""
    for _ in range(21):
        dataset = monitored.configured({"type": "LOCAL", "fullPath": ""})
        monitored.call("PUT", monitored.datasource(dataset, "processedUntilTimestamp"), {"processedUntilTimestamp": 1})
    ids = sorted(each["id"] for each in monitored.call("GET", "/v1/datasets").json)
    found = samples(monitored)
    assert found["headwater_datasets_left_out",] == 1
    with_metrics = {key[1] for key in found if key[0].startswith("headwater_dataset_")}
    assert len(with_metrics) > 10
    assert with_metrics <= set(ids[:20])


@pytest.mark.slow
def test_a_catalog_that_hangs_does_not_hang_the_scrape(tmp_path: Path) -> None:
    """The volume of the key file hangs, in the form of a pipe that nobody writes to."""
    with running(tmp_path, metrics_token=TOKEN) as server, ThreadPoolExecutor(3) as threads:
        key = tmp_path / "data" / "secret.key"
        key.rename(tmp_path / "elsewhere")
        os.mkfifo(key)
        try:
            began = time.monotonic()
            answers = [each.result() for each in [threads.submit(scrape, server.url) for _ in range(3)]]
            assert 1.5 < time.monotonic() - began < 6
            for answer in answers:
                assert answer.status == 200
                assert b"\nheadwater_ready 0.0\n" in answer.body
        finally:
            with key.open("r+b", buffering=0):  # lets the reader go on
                key.unlink()
            (tmp_path / "elsewhere").rename(key)
        limit = time.monotonic() + 10
        while b"\nheadwater_ready 1.0\n" not in scrape(server.url).body:
            assert time.monotonic() < limit
            time.sleep(0.1)
