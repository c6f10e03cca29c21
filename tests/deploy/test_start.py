"""What deploy/ starts, started: the unit's command, confined as the unit wants it, and the server of compose.

`test_image.py`, at night, builds and starts the image, and starts the unit under systemd.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import kit
from tests.servers import free_port, postgres_database, postgres_server

UID = 54321
"""A user that this machine does not know."""

REFUSE_NEW_CODE = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""PR_SET_MDWE of Linux 6.3, which refuses what MemoryDenyWriteExecute= refuses. Earlier kernels do not know it."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state directory, as systemd makes it."""
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(int(kit.unit("StateDirectoryMode")[0], 8))
    os.chown(folder, UID, UID)
    return folder


@pytest.mark.slow
def test_the_unit_starts_a_server_that_works(tmp_path: Path, state: Path) -> None:
    """Without systemd, and so without its filter of system calls: `test_image.py` has both."""
    here = f"/var/lib/{kit.unit('StateDirectory')[0]}"
    assert kit.unit("ProtectSystem") == ["strict"]
    assert kit.unit("MemoryDenyWriteExecute") == ["yes"]
    assert kit.unit("CapabilityBoundingSet") == [""]
    (exec_start,) = kit.unit("ExecStart")
    program, *arguments = exec_start.split()
    variables = {
        "PATH": os.environ["PATH"],
        "HEADWATER_PORT": str(free_port()),
        "HEADWATER_LOCAL_ROOT": f"{here}/files",
    }
    server = kit.Confined(
        uid=UID,
        gid=UID,
        environ={**variables, **kit.unit_environ()},
        writable={here: state},
        prepare=f"mount -t tmpfs tmpfs /var/lib\nmkdir {here}\nmount -t tmpfs tmpfs /opt\n"
        f"mkdir -p {Path(program).parent}\nln -s {kit.VENV}/bin/headwater {program}\numask {kit.unit('UMask')[0]}",
        prefix=(sys.executable, "-c", REFUSE_NEW_CODE),
        capability="dac_read_search",  # to read this test's interpreter, wherever it is
    )
    assert "Read-only file system" in server.run("touch", "/etc/headwater-was-here").stderr
    (state / "files").mkdir()
    with kit.started(server.command(program, *arguments), None, tmp_path) as live:
        done = server.run(program, "token", "create", "--user", "ada")
        assert done.returncode == 0, done.stderr
        live.token = done.stdout.strip()
        kit.use(live, state / "files")
        assert [event for event in kit.events(live) if event["level"] != "info"] == []
    assert {path.name for path in state.iterdir()} >= {"headwater.db", "secret.key", "server.json"}
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in state.glob("*.*")} == {0}


@pytest.fixture
def database() -> Iterator[str]:
    with postgres_server() as uri_of, postgres_database(uri_of) as url:
        yield url


@pytest.mark.slow
def test_the_compose_file_starts_a_server_with_postgresql(tmp_path: Path, database: str) -> None:
    """The server of this environment gets the variables of the container, and files of secrets made as in the docs."""
    page = (kit.ROOT / "docs/production.md").read_text()
    (block,) = re.findall(r"```sh\n(cd deploy/compose\n.*?)```", page, re.DOTALL)
    secrets = _secrets(block, tmp_path)
    assert (secrets / "database_url").read_text().startswith("postgresql://headwater:")
    (secrets / "database_url").chmod(0o644)
    (secrets / "database_url").write_text(database)
    named = {**kit.image_environ(), **kit.compose_environ()}
    environ = {name: re.sub(r"^/run/secrets", str(secrets), value) for name, value in named.items() if value}
    environ |= {"HEADWATER_DATA_DIR": str(tmp_path / "data"), "HEADWATER_LOCAL_ROOT": str(tmp_path / "files")}
    environ |= {"HEADWATER_HOST": "127.0.0.1", "HEADWATER_PORT": str(free_port()), "PATH": os.environ["PATH"]}
    (tmp_path / "files").mkdir()
    with kit.started([sys.executable, "-m", "headwater", "serve"], environ, tmp_path) as live:
        live.token = kit.token(environ)
        kit.use(live, tmp_path / "files")
        assert kit.healthy(environ, "/readyz") == (0, "")
    assert kit.healthy(environ) == (1, f"the server at {live.url} does not answer: [Errno 111] Connection refused")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["server.json"]


def _secrets(block: str, folder: Path) -> Path:
    """Run the commands of the docs that make the secrets, in a copy of the folder; return the folder of secrets."""
    here = folder / "deploy" / "compose"
    shutil.copytree(kit.COMPOSE.parent, here)
    made = block.split("docker compose")[0]
    subprocess.run(["sh", "-euc", made], cwd=folder, check=True, capture_output=True, timeout=60)
    assert {path.name for path in (here / "secrets").iterdir()} == set(kit.compose()["secrets"])
    assert stat.S_IMODE((here / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (here / "secrets").iterdir()} == {0o444}
    return here / "secrets"
