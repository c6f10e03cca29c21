"""`headwater serve`: what keeps it from starting, and what it prints at start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from headwater.cli import serving
from headwater.settings import Settings
from headwater.stores.local import inodes
from tests.cli.commands import run_command
from tests.live import Live, command, environ_for, running

pytestmark = pytest.mark.slow  # each test starts several processes


def test_serve_refuses_a_password_in_an_argument(tmp_path: Path) -> None:
    out = run_command(environ_for(tmp_path), "serve", "--database-url", "postgresql://u:hidden@h/d", code=6)
    assert "HEADWATER_DATABASE_URL" in out
    assert "hidden" not in out
    out = run_command(
        environ_for(tmp_path), "serve", "--database-url", "postgresql://h/d?user=u&password=hidden", code=6
    )
    assert "hidden" not in out


def test_serve_names_the_setting_of_a_port_in_use(live: Live, tmp_path: Path) -> None:
    out = run_command(environ_for(tmp_path, port=live.url.rsplit(":", 1)[1]), "serve", code=6)
    assert "HEADWATER_PORT" in out


def test_serve_explains_how_to_create_the_first_token(tmp_path: Path) -> None:
    with running(tmp_path) as live:
        assert live.process.stdout is not None
        live.process.stdout.readline()
        line = live.process.stdout.readline()
        assert "token create --user" in line
        assert f"HEADWATER_DATA_DIR={tmp_path / 'data'} " in line
    with running(tmp_path) as live:
        pass


def test_the_command_for_the_first_token_names_the_database(tmp_path: Path) -> None:
    """The command that the server printed left the database out, so that it made a token in another catalog."""
    with running(tmp_path, database_url=f"sqlite:///{tmp_path}/other.db?x=test-password") as live:
        assert live.process.stdout is not None
        live.process.stdout.readline()
        line = live.process.stdout.readline()
        assert "HEADWATER_DATABASE_URL=… " in line
        assert "test-password" not in line
        environ = {name: value for name, value in live.environ.items() if name != "HEADWATER_DATABASE_URL"}
        for arguments in (("token", "create", "--user", "ada"), ("token", "list")):
            text = run_command(environ, *arguments, code=6)
            assert f"the server of {tmp_path / 'data'} uses another database: set HEADWATER_DATABASE_URL" in text
        assert not (tmp_path / "data" / "headwater.db").exists()
        assert "uses another database" in command(environ, "init").stderr
        assert "uses another database" in command(environ, "token", "list").stderr
        assert "another" not in command(live.environ, "token", "list").stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a server as another user")
def test_serve_names_a_folder_that_its_user_may_not_use(tmp_path: Path) -> None:
    """The whole error was `Permission denied`, with the exit code of a command that has failed."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    code = "import os, sys; os.setgroups([]); os.setuid(12345); from headwater.cli.main import main; main()"
    environ = environ_for(closed / "data")
    # The modules are imported before the user changes, who may not read them everywhere.
    done = subprocess.run(
        [sys.executable, "-c", f"import headwater.cli.main, headwater.web.app, headwater.web.server\n{code}", "serve"],
        env=environ, cwd="/", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 6, done.stderr
    assert f"the data folder {closed / 'data'} cannot be used: " in done.stderr
    assert "belongs to user root (0) (mode 0700), and this process runs as user 12345; run it as user" in done.stderr


def test_the_server_and_verify_warn_about_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment had no effect, and nothing said so."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://user:test-proxy-password@proxy.test:3128")
    with running(tmp_path, local_root=str(tmp_path)) as live:
        assert '"proxy_ignored"' in live.log.read_text()
        dataset = live.configured({"type": "LOCAL", "fullPath": ""})
        warned = command(live.environ, "datasource", "verify", dataset).stderr
        assert "proxy_ignored" in warned
        assert "proxy_ignored" not in command(live.environ, "dataset", "list").stderr
        assert "password" not in live.log.read_text() + warned


@pytest.mark.parametrize(("file_system", "warned"), [(b"nfs4", True), (b"fuse.sshfs", True), (b"ext4", False)])
def test_a_catalog_on_a_network_disk_is_warned_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_system: bytes, warned: bool
) -> None:
    """SQLite on NFS loses data, and users find out when it has."""
    monkeypatch.setattr(inodes, "file_system_of", lambda _: file_system)
    settings = Settings.load({"HEADWATER_DATA_DIR": str(tmp_path)})
    with capture_logs() as logs:
        serving._warn_about_network_disk(settings)
    expected = {"event": "catalog_on_network_disk", "log_level": "warning", "folder": str(tmp_path)}
    assert logs == ([{**expected, "file_system": file_system.decode()}] if warned else [])


@pytest.mark.parametrize(("mode", "warned"), [(0o660, True), (0o640, True), (0o600, False)])
def test_a_key_file_that_a_group_may_open_is_warned_about(tmp_path: Path, mode: int, warned: bool) -> None:
    """It is not refused, because of Kubernetes' fsGroup; elsewhere it is most likely a mistake."""
    file = tmp_path / "secret.key"
    file.touch()
    file.chmod(mode)
    with capture_logs() as logs:
        serving._warn_about_group(Settings.load({"HEADWATER_DATA_DIR": str(tmp_path)}))
    expected = {"event": "key_file_readable_by_group", "log_level": "warning", "file": str(file), "mode": f"{mode:04o}"}
    assert logs == ([expected] if warned else [])
