"""What people see at a terminal: Ctrl-C, output in other encodings, completion."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer.main

from headwater.cli.main import app
from headwater.cli.terminal import escape_what_cannot_be_shown
from tests.cli.commands import LOCAL, make_dataset, run_command
from tests.live import environ_for
from tests.need import need

ENCODINGS = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]

NAMES = ["b\u00e9.png", "c\u20ac.png", "d\U0001f600.png"]
USER = "Zo\u00eb \u20ac"


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, environ: dict[str, str], *arguments: str) -> None:
        self._pid, self._descriptor = pty.fork()
        if self._pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell lets its background jobs ignore it
            os.execve(sys.executable, [sys.executable, "-m", "headwater", *arguments], {**environ, "TERM": "dumb"})
        self.shown = ""

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 60
        while text not in self.shown and self._read(deadline):
            pass
        assert text in self.shown, self.shown

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def interrupt(self) -> None:
        """Type Ctrl-C until the command has noticed it: what comes just before it reads may go unnoticed."""
        for _ in range(30):
            self.type("\x03")
            while select.select([self._descriptor], [], [], 2)[0] and "aborted" not in self.shown:
                if not self._read(time.monotonic() + 1):
                    return
            if "aborted" in self.shown:
                return

    def end(self) -> int:
        """Read the rest of the output and return the exit code."""
        deadline = time.monotonic() + 60
        while self._read(deadline):
            pass
        os.close(self._descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _read(self, deadline: float) -> bool:
        if not select.select([self._descriptor], [], [], max(0, deadline - time.monotonic()))[0]:
            os.kill(self._pid, signal.SIGKILL)
            return False
        try:
            read = os.read(self._descriptor, 4096)
        except OSError:  # the command has ended
            return False
        self.shown += read.decode()
        return bool(read)


@pytest.mark.slow
def test_ctrl_c_at_a_prompt_prints_one_line(environ: dict[str, str]) -> None:
    """It printed `Aborted!` in the line of the prompt and ended with 1, like a refusal."""
    dataset = make_dataset(environ)
    terminal = Terminal(environ, "dataset", "delete", dataset)
    terminal.wait_for("[y/N]: ")
    terminal.interrupt()
    assert terminal.end() == 130
    assert re.search(r"\[y/N\]: (\^C)*\r\nheadwater: aborted\r\n$", terminal.shown), terminal.shown
    run_command(environ, "watermark", "get", dataset)


@pytest.mark.slow
def test_ctrl_c_at_the_prompt_for_a_secret_stores_nothing(environ: dict[str, str]) -> None:
    dataset = make_dataset(environ)
    options = ("--type", "S3", "--path", "s3://bucket", "--region", "eu-central-1", "--access-key-id", "test-key-id")
    terminal = Terminal(environ, "datasource", "set", dataset, *options)
    terminal.wait_for(": ")
    terminal.interrupt()
    assert terminal.end() == 130
    assert terminal.shown.endswith("\nheadwater: aborted\r\n"), terminal.shown
    run_command(environ, "datasource", "show", dataset, code=3)


@pytest.mark.slow
def test_end_of_input_at_a_prompt_ends_its_line(environ: dict[str, str]) -> None:
    dataset = make_dataset(environ)
    terminal = Terminal(environ, "dataset", "delete", dataset)
    terminal.wait_for("[y/N]: ")
    terminal.type("\x04")
    assert terminal.end() == 1
    assert terminal.shown.endswith(": \r\nheadwater: aborted\r\n"), terminal.shown


@pytest.mark.slow
def test_a_refusal_at_a_prompt_is_no_interruption(environ: dict[str, str]) -> None:
    dataset = make_dataset(environ)
    terminal = Terminal(environ, "dataset", "delete", dataset)
    terminal.wait_for("[y/N]: ")
    terminal.type("n\n")
    assert terminal.end() == 1
    assert terminal.shown.endswith("n\r\nheadwater: aborted\r\n")


@pytest.mark.slow
def test_ctrl_c_in_a_running_command_prints_one_line(environ: dict[str, str]) -> None:
    """It ended without a word, or in the middle of a line of progress."""
    dataset = make_dataset(environ, "--feed", "dates")
    run_command(environ, "datasource", "set", dataset, *LOCAL)
    program = (
        "import asyncio, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from headwater.cli import list_command, main\n"
        "async def stuck():\n    print('stuck', flush=True)\n    await asyncio.sleep(60)\n"
        "list_command._last_complete_second = stuck\n"
        "sys.argv = ['headwater', 'list', sys.argv[1], '--new']\nmain.main()\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", program, dataset],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "stuck\n"
    running.send_signal(signal.SIGINT)
    assert running.communicate(timeout=60) == ("", "headwater: aborted\n")
    assert running.returncode == 130


@pytest.fixture(scope="module")
def unicode(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], str]:
    """An installation with names of all kinds: its environment and its dataset."""
    folder = tmp_path_factory.mktemp("unicode")
    (folder / "files").mkdir()
    for name in NAMES:
        (folder / "files" / name).write_bytes(b"x")
    environ = environ_for(folder / "data", local_root=str(folder / "files"))
    run_command(environ, "token", "create", "--user", USER)
    dataset = run_command(environ, "dataset", "create", "streets")
    run_command(environ, "datasource", "set", dataset, *LOCAL)
    return environ, dataset


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS, ids=["ascii", "latin-1", "C"])
def test_output_in_any_encoding_is_complete(encoding: dict[str, str], unicode: tuple[dict[str, str], str]) -> None:
    """Tables, listings and JSON with a character that the terminal lacks ended in a traceback."""
    environ, dataset = {**unicode[0], **encoding}, unicode[1]
    assert "Zo" in run_command_bytes(environ, "token", "list")
    assert json.loads(run_command_bytes(environ, "token", "list", "--json"))[0]["user"] == USER
    rows = run_command_bytes(environ, "list", dataset, "--json").splitlines()
    assert [json.loads(row)["fileName"] for row in rows] == NAMES


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [
        ("ascii", "a\u00e9\u20ac\U0001f600", b"a\\u00e9\\u20ac\\ud83d\\ude00"),
        ("latin-1", "a\u00e9\u20ac", b"a\xe9\\u20ac"),
        ("utf-8", "\u20ac\udcff", b"\xe2\x82\xac\\udcff"),
    ],
)
def test_escapes_are_those_of_json(encoding: str, text: str, written: bytes) -> None:
    r"""Python's own escapes (`\xe9`, `\U0001f600`) would not be JSON."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding)
    escape_what_cannot_be_shown(stream, None)
    stream.write(text)
    stream.flush()
    assert raw.getvalue() == written


def run_command_bytes(environ: dict[str, str], *arguments: str) -> str:
    """Return the stdout of a command that writes ASCII or Latin-1."""
    done = subprocess.run(
        [sys.executable, "-m", "headwater", *arguments], env=environ, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("latin-1")


def test_help_of_every_command_is_ascii() -> None:
    """Help texts with other characters were wrong on terminals without UTF-8."""
    commands: list[Any] = [(typer.main.get_command(app), None)]
    seen = 0
    for found, parent in commands:
        context = found.make_context("headwater", [], parent=parent, resilient_parsing=True)
        assert found.get_help(context).isascii(), context.command_path
        commands += [(each, context) for each in getattr(found, "commands", {}).values()]
        seen += 1
    assert seen > 20


@pytest.mark.slow
def test_completion_script_completes_commands_in_bash(environ: dict[str, str], tmp_path: Path) -> None:
    """There was no completion."""
    script = run_command(environ, "--show-completion", "bash")
    program = tmp_path / "headwater"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m headwater "$@"\n')
    program.chmod(0o755)
    lines = (
        script,
        'COMP_WORDS=(headwater token cr); COMP_CWORD=2; _headwater_completion headwater; echo "${COMPREPLY[@]}"',
        "COMP_WORDS=(headwater serve --loc); COMP_CWORD=2; _headwater_completion headwater; echo ${COMPREPLY[@]}",
    )
    done = subprocess.run(
        [need("bash"), "-c", "\n".join(lines)],
        env={**environ, "PATH": f"{tmp_path}:{environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["create", "--local-root", "--local-min-age"]
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_completion_scripts(shell: str, environ: dict[str, str]) -> None:
    script = run_command(environ, "--show-completion", shell)
    assert f"complete_{shell}" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=60)
