"""How far a download is, on stderr, where that is a terminal."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections import deque
from typing import Deque, Optional, TextIO, Tuple

INTERVAL = 0.2
"""Seconds between two states of the line."""

RATE_OVER = 5.0
"""Seconds that the rate is the mean of."""

_BAR = 24


class Progress:
    """Counts files and bytes, and shows them in one line that is written over and over. Threads may share it.

    Args:
        shown: whether to show it, where `stream` is a terminal.
        total: files in all, where that is known.
        stream: where to. Default: stderr.

    Attributes:
        files: downloaded.
        skipped: found whole in the folder.
        failed: given up.
        bytes: received.
    """

    def __init__(self, shown: bool, total: Optional[int] = None, stream: Optional[TextIO] = None) -> None:
        self.files = self.skipped = self.failed = self.bytes = 0
        self._total = total
        self._stream: Optional[TextIO] = sys.stderr if stream is None else stream
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._marks: Deque[Tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._thread: Optional[threading.Thread] = None
        if shown and self._stream is not None and self._stream.isatty():
            self._thread = threading.Thread(target=self._run, name="swagger_client: progress", daemon=True)

    def __enter__(self) -> Progress:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def received(self, size: int) -> None:
        """Count bytes."""
        with self._lock:
            self.bytes += size

    def done(self, *, files: int = 0, skipped: int = 0, failed: int = 0) -> None:
        """Count files."""
        with self._lock:
            self.files += files
            self.skipped += skipped
            self.failed += failed

    def line(self) -> str:
        """The present state as text."""
        done = self.files + self.skipped + self.failed
        parts = [f"{done:,} files" if self._total is None else _bar(done, self._total)]
        parts += [_size(self.bytes), f"{_size(self._rate())}/s"]
        parts += [f"{count:,} {what}" for count, what in ((self.skipped, "skipped"), (self.failed, "failed")) if count]
        return "  ".join(parts)

    def _rate(self) -> float:
        now = time.monotonic()
        self._marks.append((now, self.bytes))
        while len(self._marks) > 2 and now - self._marks[1][0] >= RATE_OVER:
            self._marks.popleft()
        then, size = self._marks[0]
        return (self.bytes - size) / max(now - then, 1e-3)

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL):
            self._show(self.line(), "")
        self._show(self.line(), "\n")

    def _show(self, text: str, end: str) -> None:
        assert self._stream is not None
        width = shutil.get_terminal_size().columns - 1
        try:
            self._stream.write(f"\r{text[:width].ljust(width)}{end}")
            self._stream.flush()
        except (OSError, ValueError):  # the terminal is gone: the download goes on
            self._stop.set()


def _bar(done: int, total: int) -> str:
    filled = _BAR if total == 0 else min(_BAR * done // total, _BAR)
    return f"[{'#' * filled}{'.' * (_BAR - filled)}] {done:,} of {total:,} files"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
