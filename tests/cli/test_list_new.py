"""`headwater list --new` with an exact feed: every file is listed once, whatever its date is, and nothing waits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.commands import LOCAL, make_dataset, run_command
from tests.live import environ_for

pytestmark = pytest.mark.slow  # each test starts several processes

DAY = 86_400

RUNS, MOST_RUNS = 12, 40
_RUN_OFTEN = """\
import contextlib, io, json, os, sys, time
from pathlib import Path
from headwater.cli.main import app

dataset, folder, runs, least, most = sys.argv[1], Path(sys.argv[2]), [], int(sys.argv[3]), int(sys.argv[4])

def two_in_one_second():
    seconds = [began for began, ended, _ in runs if began == ended]
    return len(seconds) > len(set(seconds))

while len(runs) < least or (not two_in_one_second() and len(runs) < most):
    number = len(runs)
    file = folder / f"{number:02}.png"
    file.write_bytes(b"x")
    date = time.time() + (0, -100_000, 100_000)[number % 3]
    os.utime(file, (date, date))
    output = io.StringIO()
    began = time.time()
    with contextlib.redirect_stdout(output):
        app(["list", dataset, "--new"], standalone_mode=False)
    runs.append((int(began), int(time.time()), output.getvalue().split()))
print(json.dumps([two_in_one_second(), runs]))
"""
"""Runs the command often in one process, which is the only way to run it several times in a second. A file of now, of
the past or of the future appears before each run. On a slow machine it continues until two runs were in one second."""


class Installation(NamedTuple):
    """An installation with one dataset, whose feed is exact, and an empty folder for it."""

    environ: dict[str, str]
    dataset: str
    files: Path

    def put(self, name: str, date: float | None = None) -> None:
        """Write a file, with the time of now or another one."""
        (self.files / name).write_bytes(b"x")
        if date is not None:
            os.utime(self.files / name, (date, date))

    def new(self) -> list[str]:
        """Return what `headwater list --new` prints."""
        return run_command(self.environ, "list", self.dataset, "--new").split()

    def later(self) -> list[str]:
        """Return what it prints in a later second: until the watermark has passed, there is nothing new."""
        time.sleep(1.05 - time.time() % 1)
        return self.new()


@pytest.fixture
def exact(tmp_path: Path) -> Installation:
    files = tmp_path / "files"
    files.mkdir()
    environ = environ_for(tmp_path / "data", local_root=str(files), page_size="5", feed="exact")
    dataset = make_dataset(environ)
    run_command(environ, "datasource", "set", dataset, *LOCAL)
    return Installation(environ, dataset, files)


def test_a_file_of_this_second_is_listed_at_once(exact: Installation) -> None:
    exact.put("first.png")
    assert exact.new() == ["first.png"]
    exact.put("second.png")
    assert exact.later() == ["second.png"]
    assert exact.later() == []


def test_a_file_with_a_time_in_the_future_is_listed_once(exact: Installation) -> None:
    """By the first run, or by the second one if another second began while the first one read the folder."""
    exact.put("ahead.png", time.time() + DAY)
    assert exact.new() + exact.later() == ["ahead.png"]
    exact.put("further.png", time.time() + 365 * DAY)
    assert exact.later() + exact.later() == ["further.png"]
    assert exact.later() == []


def test_a_copy_with_the_old_time_is_listed_once(exact: Installation) -> None:
    """`cp -p` and `rsync -t` keep the time, which is before the watermark."""
    for number in range(12):
        exact.put(f"{number:02}.png", time.time() - DAY)
    assert len(exact.new()) == 12
    shutil.copy2(exact.files / "03.png", exact.files / "copy.png")
    assert exact.later() == ["copy.png"]
    assert exact.later() == []


def test_an_overwritten_file_is_listed_again(exact: Installation) -> None:
    exact.put("a.png", time.time() - DAY)
    exact.put("b.png", time.time() - DAY)
    assert exact.new() == ["a.png", "b.png"]
    (exact.files / "new.part").write_bytes(b"another version")
    os.utime(exact.files / "new.part", (time.time() - 2 * DAY,) * 2)
    (exact.files / "new.part").replace(exact.files / "a.png")
    assert exact.later() == ["a.png"]
    assert exact.later() == []


def test_several_runs_in_one_second_lose_and_repeat_nothing(exact: Installation) -> None:
    """A file of the future gets the second in which the folder is read: on a slow machine, that after the window."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN_OFTEN, exact.dataset, str(exact.files), str(RUNS), str(MOST_RUNS)],
        env=exact.environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    two_in_one_second, runs = json.loads(done.stdout)
    listed = Counter(name for _, _, names in runs for name in names)
    last = exact.later() + exact.later()
    listed.update(last)
    assert listed == Counter(f"{number:02}.png" for number in range(len(runs))), f"runs {runs}, last {last}"
    assert exact.later() == []
    assert two_in_one_second, "so this proves nothing; no run should wait"


def test_a_file_before_a_watermark_ahead_is_not_lost(exact: Installation) -> None:
    """As if the last run had been in a later second than this one, on a machine whose clock is ahead."""
    exact.put("a.png")
    assert exact.new() == ["a.png"]
    ahead = int(time.time()) + 4
    run_command(exact.environ, "watermark", "set", exact.dataset, str(ahead))
    exact.put("b.png", time.time() - DAY)
    listed = exact.new()  # nothing, if this machine is fast enough
    time.sleep(max(0.0, ahead + 1.05 - time.time()))
    assert listed + exact.new() == ["b.png"]
    assert exact.later() == []
