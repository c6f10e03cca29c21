"""The page on the exact feed is true: its commands work, and `headwater feed show` prints what it shows."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from headwater.domain.feed import MAX_PROMISE_AHEAD_SECONDS, MAX_WATERMARK_AHEAD_SECONDS
from tests.live import Live, running

PAGE = (Path(__file__).parent.parent / "docs/exact-feed.md").read_text()
DATASET = "street-scenes"


def write(folder: Path, name: str, age: float) -> None:
    """Write a file that is this many seconds old."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(bytes(2_000))
    date = time.time() - age
    os.utime(folder / name, (date, date))


def poll(live: Live, dataset: str) -> list[str]:
    """List what is new and acknowledge it, at the earliest in the second after the watermark."""
    path = live.datasource(dataset, "processedUntilTimestamp")
    watermark = live.call("GET", path).json["processedUntilTimestamp"]
    time.sleep(max(0.0, watermark + 1 - time.time()))
    now = int(time.time())
    names = live.names(dataset, from_=watermark + 1, to=now)
    assert live.call("PUT", path, {"processedUntilTimestamp": now}).status == 200
    return names


def without_times(text: str) -> list[str]:
    return [line.rstrip() for line in re.sub(r"\b\d{10}\b|\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d", "…", text).splitlines()]


@pytest.mark.slow
def test_commands_on_the_page_work(tmp_path: Path) -> None:
    root = tmp_path / "files"
    for number in range(250):
        write(root / "camera", f"{number}.png", 3_600)
    with running(tmp_path, local_root=str(root)) as live:
        dataset = live.headwater("dataset", "create", DATASET)
        live.headwater("datasource", "set", DATASET, "--type", "LOCAL", "--path", "camera", "--no-verify")
        assert len(poll(live, dataset)) == 250
        for name, age in (("late.png", 93_783), ("later.png", 60)):
            write(root / "camera", name, age)
        assert poll(live, dataset) == ["late.png", "later.png"]
        assert poll(live, dataset) == []

        commands = re.findall(r"^headwater (.*)$", PAGE, re.MULTILINE)
        shown = re.search(r"```text\n(mode .*?)```", PAGE, re.DOTALL)
        assert shown is not None
        assert commands[0] == f"feed show {DATASET}"
        assert without_times(live.headwater(*commands[0].split())) == without_times(shown[1])
        for command in commands[1:]:
            live.headwater(*command.split())
        assert "files" not in live.headwater("feed", "show", DATASET), "the last command drops the index"


def test_limits_on_the_page_are_those_of_the_code() -> None:
    limits = PAGE.partition("\n## Limits\n")[2].partition("\n## ")[0]
    assert "up to an hour in the future" in limits
    assert MAX_PROMISE_AHEAD_SECONDS == 3_600
    assert "counts up to a day in the future" in limits
    assert MAX_WATERMARK_AHEAD_SECONDS == 86_400


def test_the_drawing_has_no_script_and_its_text_for_screen_readers() -> None:
    drawing = (Path(__file__).parent.parent / "docs/exact-feed.svg").read_text()
    assert "<title" in drawing
    assert "<desc" in drawing
    assert "<script" not in drawing
