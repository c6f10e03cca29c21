"""`headwater`: its version, help, exit codes and the conditions that every command needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headwater import __version__
from tests.cli.commands import make_dataset, run_command
from tests.domain.configs import VALID
from tests.live import Live, command, environ_for, request, start
from tests.need import need
from tests.test_environment import SERVICE

pytestmark = pytest.mark.slow  # each test starts several processes


@pytest.mark.slow
def test_version_and_help(environ: dict[str, str]) -> None:
    assert run_command(environ, "--version") == f"headwater {__version__}"
    for path in ((), ("serve",), ("token",), ("datasource", "set"), ("list",), ("watermark", "set")):
        assert "Usage: headwater" in run_command(environ, *path, "--help")
    assert "--read-url-ttl" in run_command(environ, "serve", "--help")
    help_text = run_command(environ, "serve", "--help")
    assert "--secret-key" not in help_text
    assert "--metrics-token" not in help_text


def test_exit_code_tells_that_the_storage_refuses(environ: dict[str, str]) -> None:
    dataset = make_dataset(environ)
    run_command(environ, "datasource", "set", dataset, "--type", "LOCAL", "--path", "no/such")
    assert "no/such" in run_command(environ, "list", dataset, code=4)
    done = command(environ, "datasource", "verify", dataset)
    assert done.returncode == 1
    assert "canList       no, as above" in done.stdout
    assert done.stdout.count("is not a folder below the mount root") == 1, "one reason is printed once"


@pytest.mark.slow
def test_arguments_that_are_not_unicode_are_refused(environ: dict[str, str]) -> None:
    """They caused tracebacks, or were stored and broke the responses of the server."""
    dataset = make_dataset(environ)
    odd = os.fsdecode(b"ab\xff")
    run_command(environ, "token", "create", "--user", odd, code=2)
    run_command(environ, "datasource", "set", dataset, "--type", "LOCAL", "--path", odd, code=2)
    run_command(environ, "dataset", "delete", odd, code=3)
    run_command(environ, "dataset", "create", odd, "--user", "ada", code=2)


def test_openapi_prints_the_whole_contract_or_its_seed(environ: dict[str, str]) -> None:
    whole, seed = (json.loads(run_command(environ, "openapi", *option)) for option in ((), ("--seed",)))
    assert set(seed["paths"]) < set(whole["paths"])
    assert sum(method in ("get", "put") for path in seed["paths"].values() for method in path) == 6


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"port": "x"}, "HEADWATER_PORT"),
        ({"secret_key": "nonsense"}, "HEADWATER_SECRET_KEY"),
        ({"database_url": "mysql://host/db"}, "HEADWATER_DATABASE_URL"),
        ({"jwt_issuer": "https://issuer.example.com"}, "HEADWATER_JWT_AUDIENCE"),
        ({"allowed_endpoints": "10.0.0.0/99"}, "HEADWATER_ALLOWED_ENDPOINTS"),
        ({"data_dir": "/dev/null/data"}, "HEADWATER_DATA_DIR"),
    ],
)
def test_unusable_setting_is_named(tmp_path: Path, settings: dict[str, str], expected: str) -> None:
    environ = environ_for(tmp_path / "data", **settings)
    for arguments in (("init",), ("serve",)):
        assert expected in run_command(environ, *arguments, code=6)


@pytest.mark.parametrize("value", ["proxy.example.com", "10.0.0.1/8", "*"])
def test_trusted_proxies_are_addresses(tmp_path: Path, value: str) -> None:
    """Uvicorn ignores what it does not understand, and with `*` anybody could choose the address in the audit log."""
    environ = environ_for(tmp_path / "data", trusted_proxies=value)
    assert "HEADWATER_TRUSTED_PROXIES" in run_command(environ, "serve", code=6)


def test_command_and_server_run_next_to_a_kubernetes_service_of_their_name(tmp_path: Path) -> None:
    """With a Service named `headwater`, every command ended with exit code 6."""
    environ = environ_for(tmp_path / "data") | SERVICE | {"HEADWATER_LOKAL_ROOT": "hidden"}
    done = command(environ, "init")
    assert done.returncode == 0, done.stderr
    assert "HEADWATER_LOKAL_ROOT is not a setting and has no effect; did you mean HEADWATER_LOCAL_ROOT?" in done.stderr
    assert done.stderr.count("HEADWATER_") == 2
    live = start(environ, tmp_path, options=("--port", "0"))
    assert live.stop() == 0
    events = [json.loads(line) for line in live.log.read_text().splitlines()]
    (ignored,) = (event for event in events if event["event"] == "service_variables_ignored")
    assert ignored["variables"] == sorted(SERVICE)
    (unknown,) = (event for event in events if event["event"] == "setting_unknown")
    assert (unknown["variable"], unknown["similar"]) == ("HEADWATER_LOKAL_ROOT", "HEADWATER_LOCAL_ROOT")
    assert "hidden" not in live.log.read_text() + done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without an entry in the list of users")
def test_user_without_name_and_home_gets_a_text_instead_of_a_traceback(tmp_path: Path) -> None:
    """OpenShift runs containers with a number as the user: every command ended in a traceback."""
    allowed = "+dac_read_search"  # to read this test's interpreter, wherever it is
    prefix = [need("setpriv"), "--reuid=12345", "--regid=12345", "--clear-groups"]
    prefix += [f"--inh-caps={allowed}", f"--ambient-caps={allowed}", need("env"), "-i"]
    (tmp_path / "volume").mkdir()
    os.chown(tmp_path / "volume", 12345, 12345)

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        variables = [f"HEADWATER_{name}={value}" for name, value in settings.items()]
        command = [*prefix, *variables, f"PYTHONPATH={os.pathsep.join(sys.path)}", sys.executable, "-m", "headwater"]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=False)

    for done in (run("token", "list"), run("serve", PORT="0"), run("token", "list", DATA_DIR="~/x")):
        assert done.returncode == 6, done.stderr
        assert done.stderr.startswith("headwater: HEADWATER_DATA_DIR: ")
        assert len(done.stderr.splitlines()) == 1
    assert run("init", DATA_DIR=str(tmp_path / "volume" / "data")).returncode == 0


def test_env_file_holds_settings_for_the_server_and_for_commands(tmp_path: Path) -> None:
    """Settings had to be exported in every shell."""
    environ = environ_for(tmp_path)
    del environ["HEADWATER_DATA_DIR"]
    file = tmp_path / "headwater.env"
    file.write_text(f"# settings\nHEADWATER_DATA_DIR='{tmp_path / 'data'}'\n")
    run_command(environ, "--env-file", str(file), "init")
    assert (tmp_path / "data" / "headwater.db").exists()
    environ["HEADWATER_ENV_FILE"] = str(file)
    run_command(environ, "token", "list")
    file.write_text("HEADWATER_DATA_DIR")
    assert "headwater.env, line 1: " in run_command(environ, "token", "list", code=6)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--port=abc", "expected a whole number from 0 to 65535, not 'abc'"),
        ("--feed=late", "expected exact or dates, not 'late'"),
        (
            "--public-url=data",
            "expected a URL such as https://data.example.com, without query or credentials, not 'data'",
        ),
    ],
)
def test_option_with_a_bad_value_says_what_is_expected(option: str, expected: str, tmp_path: Path) -> None:
    """`Input should be a valid integer, unable to parse string as an integer` named neither the value nor the range."""
    text = run_command(environ_for(tmp_path / "data"), "serve", option, code=2)
    assert f"Invalid value for '{option.split('=')[0]}': {expected}" in text
    assert list(tmp_path.iterdir()) == []


def test_mount_root_that_exposes_the_data_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for root in ("data", "link"):
        environ = environ_for(tmp_path / "data", local_root=str(tmp_path / root))
        assert "HEADWATER_LOCAL_ROOT" in run_command(environ, "token", "list", code=6)
    environ = environ_for(tmp_path / "data", local_root=str(tmp_path), database_url=f"sqlite:///{tmp_path}/c.db")
    assert "HEADWATER_DATABASE_URL" in run_command(environ, "token", "list", code=6)
    run_command(environ_for(tmp_path / "data", local_root=str(tmp_path / "data" / "files")), "init")


def test_lost_key_file_is_reported_and_not_replaced(tmp_path: Path) -> None:
    environ = environ_for(tmp_path / "data")
    dataset = make_dataset(environ)
    run_command(environ, "datasource", "set", dataset, "--config", "-", stdin=json.dumps(VALID["S3"]))
    key = tmp_path / "data" / "secret.key"
    kept = key.read_bytes()
    key.unlink()
    assert "restore the key file" in run_command(environ, "dataset", "list", code=6)
    assert not key.exists()
    key.write_bytes(kept)
    key.chmod(0o600)
    run_command(environ, "dataset", "list")


def test_commands_take_effect_while_a_server_runs(live: Live, bucket: Path) -> None:
    (bucket / "a.png").write_bytes(b"x")
    dataset = live.dataset()
    live.headwater("datasource", "set", dataset, "--type", "LOCAL", "--path", bucket.name)
    assert live.names(dataset) == ["a.png"]
    live.headwater("watermark", "set", dataset, "77")
    mark: Any = live.call("GET", live.datasource(dataset, "processedUntilTimestamp")).json
    assert mark == {"processedUntilTimestamp": 77}
    token = live.headwater("token", "create", "--user", "ada")
    assert request(live.url, path=f"/v1/datasets/{dataset}?token={token}").status == 200
