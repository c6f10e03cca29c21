"""The progress line on a real pseudo-terminal."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from headwater_client import DownloadError, download
from headwater_client.progress import Progress
from tests.client.server import Answer, Scripted
from tests.headwater_client.stores import row

pty = pytest.importorskip("pty")


class Terminal:
    """Replace stderr by a terminal during the block."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, columns: int = 100) -> None:
        self._patch = monkeypatch
        self._columns = columns
        self._data = b""

    def __enter__(self) -> Terminal:
        self._ours, theirs = pty.openpty()
        self._stream = os.fdopen(theirs, "w")
        self._patch.setattr(sys, "stderr", self._stream)
        self._patch.setenv("COLUMNS", str(self._columns))
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()
        self._stream.close()
        try:
            while block := os.read(self._ours, 65536):
                self._data += block
        except OSError:  # how the end of the output is read
            pass
        os.close(self._ours)

    @property
    def lines(self) -> list[str]:
        """Return what was written, one item for each state of the line."""
        return [line.rstrip() for line in re.split(r"[\r\n]+", self._data.decode()) if line.strip()]


def test_a_bar_if_the_total_is_known(store: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.answer = lambda request: Answer(404) if "bad" in request.path else Answer(body=b"x" * 1000, delay=0.1)
    (tmp_path / "1.png").write_bytes(b"x" * 1000)
    rows = [row(store, f"{number}.png", "/bad" if number == 2 else "/good") for number in range(10)]
    with Terminal(monkeypatch) as terminal, pytest.raises(DownloadError):
        download(rows, tmp_path, workers=2)
    first, *_, last = terminal.lines
    assert re.match(r"\[#*\.+\] \d of 10 files", first)
    assert last.startswith("[########################] 10 of 10 files  8.0 kB  ")
    assert last.endswith("/s  1 skipped  1 failed")


def test_a_count_if_the_total_is_unknown(store: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.script(Answer(body=b"x" * 1_500_000))
    with Terminal(monkeypatch) as terminal:
        download((row(store, f"{number}.png") for number in range(2)), tmp_path)
    assert terminal.lines[-1].startswith("2 files  3.0 MB  ")


def test_progress_can_be_disabled(store: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.script(Answer(body=b"x", delay=0.3))
    with Terminal(monkeypatch) as terminal:
        download([row(store)], tmp_path, progress=False)
    assert terminal.lines == []


def test_the_line_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with Terminal(monkeypatch, 20) as terminal, Progress(True, 5) as progress:
        progress.done(files=5)
    assert terminal.lines == ["[##################"]


def test_a_closed_terminal_does_not_stop_the_download(
    store: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        os.close(ours)
        store.script(Answer(body=b"x", delay=0.5))
        assert download([row(store)], tmp_path).files == 1
        monkeypatch.undo()


def test_a_process_without_stderr(store: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Like programs without a console on Windows."""
    monkeypatch.setattr(sys, "stderr", None)
    store.script(Answer(body=b"x"))
    assert download([row(store)], tmp_path).files == 1
