"""`headwater list`, run as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.commands import LOCAL, make_dataset, run_command
from tests.cli.terminal import at_terminal
from tests.live import command

pytestmark = pytest.mark.slow  # each test starts several processes


@pytest.mark.slow
def test_list_new_returns_each_file_once(environ: dict[str, str], tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    own = {**environ, "HEADWATER_LOCAL_ROOT": str(files)}
    dataset = make_dataset(own)
    run_command(own, "datasource", "set", dataset, *LOCAL)
    (files / "a.png").write_bytes(b"x")
    assert run_command(own, "list", dataset, "--new") == "a.png"
    assert run_command(own, "list", dataset, "--new") == ""
    (files / "b.png").write_bytes(b"x")
    (files / "c.png").write_bytes(b"x")
    assert run_command(own, "list", dataset, "--new").splitlines() == ["b.png", "c.png"]
    assert int(run_command(own, "watermark", "get", dataset)) <= time.time()
    assert "--new" in run_command(own, "list", dataset, "--new", "--from", "1", code=2)


def test_list_new_keeps_a_watermark_in_the_future(environ: dict[str, str]) -> None:
    """Moving it back would list files again that were processed."""
    dataset = make_dataset(environ)
    run_command(environ, "datasource", "set", dataset, *LOCAL)
    future = str(int(time.time()) + 100_000)
    run_command(environ, "watermark", "set", dataset, future)
    done = command(environ, "list", dataset, "--new")
    assert (done.returncode, done.stdout) == (0, "")
    assert "is in the future" in done.stderr
    assert run_command(environ, "watermark", "get", dataset) == future


@pytest.mark.slow
def test_list_new_keeps_the_watermark_if_the_output_cannot_be_written(environ: dict[str, str]) -> None:
    """If the reader exits or the disk is full, the files do not count as processed."""
    dataset = make_dataset(environ)
    run_command(environ, "datasource", "set", dataset, *LOCAL)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "headwater", "list", dataset, "--new"],
            env=environ, stdout=closed, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "headwater", "list", dataset, "--new"],
            env=environ, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert run_command(environ, "watermark", "get", dataset) == "0"


def test_list_escapes_control_characters_in_names(environ: dict[str, str], tmp_path: Path) -> None:
    """Names of files come from strangers: on a terminal they must not move the cursor or begin a new line."""
    (tmp_path / "a\x1b[2J\n.png").write_bytes(b"x")
    own = {**environ, "HEADWATER_LOCAL_ROOT": str(tmp_path)}
    dataset = make_dataset(own)
    run_command(own, "datasource", "set", dataset, *LOCAL)
    assert run_command(own, "list", dataset) == "a\\x1b[2J\\n.png"
    assert json.loads(run_command(own, "list", dataset, "--json"))["fileName"] == "a\x1b[2J\n.png"


def test_list_shows_sizes_and_times(environ: dict[str, str], tmp_path: Path) -> None:
    """Only names and URLs were shown, so nobody saw that a file is empty or old."""
    (tmp_path / "a.png").write_bytes(b"x" * 1536)
    (tmp_path / "b.png").write_bytes(b"")
    os.utime(tmp_path / "a.png", (1577934245, 1577934245))
    os.utime(tmp_path / "b.png", (1000, 1000))
    own = {**environ, "HEADWATER_LOCAL_ROOT": str(tmp_path)}
    dataset = make_dataset(own)
    run_command(own, "datasource", "set", dataset, *LOCAL)
    long = command(own, "list", dataset, "-l")
    assert long.stdout.splitlines() == [
        "  1.5 KiB  2020-01-02 03:04:05 UTC  a.png",
        "      0 B  1970-01-01 00:16:40 UTC  b.png",
    ]
    assert long.stderr == "", "the summary is for people"
    rows = [json.loads(line) for line in run_command(own, "list", dataset, "--json").splitlines()]
    assert [(row["fileName"], row["sizeInBytes"], row["time"]) for row in rows] == [
        ("a.png", 1536, 1577934245),
        ("b.png", 0, 1000),
    ]
    (line,) = run_command(own, "list", dataset, "--long", "--urls", "--to", "1000").splitlines()
    assert line.split("\t")[0].endswith("  b.png")
    assert line.split("\t")[1].startswith("http://")
    shown = at_terminal(own, "list", dataset)
    assert shown.lines == ["a.png", "b.png", "2 samples, 1.5 KiB"]


def test_a_window_that_ends_before_it_begins_is_refused(environ: dict[str, str]) -> None:
    """It listed nothing, as if there were no files. Over HTTP it stays an empty 200."""
    dataset = make_dataset(environ)
    run_command(environ, "datasource", "set", dataset, *LOCAL)
    message = run_command(environ, "list", dataset, "--from", "10", "--to", "5", code=2)
    assert "--from: 1970-01-01 00:00:10 UTC is after --to" in message
    assert run_command(environ, "list", dataset, "--from", "1003", "--to", "1003") == "03.png"
