"""Commands next to a server use its settings: `headwater serve` leaves them in the data folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headwater.cli.shared_settings import FILE_NAME, settings_for_command, share_settings
from headwater.domain.errors import StartupError
from headwater.domain.feed import FeedMode
from headwater.settings import Settings
from tests.cli.commands import run_command
from tests.live import environ_for


@contextmanager
def serving(environ: dict[str, str], *options: str) -> Iterator[list[str]]:
    """Run a server and yield the first two lines that it prints."""
    server = subprocess.Popen(
        [sys.executable, "-m", "headwater", "serve", *options],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield [server.stdout.readline() for _ in range(2)]
    finally:
        server.terminate()
        server.stdout.close()
        assert server.wait(30) == 0


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@pytest.mark.slow
def test_commands_need_only_the_data_folder_of_a_running_server(tmp_path: Path) -> None:
    """`list --urls` printed the default port, found nothing mounted, and refused an endpoint that the server allows."""
    files = tmp_path / "files"
    (files / "camera").mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png"):
        (files / "camera" / name).write_bytes(b"x")
    environ = environ_for(tmp_path / "data")
    del environ["HEADWATER_PORT"]
    port, closed = free_port(), free_port()
    options = ["--port", str(port), "--local-root", str(files), "--allowed-endpoints", "127.0.0.1"]
    with serving(environ, *options, "--page-size", "2", "--feed", "dates"):
        for name in ("local", "obs"):
            run_command(environ, "dataset", "create", name, "--user", "ada")
        run_command(environ, "datasource", "set", "local", "--type", "LOCAL", "--path", "camera")
        lines = run_command(environ, "list", "local", "--urls").splitlines()
        assert [line.split("\t")[0] for line in lines] == ["a.png", "b.png", "c.png"]
        assert all(line.split("\t")[1].startswith(f"http://127.0.0.1:{port}/") for line in lines)
        config = {
            "type": "OBS",
            "fullPath": "obs://bucket",
            "obsEndpoint": f"http://127.0.0.1:{closed}",
            "obsAccessKeyId": "test-key-id",
            "obsSecretAccessKey": "test",
        }
        run_command(environ, "datasource", "set", "obs", "--config", "-", stdin=json.dumps(config))
        assert "HEADWATER_ALLOWED_ENDPOINTS" not in run_command(environ, "list", "obs", code=5)
    own = {**environ, "HEADWATER_PUBLIC_URL": "https://own.example.com"}
    assert "https://own.example.com/" in run_command(own, "list", "local", "--urls"), "the environment wins"
    assert f":{port}/" in run_command({**environ, "HEADWATER_PORT": "0"}, "list", "local", "--urls")


def environ_of(folder: Path, **settings: str) -> dict[str, str]:
    return {"HEADWATER_DATA_DIR": str(folder), **{f"HEADWATER_{name}": value for name, value in settings.items()}}


EVERYTHING = {
    "HOST": "0.0.0.0",
    "PORT": "9100",
    "PUBLIC_URL": "https://data.example.com",
    "TRUSTED_PROXIES": "10.0.0.0/8",
    "LOCAL_ROOT": "/mnt/files",
    "LOCAL_MIN_AGE": "5",
    "READ_URL_TTL": "60",
    "FEED": "dates",
    "PAGE_SIZE": "7",
    "AUDIT_RETENTION_DAYS": "30",
    "JWT_ISSUER": "https://issuer.example.com",
    "JWT_AUDIENCE": "audience",
    "JWKS_URL": "https://issuer.example.com/keys",
    "JWT_GROUPS_CLAIM": "groups",
    "S3_ENDPOINT": "https://s3.example.com",
    "STS_ENDPOINT": "https://sts.example.com",
    "GCS_ENDPOINT": "https://gcs.example.com",
    "AZURE_ENDPOINT": "https://azure.example.com",
    "MANAGED_STORE": "file:///srv/managed",
    "ALLOWED_ENDPOINTS": "10.0.0.0/8",
    "METRICS_PORT": "9101",
    "METRICS_HOST": "::1",
    "METRICS_MAX_DATASETS": "9",
}


def test_every_setting_but_secrets_is_shared(tmp_path: Path) -> None:
    """A setting that is not shared makes a command act otherwise than the server."""
    secrets = {"SECRET_KEY": "k:hidden", "METRICS_TOKEN": "hidden-hidden-hidden"}
    server = environ_of(tmp_path, **EVERYTHING, **secrets)
    share_settings(Settings.load(server))
    assert "hidden" not in (tmp_path / FILE_NAME).read_text()
    assert oct((tmp_path / FILE_NAME).stat().st_mode & 0o777) == "0o600"
    found = settings_for_command(environ_of(tmp_path, **secrets))
    assert found == Settings.load(server)
    unset = {name for name in vars(Settings()) if getattr(found, name) == getattr(Settings(), name)}
    assert unset <= {"database_url"}, "give the new setting a value in EVERYTHING"
    mine = settings_for_command(environ_of(tmp_path, PAGE_SIZE="8", PORT="0"))
    assert (mine.page_size, mine.port, mine.feed) == (8, 9100, FeedMode.DATES)
    assert {path.name for path in tmp_path.iterdir()} == {FILE_NAME}


def test_relative_paths_of_the_server_are_shared_as_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command in another working directory would list another folder."""
    monkeypatch.chdir(tmp_path)
    share_settings(Settings.load(environ_of(Path("data"), LOCAL_ROOT="files")))
    monkeypatch.chdir("/")
    assert settings_for_command(environ_of(tmp_path / "data")).mount_root == tmp_path / "files"


def test_settings_of_a_server_with_another_catalog_are_not_used(tmp_path: Path) -> None:
    """Servers of several databases may have the same, default, data folder."""
    database = "postgresql://me:hidden@db:5432/one"
    share_settings(Settings.load(environ_of(tmp_path, DATABASE_URL=database, PAGE_SIZE="7")))
    assert "hidden" not in (tmp_path / FILE_NAME).read_text()
    same = environ_of(tmp_path, DATABASE_URL="postgresql://other:word@db:5432/one?connect_timeout=3")
    assert settings_for_command(same).page_size == 7
    for url in ("postgresql://me:hidden@db:5432/two", "postgresql://me@db/one?host=/tmp", ""):
        assert settings_for_command(environ_of(tmp_path, DATABASE_URL=url)).page_size == 1000


def test_catalogs_in_sqlite_are_told_by_their_file(tmp_path: Path) -> None:
    file = f"sqlite:///{tmp_path}/"
    share_settings(Settings.load(environ_of(tmp_path, PAGE_SIZE="7")))
    assert settings_for_command(environ_of(tmp_path, DATABASE_URL=f"{file}headwater.db")).page_size == 7
    assert settings_for_command(environ_of(tmp_path, DATABASE_URL=f"{file}other.db")).page_size == 1000


def test_secret_in_a_pipe_is_read_once(tmp_path: Path) -> None:
    """A shell passes a secret of a password manager as a pipe: `HEADWATER_SECRET_KEY_FILE=<(…)`."""
    reading, writing = os.pipe()
    os.write(writing, b"k:hidden\n")
    os.close(writing)
    with os.fdopen(reading):
        environ = environ_of(tmp_path, SECRET_KEY_FILE=f"/dev/fd/{reading}")
        assert settings_for_command(environ).secret_key == "k:hidden"


def test_without_a_data_folder_nothing_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with PostgreSQL and a key of its own needs no folder, and must not make one in the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    environ = {"HEADWATER_DATABASE_URL": "postgresql://db/one", "HEADWATER_SECRET_KEY": "k:hidden"}
    share_settings(Settings.load(environ))
    assert settings_for_command(environ) == Settings.load(environ)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("settings", ["", "[]", '{"HEADWATER_FEED": "x"}'])
def test_damaged_file_is_an_error_and_not_ignored(settings: str, tmp_path: Path) -> None:
    """Listing with the wrong feed mode would drop the index of a dataset."""
    (tmp_path / FILE_NAME).write_text(f'{{"catalog": null, "settings": {settings}}}')
    with pytest.raises(StartupError, match=f"{FILE_NAME}.*start the server again"):
        settings_for_command(environ_of(tmp_path))


def test_unknown_settings_of_a_newer_server_are_ignored(tmp_path: Path) -> None:
    share_settings(Settings.load(environ_of(tmp_path, PAGE_SIZE="7")))
    data = json.loads((tmp_path / FILE_NAME).read_text())
    data["settings"]["HEADWATER_OF_TOMORROW"] = "1"
    (tmp_path / FILE_NAME).write_text(json.dumps(data))
    assert settings_for_command(environ_of(tmp_path)).page_size == 7


def test_failed_write_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError):  # noqa: PT011  any
        share_settings(Settings.load(environ_of(tmp_path)))
    assert list(tmp_path.iterdir()) == []
