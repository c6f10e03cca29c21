"""Run `headwater` in tests, and check how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.live import command

LOCAL = ("--type", "LOCAL", "--path", "")
"""Options of `datasource set` for the whole mount root."""


def run_command(environ: dict[str, str], *arguments: str, stdin: str | None = None, code: int = 0) -> str:
    """Return what a command prints: stdout if it succeeds, else stderr."""
    done = command(environ, *arguments, stdin=stdin)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    if code:
        assert done.stderr.strip()
    return done.stdout.strip() if not code else done.stderr.strip()


def run_with_key_in_pipe(environ: dict[str, str], key: bytes, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose secret key is in a pipe, which can be read once: `HEADWATER_SECRET_KEY_FILE=<(…)`."""
    reading, writing = os.pipe()
    os.write(writing, key)
    os.close(writing)
    with os.fdopen(reading):
        return subprocess.run(
            [sys.executable, "-m", "headwater", *arguments],
            env=environ | {"HEADWATER_SECRET_KEY_FILE": f"/dev/fd/{reading}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            pass_fds=[reading],
        )


def make_dataset(environ: dict[str, str], *options: str) -> str:
    """Create a dataset with a new name and return its id. Creates the catalog if there is none."""
    if not Path(environ["HEADWATER_DATA_DIR"], "headwater.db").exists():
        run_command(environ, "init")
    return run_command(environ, "dataset", "create", f"set {os.urandom(6).hex()}", "--user", "ada", *options)
