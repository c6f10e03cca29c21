"""The exact feed with the published clients, unmodified: each version of a file is returned exactly once.

`new_samples.py` polls with `download_new_raw_samples`, whose windows end in the current second, while a hostile writer
writes, and others list the same datasets. Without an exact feed it loses most of the files.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.live import Live, running
from tests.published.dated_bucket import dated_bucket
from tests.published.environments import VERSIONS, installed
from tests.published.hostile import Folder, Objects, Place, Poll, Version, Writer, judge
from tests.servers import KEY_ID, SECRET

WRITING_SECONDS = 7.0
READY_SECONDS = 60.0
FILES_BEFORE = 60


class ConsumerInput(NamedTuple):
    """The argument of `new_samples.py`."""

    dataset: str
    ready: str
    go: str
    stop: str


@contextmanager
def _place(kind: str, folder: Path, chance: random.Random) -> Iterator[tuple[Place, dict[str, Any], dict[str, str]]]:
    """Yield an empty place, the config of a datasource there, and the settings of a server that reaches it."""
    if kind == "LOCAL":
        root = folder / "files"
        (root / "in").mkdir(parents=True)
        yield Folder(root / "in", chance), {"type": "LOCAL", "fullPath": "in"}, {"local_root": str(root)}
        return
    with dated_bucket() as bucket:
        config = {
            "type": "S3",
            "fullPath": "s3://hostile/in",
            "s3Region": "eu-central-1",
            "s3AccessKeyId": KEY_ID,
            "s3SecretAccessKey": SECRET,
        }
        yield Objects(bucket, "in/"), config, {"s3_endpoint": bucket.url, "allowed_endpoints": "127.0.0.0/8"}


def _consumed(live: Live, config: dict[str, Any], writer: Writer, folder: Path) -> dict[str, list[Poll]]:
    """Let all clients poll at the same time, each its own dataset, while the writer writes; return their polls."""
    environ = {"LIGHTLY_SERVER_LOCATION": live.url, "LIGHTLY_TOKEN": live.token}
    go, stop = folder / "go", folder / "stop"
    ready = [folder / f"ready {version}" for version in VERSIONS]
    datasets = [live.configured(config) for _ in VERSIONS]
    consumers: list[Future[Any]] = []
    with ThreadPoolExecutor(len(VERSIONS) + 1) as threads:
        try:
            for version, dataset, file in zip(VERSIONS, datasets, ready, strict=True):
                argument = json.dumps(ConsumerInput(dataset, str(file), str(go), str(stop))._asdict())
                run = installed(version).run
                consumers.append(threads.submit(run, "new_samples.py", argument, environ=environ))
            deadline = time.monotonic() + READY_SECONDS
            while not all(file.exists() for file in ready):
                failed = [consumer.exception() for consumer in consumers if consumer.done()]
                assert failed == []
                assert time.monotonic() < deadline
                time.sleep(0.02)
            browsing = threads.submit(_browse, live, datasets, stop)
            go.touch()
            writer.write(WRITING_SECONDS)
        finally:
            go.touch()
            stop.touch()
        browsing.result()
        results = [consumer.result() for consumer in consumers]
    return {version: [Poll(*poll) for poll in polls] for version, polls in zip(VERSIONS, results, strict=True)}


def _browse(live: Live, datasets: Sequence[str], stop: Path) -> None:
    """List the datasets as others do who never set a watermark: any window, and most listings are given up.

    A window that ends a second ahead hides what appears until then: the consumers' last polls come later. One that
    ends days ahead means everything and hides nothing.
    """
    chance = random.Random(1)
    while not stop.exists():
        now = int(time.time())
        since, to = chance.choice((0, now - 10)), now + chance.choice((-20, 0, 1, 1_000_000))
        pages = live.pages(chance.choice(datasets), from_=since, to=to)
        for _ in zip(range(chance.randrange(1, 12)), pages, strict=False):
            time.sleep(chance.choice((0, 0.01, 0.1)))
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["LOCAL", "S3"])
def test_each_version_is_returned_exactly_once(kind: str, tmp_path: Path) -> None:
    for version in VERSIONS:
        installed(version)
    chance = random.Random(kind)
    with _place(kind, tmp_path, chance) as (place, config, settings):
        writer = Writer(place, chance)
        writer.fill(FILES_BEFORE)
        with running(tmp_path, page_size="7", feed="exact", **settings) as live:
            polls = _consumed(live, config, writer, tmp_path)
    verdicts = {version: judge(writer.journal, polls[version]) for version in VERSIONS}
    text = f"{kind}, {writer.versions} versions: " + "; ".join(
        f"lightly {version} in {len(polls[version])} polls: {verdict}" for version, verdict in verdicts.items()
    )
    print(text)
    assert not any(verdict.lost or verdict.twice for verdict in verdicts.values()), text
    assert all(polls[version][-1].names == [] for version in VERSIONS), "the last poll has nothing new"


@pytest.mark.parametrize(
    ("versions", "polls", "expected"),
    [
        ([(1, None)], [], "1 of 1 lost, 0 twice"),
        ([(1, None)], [2], "0 of 1 lost, 0 twice"),
        ([(1, None)], [2, 3], "0 of 1 lost, 1 twice"),
        ([(1, 3), (3, None)], [2, 4], "0 of 1 lost, 0 twice"),
        ([(1, 3), (3, None)], [4], "0 of 1 lost, 0 twice"),
        ([(1, 3), (3, None)], [2], "1 of 1 lost, 0 twice"),
        ([(1, 3), (3, None)], [2, 2], "1 of 1 lost, 1 twice"),
        ([(1, 3), (3, None)], [4, 5], "0 of 1 lost, 1 twice"),
        ([(1, 3)], [], "0 of 0 lost, 0 twice"),
        ([(1, 3)], [2], "0 of 0 lost, 0 twice"),
        ([(1, 3), (5, None)], [2, 6], "0 of 1 lost, 0 twice"),
        ([(1, 3), (5, None)], [4], "1 of 1 lost, 1 twice"),
    ],
)
def test_the_judge_sees_what_was_lost_and_what_came_twice(
    versions: list[tuple[float, float | None]], polls: list[float], expected: str
) -> None:
    journal = {"a": [Version(since) if until is None else Version(since, until) for since, until in versions]}
    assert str(judge(journal, [Poll(at, at + 0.5, ["a"]) for at in polls])) == expected
