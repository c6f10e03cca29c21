"""Show the progress of a download on stderr, if that is a terminal."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections import deque
from typing import Deque, Optional, TextIO, Tuple

from swagger_client.forks import Event

REFRESH_SECONDS = 0.2
"""Seconds between two updates of the line."""

RATE_WINDOW_SECONDS = 5.0
"""Seconds over which the rate is averaged."""

_BAR_WIDTH = 24


class Progress:
    """Count files and bytes, and show the counts in one line that is updated in place. Thread-safe.

    Args:
        enabled: whether to show the line, if `stream` is a terminal.
        total: total number of files, if known.
        stream: where to write the line. Default: stderr.

    Attributes:
        files: files downloaded.
        skipped: files that were already complete in the folder.
        failed: files that could not be downloaded.
        refused: files that were left out because the store refuses them.
        bytes: bytes received.
    """

    def __init__(self, enabled: bool, total: Optional[int] = None, stream: Optional[TextIO] = None) -> None:
        self.files = self.skipped = self.failed = self.refused = self.bytes = 0
        self._total = total
        self._stream: Optional[TextIO] = sys.stderr if stream is None else stream
        self._lock = threading.Lock()
        self._stop = Event()
        self._measurements: Deque[Tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._thread: Optional[threading.Thread] = None
        if enabled and self._stream is not None and self._stream.isatty():
            self._thread = threading.Thread(target=self._run, name="headwater_client: progress", daemon=True)

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

    def done(self, *, files: int = 0, skipped: int = 0, failed: int = 0, refused: int = 0) -> None:
        """Count files."""
        with self._lock:
            self.files += files
            self.skipped += skipped
            self.failed += failed
            self.refused += refused

    def line(self) -> str:
        """Return the current counts as text."""
        done = self.files + self.skipped + self.failed + self.refused
        parts = [f"{done:,} files" if self._total is None else _bar(done, self._total)]
        parts += [_size(self.bytes), f"{_size(self._rate())}/s"]
        others = ((self.skipped, "skipped"), (self.failed, "failed"), (self.refused, "refused"))
        parts += [f"{count:,} {what}" for count, what in others if count]
        return "  ".join(parts)

    def _rate(self) -> float:
        now = time.monotonic()
        self._measurements.append((now, self.bytes))
        while len(self._measurements) > 2 and now - self._measurements[1][0] >= RATE_WINDOW_SECONDS:
            self._measurements.popleft()
        then, size = self._measurements[0]
        return (self.bytes - size) / max(now - then, 1e-3)

    def _run(self) -> None:
        while not self._stop.wait(REFRESH_SECONDS):
            self._show(self.line(), "")
        self._show(self.line(), "\n")

    def _show(self, text: str, end: str) -> None:
        assert self._stream is not None
        width = shutil.get_terminal_size().columns - 1
        try:
            self._stream.write(f"\r{text[:width].ljust(width)}{end}")
            self._stream.flush()
        except (OSError, ValueError):  # the terminal was closed; the download continues
            self._stop.set()


def _bar(done: int, total: int) -> str:
    filled = _BAR_WIDTH if total == 0 else min(_BAR_WIDTH * done // total, _BAR_WIDTH)
    return f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {done:,} of {total:,} files"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
