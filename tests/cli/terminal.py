"""Run `headwater` at a terminal: a pseudo-terminal with a width, at which answers are typed."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from typing import NamedTuple

_TIMEOUT_SECONDS = 60.0


class Shown(NamedTuple):
    """What a command has shown at a terminal, and its exit code."""

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def at_terminal(
    environ: dict[str, str],
    *arguments: str,
    columns: int = 80,
    answers: Sequence[tuple[str, str]] = (),
    secret: str | None = None,
) -> Shown:
    """Run a command at a terminal.

    Args:
        environ: its environment.
        arguments: its arguments.
        columns: the width of the terminal.
        answers: prompts in the order in which they must appear, each with the line that is typed then.
        secret: the answer that is typed only once the terminal does not show what is typed.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "headwater", *arguments],
        env={name: value for name, value in environ.items() if name not in ("COLUMNS", "LINES")},
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        text = _talk(ours, list(answers), secret)
        return Shown(process.wait(_TIMEOUT_SECONDS), text.replace("\r\n", "\n"))
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _talk(terminal: int, answers: list[tuple[str, str]], secret: str | None) -> str:
    shown, answered = b"", 0
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the command has ended
            data = b""
        if not data:
            assert not answers, f"{answers[0][0]!r} was not asked: {shown.decode()}"
            return shown.decode()
        shown += data
        if answers and answers[0][0].encode() in shown[answered:]:
            answered = len(shown)
            answer = answers.pop(0)[1]
            while answer == secret and termios.tcgetattr(terminal)[3] & termios.ECHO and time.monotonic() < deadline:
                time.sleep(0.01)
            os.write(terminal, answer.encode() + b"\n")
    raise AssertionError(f"it did not end: {shown.decode()}")
