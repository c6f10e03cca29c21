"""What one user makes slow is slow for that user alone: a server, and stores that answer when they like."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

from headwater.testing.fault_proxy import Delay, Fault, FaultProxy, Request, Status
from tests.live import Answer, Live, environ_for, start

pytestmark = pytest.mark.slow

FILE = ".lightly/relevant.txt"
SECONDS = 5.0
"""More than a small request takes on a machine that is busy, and much less than a time limit of a store."""


def bucket_that_lists_only(request: Request) -> Fault:
    """Answer listings of a bucket with one file, after its start, and never send the file."""
    if "list-type" not in request.query:
        return Delay(3600)
    key = request.query.get("prefix", "")
    file = f"<Contents><Key>{escape(key)}</Key><Size>9</Size><ETag>&quot;e&quot;</ETag>"
    file += "<LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>"
    name = "<Name>bucket</Name><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated>"
    return Status(200, f"<ListBucketResult>{name}{file}</ListBucketResult>".encode())


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    root = tmp_path / "root"
    (root / "ada/.lightly").mkdir(parents=True)
    (root / "eve/.lightly").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (root / "ada" / name).touch()
    (root / "ada" / FILE).write_text("* a*\n")
    live = start(environ_for(tmp_path / "data", local_root=str(root), allowed_endpoints="127.0.0.1"), tmp_path)
    try:
        yield live
    finally:
        live.stop(signal.SIGKILL)  # its requests still wait for the stores


class User:
    """A user of the server with a dataset."""

    def __init__(self, live: Live, name: str, config: dict[str, Any]) -> None:
        self.live = live
        self.token = live.headwater("token", "create", "--user", name)
        self.dataset = live.call("POST", "/v1/datasets", {"name": f"set of {name}"}, token=self.token).json["id"]
        assert live.call("PUT", live.datasource(self.dataset), config, token=self.token).status == 200

    def list(self, **query: str) -> Answer:
        return self.live.call("GET", self.live.datasource(self.dataset, "list"), token=self.token, query=query)

    def list_often(self, count: int, **query: str) -> None:
        """Send requests and wait for none."""
        for _ in range(count):
            threading.Thread(target=self._list_or_fail, kwargs=query, daemon=True).start()

    def _list_or_fail(self, **query: str) -> None:
        try:
            self.list(**query)
        except OSError:
            pass  # the server is killed, or the answer takes longer than this client waits


def obs(endpoint: str) -> dict[str, str]:
    """Return the config of a bucket at an endpoint."""
    return {
        "type": "OBS",
        "fullPath": "bucket",
        "obsEndpoint": endpoint,
        "obsAccessKeyId": "test-key-id",
        "obsSecretAccessKey": "test-secret",
    }


def test_files_that_never_arrive_keep_no_other_user_waiting(live: Live) -> None:
    """Forty requests for relevant filenames in a store that never sent the file held everyone's for 199 seconds."""
    ada = User(live, "ada", {"type": "LOCAL", "fullPath": "ada"})
    with FaultProxy(respond=bucket_that_lists_only) as silent:
        eve = User(live, "eve", obs(silent.url))
        eve.list_often(40, relevantFilenamesFileName=FILE)
        while not any("list-type" not in request.query for request in silent.requests):
            time.sleep(0.05)
        began = time.monotonic()
        answer = ada.list(relevantFilenamesFileName=FILE)
        assert [row["fileName"] for row in answer.json["data"]] == ["b.png"]
        assert time.monotonic() - began < SECONDS


def test_stores_that_never_answer_keep_no_other_user_waiting(live: Live) -> None:
    """Stores that accept connections and never answer took all connections: other users got a 503."""
    with FaultProxy(respond=bucket_that_lists_only) as well, FaultProxy(respond=lambda _: Delay(3600)) as silent:
        ada = User(live, "ada", obs(well.url))
        eve = User(live, "eve", obs(silent.url))
        eve.list_often(90)
        while not silent.requests:
            time.sleep(0.05)
        began = time.monotonic()
        assert ada.list().status == 200
        assert time.monotonic() - began < SECONDS


def test_patterns_of_a_user_keep_no_other_user_waiting(live: Live, tmp_path: Path) -> None:
    """A small file with thousands of patterns delayed a request of another user from 0.2 to 199 seconds."""
    ada = User(live, "ada", {"type": "LOCAL", "fullPath": "ada"})
    eve = User(live, "eve", {"type": "LOCAL", "fullPath": "eve"})
    deep = tmp_path / "root/eve" / "/".join(["aaa"] * 200)
    deep.mkdir(parents=True)
    for number in range(50):
        (deep / f"{number}.png").touch()
    lines = ("* " + " ".join(f"a*/**/a*/**/b{line}x{number}" for number in range(1000)) for line in range(3))
    (tmp_path / "root/eve" / FILE).write_text("\n".join(lines))
    eve.list_often(40, relevantFilenamesFileName=FILE)
    time.sleep(0.5)
    for _ in range(3):
        began = time.monotonic()
        answer = ada.list(relevantFilenamesFileName=FILE)
        assert [row["fileName"] for row in answer.json["data"]] == ["b.png"]
        assert time.monotonic() - began < SECONDS
