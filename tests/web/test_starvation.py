"""What one user makes slow is slow for that user alone: a server, and stores that answer when they like."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from headwater.testing.fault_proxy import Delay, Fault, FaultProxy, Request, Status
from tests.live import Answer, Live, environ_for, start

pytestmark = pytest.mark.slow

FILE = ".lightly/relevant.txt"
SECONDS = 5.0
"""More than a small request takes on a machine that is busy, and much less than a time limit of a store."""


SLOW_PATTERNS = "\n".join(
    "* " + " ".join(f"a*/**/a*/**/b{line}x{number}" for number in range(1000)) for line in range(3)
).encode()


def respond(request: Request) -> Fault:
    """Answer as the store of several buckets, by their names.

    `well` has one file. `closed` lists each file that a listing looks for and never sends one. `silent` never answers.
    `patterns` has fifty files with long names, and each file that is read has slow patterns.
    """
    bucket = urlsplit(request.target).path.split("/")[1]
    is_listing = "list-type" in request.query
    prefix = request.query.get("prefix", "")
    if bucket == "silent" or (bucket == "closed" and not is_listing):
        return Delay(3600)
    if not is_listing:
        return Status(200, SLOW_PATTERNS)
    if prefix:
        return _listing([prefix], len(SLOW_PATTERNS))
    long_name = "/".join(["aaa"] * 200)
    return _listing([f"{long_name}/{number:02}.png" for number in range(50)] if bucket == "patterns" else ["a.png"], 9)


def _listing(keys: list[str], size: int) -> Fault:
    files = "".join(
        f"<Contents><Key>{key}</Key><Size>{size}</Size><ETag>&quot;e&quot;</ETag>"
        "<LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>"
        for key in keys
    )
    about = f"<Name>bucket</Name><KeyCount>{len(keys)}</KeyCount><IsTruncated>false</IsTruncated>"
    return Status(200, f"<ListBucketResult>{about}{files}</ListBucketResult>".encode())


@pytest.fixture
def store() -> Iterator[FaultProxy]:
    with FaultProxy(respond=respond) as proxy:
        yield proxy


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    root = tmp_path / "root"
    (root / "ada/.lightly").mkdir(parents=True)
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


def bucket(store: FaultProxy, name: str) -> dict[str, str]:
    """Return the config of a bucket."""
    return {
        "type": "OBS",
        "fullPath": name,
        "obsEndpoint": store.url,
        "obsAccessKeyId": "test-key-id",
        "obsSecretAccessKey": "test-secret",
    }


def wait_for(store: FaultProxy, requests: int, text: str) -> None:
    """Wait until the store has received so many requests with a text in their targets."""
    end = time.monotonic() + 30
    while sum(text in request.target for request in store.requests) < requests:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_files_that_never_arrive_keep_no_other_user_waiting(live: Live, store: FaultProxy) -> None:
    """Forty requests for relevant filenames in a store that never sent the files held everyone's for 199 seconds."""
    ada = User(live, "ada", {"type": "LOCAL", "fullPath": "ada"})
    eve = User(live, "eve", bucket(store, "closed"))
    for number in range(40):
        eve.list_often(1, relevantFilenamesFileName=f".lightly/{number}.txt")
    wait_for(store, 2, "/closed/.lightly")
    began = time.monotonic()
    answer = ada.list(relevantFilenamesFileName=FILE)
    assert [row["fileName"] for row in answer.json["data"]] == ["b.png"]
    assert time.monotonic() - began < SECONDS


def test_a_bucket_that_never_answers_keeps_no_other_user_of_its_provider_waiting(live: Live, store: FaultProxy) -> None:
    """Users of one provider shared 32 requests to its host: others waited for those that one user's bucket held."""
    ada = User(live, "ada", bucket(store, "well"))
    eve = User(live, "eve", bucket(store, "silent"))
    eve.list_often(80)
    wait_for(store, 32, "/silent")
    began = time.monotonic()
    assert [row["fileName"] for row in ada.list().json["data"]] == ["a.png"]
    assert time.monotonic() - began < SECONDS


def test_patterns_of_a_user_keep_no_other_user_waiting(live: Live, store: FaultProxy) -> None:
    """A small file with thousands of patterns delayed a request of another user from 0.2 to 199 seconds."""
    ada = User(live, "ada", {"type": "LOCAL", "fullPath": "ada"})
    eve = User(live, "eve", bucket(store, "patterns"))
    eve.list(relevantFilenamesFileName=FILE)  # from now on the file is loaded
    eve.list_often(80, relevantFilenamesFileName=FILE)
    time.sleep(1)
    for _ in range(3):
        began = time.monotonic()
        answer = ada.list(relevantFilenamesFileName=FILE)
        assert [row["fileName"] for row in answer.json["data"]] == ["b.png"]
        assert time.monotonic() - began < SECONDS
