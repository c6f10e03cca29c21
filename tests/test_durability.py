"""Start and stop the server process: requests in flight are finished. Kills are in `tests/crashes`."""

from __future__ import annotations

import http.client
import random
import signal
import time
from pathlib import Path

import pytest

from tests.live import environ_for, start

pytestmark = pytest.mark.slow


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
