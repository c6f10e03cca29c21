"""A data folder, or a file in it, of another user: the error names it, its owner and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headwater.access import refusal
from headwater.cli.output import EXIT_CANNOT_START
from tests.cli.commands import run_command
from tests.live import environ_for
from tests.need import unprivileged

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")

OTHER = 54321


@pytest.mark.slow
def test_what_belongs_to_another_user_is_named(tmp_path: Path) -> None:
    """The error was `Permission denied`, or that of SQLite, and some commands ended with 1."""
    data = tmp_path / "data"
    environ = environ_for(data)
    run_command(environ, "init")
    (data / "headwater.db").chmod(0o644)
    code = "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('DELETE FROM users'); os._exit(0)"
    subprocess.run([sys.executable, "-c", code, str(data / "headwater.db")], check=True)  # as a killed process
    before = {path: path.stat().st_mtime_ns for path in data.glob("*[by]")}
    for found, arguments in (
        (data / "headwater.db-wal", ("token", "list")),
        (data, ("token", "list")),
        (data / "secret.key", ("token", "list")),
        (data / "headwater.db", ("serve",)),
    ):
        os.chown(found, OTHER, -1)
        command = [*unprivileged(), sys.executable, "-m", "headwater", *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
        os.chown(found, 0, -1)
        assert done.returncode == EXIT_CANNOT_START, done.stderr
        assert f"{found} belongs to user {OTHER} (mode 0" in done.stderr
        assert f"runs as user root (0); run it as user {OTHER}, or change the owner or the mode" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in data.glob("*[by]")} == before


def test_reason_is_the_folder_that_may_not_be_searched_or_written(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert refusal(closed / "new" / "file") is None
    code = (
        "import sys\nfrom pathlib import Path\nfrom headwater.access import refusal\n"
        "for path in sys.argv[1:]: print(refusal(Path(path)))"
    )
    (tmp_path / "full").mkdir(mode=0o500)
    os.chown(closed, OTHER, -1)
    paths = (closed / "new" / "file", tmp_path / "full" / "file", tmp_path / "file")
    command = [*unprivileged(), sys.executable, "-c", code, *map(str, paths)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0].startswith(f"{closed} belongs to user {OTHER} (mode 0700), ")
    assert lines[1] == f"{tmp_path}/full has mode 0500, which does not allow it even to its owner; change it with chmod"
    assert lines[2] == "None"
