"""Start, stop and kill the server process: acknowledged writes survive, and requests in flight are finished."""

from __future__ import annotations

import http.client
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.live import Live, environ_for, start


class Writer(threading.Thread):
    """Writes to one dataset until the server is killed; records what was acknowledged and what was in flight."""

    def __init__(self, live: Live, number: int) -> None:
        super().__init__()
        self.live = live
        self.dataset = live.dataset(f"kept {number}")
        self.config: dict[str, Any] = {}
        self.mark = 0
        self.created: list[str] = []
        self.in_flight: dict[str, Any] = {}

    def run(self) -> None:
        """Write until the server does not answer."""
        path = self.live.datasource(self.dataset)
        for step in range(1, 10_000):
            try:
                config = {"type": "LOCAL", "fullPath": f"folder/{step}", "thumbSuffix": f"{step}"}
                self.in_flight = {"config": config}
                assert self.live.call("PUT", path, config).status == 200
                self.config, self.mark = config, 0
                self.in_flight = {"mark": step}
                mark = {"processedUntilTimestamp": step}
                assert self.live.call("PUT", f"{path}/processedUntilTimestamp", mark).status == 200
                self.mark = step
                self.in_flight = {}
                created = self.live.call("POST", "/v1/datasets", {"name": f"{self.dataset} {step}"})
                assert created.status == 201
                self.created.append(created.json["id"])
            except OSError:
                return

    def check(self, live: Live) -> None:
        """Compare the catalog with what was acknowledged."""
        found = live.call("GET", live.datasource(self.dataset)).json
        mark = live.call("GET", live.datasource(self.dataset, "processedUntilTimestamp")).json[
            "processedUntilTimestamp"
        ]
        configs = [self.config.get("fullPath"), self.in_flight.get("config", self.config).get("fullPath")]
        assert found.get("fullPath") in configs
        marks = {self.mark, self.in_flight.get("mark", self.mark)} | ({0} if "config" in self.in_flight else set())
        assert mark in marks
        for dataset in self.created:
            assert live.call("GET", f"/v1/datasets/{dataset}").status == 200


@pytest.mark.parametrize("seed", range(3))
def test_acknowledged_writes_survive_a_kill(tmp_path: Path, seed: int) -> None:
    environ = environ_for(tmp_path / "data")
    live = start(environ, tmp_path)
    live.token = live.headwater("token", "create", "--user", "ada")
    writers = [Writer(live, number) for number in range(3)]
    for writer in writers:
        writer.start()
    time.sleep(random.Random(seed).uniform(0.3, 1.5))
    assert live.stop(signal.SIGKILL) == -signal.SIGKILL
    for writer in writers:
        writer.join(30)
    assert any(writer.created for writer in writers)
    restarted = start(environ, tmp_path)
    restarted.token = live.token
    try:
        for writer in writers:
            writer.check(restarted)
    finally:
        assert restarted.stop() == 0


def test_responses_on_a_kept_connection_are_not_delayed(tmp_path: Path) -> None:
    """Without TCP_NODELAY each response waited 40 ms for the client's delayed acknowledgement (Nagle's algorithm)."""
    live = start(environ_for(tmp_path / "data"), tmp_path)
    connection = http.client.HTTPConnection(live.url.removeprefix("http://"), timeout=20)
    times = []
    for _ in range(30):
        began = time.perf_counter()
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()
        times.append(time.perf_counter() - began)
    connection.close()
    assert live.stop() == 0
    assert sorted(times)[5] < 0.03, "the fastest responses"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_right_after_the_start_exits_with_0(tmp_path: Path, number: int) -> None:
    """The startup message was printed before the signal handlers were installed."""
    live = start(environ_for(tmp_path / "data"), tmp_path)
    assert live.stop(number) == 0


def test_sigterm_finishes_requests_in_flight(tmp_path: Path) -> None:
    """A download in flight is completed, and the exit code is 0."""
    files = tmp_path / "files"
    files.mkdir()
    data = random.Random(1).randbytes(8 << 20)
    (files / "large.png").write_bytes(data)
    live = start(environ_for(tmp_path / "data", local_root=str(files)), tmp_path)
    live.token = live.headwater("token", "create", "--user", "ada")
    (page,) = live.pages(live.configured({"type": "LOCAL", "fullPath": ""}))
    import urllib.request

    with urllib.request.urlopen(page["data"][0]["readUrl"]) as answer:
        got = answer.read(1 << 16)
        live.process.terminate()
        time.sleep(0.5)
        assert live.process.poll() is None
        got += answer.read()
    assert got == data
    assert live.stop() == 0
