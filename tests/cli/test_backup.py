"""`headwater backup`, `restore` and `db`, as operators use them, and as the documentation shows them."""

from __future__ import annotations

import itertools
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.cli.commands import run_command
from tests.live import command, environ_for, running
from tests.servers import postgres_database, postgres_server
from tests.service.test_backup import make, secrets_in, settings_of

DEPLOYMENT = Path(__file__).parents[2] / "docs/deployment.md"


@pytest.mark.slow
def test_backup_beside_a_server_holds_everything_that_was_acknowledged(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for number in range(3):
        (tmp_path / f"files/{number}.png").touch()
    with running(tmp_path, local_root=str(tmp_path / "files")) as live:
        listed = live.configured({"type": "LOCAL", "fullPath": ""})
        assert len(live.names(listed)) == 3
        acknowledged: list[str] = []
        stop = threading.Event()

        def write() -> None:
            for number in itertools.count():
                if stop.is_set():
                    return
                acknowledged.append(live.dataset(f"set {number}"))

        writing = threading.Thread(target=write)
        writing.start()
        while len(acknowledged) < 10:
            assert writing.is_alive()
        before = list(acknowledged)
        live.headwater("backup", str(tmp_path / "file"))
        written = len(acknowledged)
        stop.set()
        writing.join()
        assert written > len(before), "the server waited for the backup"
        refused = command(live.environ, "restore", "--overwrite", str(tmp_path / "file"))
        assert (refused.returncode, "is in use: stop all servers" in refused.stderr) == (5, True)
        assert len(live.names(listed)) == 3
    other = environ_for(tmp_path / "other")
    run_command(other, "restore", str(tmp_path / "file"))
    restored = [each["id"] for each in json.loads(run_command(other, "dataset", "list", "--json"))]
    assert set(before) <= set(restored) <= {listed, *acknowledged}
    assert json.loads(run_command(other, "feed", "show", listed, "--json"))["index"]["files"] == 3
    run_command(other, "db", "check")


def _commands(heading: str) -> list[list[str]]:
    """Return the lines of each shell block of a section of the page."""
    section = DEPLOYMENT.read_text().split(f"# {heading}\n", 1)[1]
    section = re.split(r"^#+ ", section, maxsplit=1, flags=re.MULTILINE)[0]
    return [block.splitlines() for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL)]


def _run(lines: list[str], environ: dict[str, str], folder: Path) -> None:
    environ = {**environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"}
    for line in lines:
        done = subprocess.run(["sh", "-c", line], env=environ, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stderr)


@pytest.mark.slow
def test_commands_on_the_page_back_up_restore_rotate_and_move(tmp_path: Path) -> None:
    environ, settings = environ_for(tmp_path / "data"), settings_of(tmp_path / "data")
    make(settings)
    (back_up,), (restore,), rotate = map(_commands, ("Back up", "Restore", "Rotate the key"))
    _run(back_up, environ, tmp_path)
    make(settings, "dogs")
    for block in rotate:
        _run(block, environ, tmp_path)
    _run(restore, environ, tmp_path)
    assert secrets_in(settings) == {"cats": "of cats"}
    export, load = _commands("Move to PostgreSQL")
    _run(export, environ, tmp_path)
    with postgres_server() as uri_of, postgres_database(uri_of) as url:
        moved = {**environ, "HEADWATER_DATABASE_URL": url}
        _run(load, moved, tmp_path)
        assert secrets_in(settings_of(tmp_path / "data", database_url=url)) == {"cats": "of cats"}
        # Servers on other machines, with a copy of the key file, would not decrypt what is encrypted with a new key.
        assert "--yes: required" in run_command(moved, "secrets", "rotate", code=2)


def test_check_tells_faults_by_its_exit_code(tmp_path: Path) -> None:
    environ = environ_for(tmp_path / "data")
    assert "there is no catalog" in run_command(environ, "db", "check", code=6)
    make(settings_of(tmp_path / "data"))
    database = sqlite3.connect(tmp_path / "data/headwater.db", isolation_level=None)
    database.execute("DELETE FROM users")
    database.close()
    done = command(environ, "db", "check", "--json")
    assert done.returncode == 1
    assert {each["name"]: len(each["faults"]) for each in json.loads(done.stdout)}["references"] == 1
    assert "references: 1 in datasets refer to users ann" in done.stderr
