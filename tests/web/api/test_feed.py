"""How an exact feed shows on the wire and on the command line."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.live import Live

HEADER = "Headwater-Feed"


@pytest.fixture
def dataset(live: Live, bucket: Path) -> str:
    for name in ("a.png", "b.png"):
        (bucket / name).write_bytes(b"x" * 5)
        os.utime(bucket / name, (1000, 1000))
    return live.configured({"type": "LOCAL", "fullPath": bucket.name})


def modes(live: Live, dataset: str) -> set[str | None]:
    """Return the header of every response that depends on the mode."""
    watermark = live.datasource(dataset, "processedUntilTimestamp")
    answers = [
        live.call("GET", watermark),
        live.call("PUT", watermark, {"processedUntilTimestamp": 5}),
        live.call("GET", live.datasource(dataset, "list")),
        live.call("GET", live.datasource(dataset, "list/dnc"), query={"dncShards": 2}),
    ]
    assert {answer.status for answer in answers} == {200}
    return {answer.headers[HEADER] for answer in answers}


def test_responses_say_how_raw_samples_are_listed(live: Live, dataset: str) -> None:
    assert modes(live, dataset) == {"exact"}, "the default"
    live.headwater("dataset", "update", dataset, "--feed", "dates")
    assert modes(live, dataset) == {"dates"}
    live.headwater("dataset", "update", dataset, "--feed", "exact")
    assert modes(live, dataset) == {"exact"}
    live.headwater("dataset", "update", dataset, "--feed", "server")
    assert modes(live, dataset) == {"exact"}


def test_responses_on_other_files_do_not(live: Live, dataset: str) -> None:
    for operation in ("metadata/list", "metadata/list/dnc"):
        answer = live.call("GET", live.datasource(dataset, operation), query={"dncShards": 2})
        assert (answer.status, answer.headers[HEADER]) == (200, None)


def test_feed_is_shown_and_reset(live: Live, bucket: Path, dataset: str) -> None:
    def shown() -> dict[str, object]:
        found = json.loads(live.headwater("feed", "show", dataset, "--json"))
        assert isinstance(found, dict)
        return found

    assert shown() == {"mode": "exact", "index": None}
    assert live.names(dataset) == ["a.png", "b.png"]
    promised = int(time.time())
    (bucket / "late.png").write_bytes(b"x")
    os.utime(bucket / "late.png", (2000, 2000))
    assert live.names(dataset, to=promised + 60) == ["a.png", "b.png", "late.png"]
    index = shown()["index"]
    assert isinstance(index, dict)
    assert (index["files"], index["bytes"], index["promisedUntil"]) == (3, 11, promised + 60)
    assert [(each["number"], each["lateArrivals"]) for each in index["listings"]] == [(2, 1), (1, 0)]
    text = live.headwater("feed", "show", dataset)
    assert "files                  3" in text
    assert "LONGEST DELAY" in text
    live.headwater("feed", "reset", dataset, "--yes")
    assert shown() == {"mode": "exact", "index": None}
    assert live.names(dataset, from_=2000, to=2000) == ["late.png"], "a new index knows dates only"
