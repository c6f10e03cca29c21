"""The `headwater` command, run as a user runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from headwater import __version__
from tests.domain.configs import SECRETS, VALID
from tests.live import Live, command, environ_for, request, running

LOCAL = ("--type", "LOCAL", "--path", "")


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An installation of the command line's own: no server runs."""
    folder = tmp_path_factory.mktemp("cli")
    files = folder / "files"
    files.mkdir()
    for index in range(12):
        (files / f"{index:02}.png").write_bytes(b"x")
        os.utime(files / f"{index:02}.png", (1000 + index, 1000 + index))
    (files / "labels.json").write_text("{}")
    return environ_for(folder / "data", local_root=str(files), page_size="5")


def _run(environ: dict[str, str], *arguments: str, stdin: str | None = None, code: int = 0) -> str:
    done = command(environ, *arguments, stdin=stdin)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    if code:
        assert done.stderr.strip()
    return done.stdout.strip() if not code else done.stderr.strip()


def _dataset(environ: dict[str, str], *options: str) -> str:
    return _run(environ, "dataset", "create", f"set {os.urandom(6).hex()}", "--user", "ada", *options)


def test_version_and_help(environ: dict[str, str]) -> None:
    assert _run(environ, "--version") == f"headwater {__version__}"
    for path in ((), ("serve",), ("token",), ("datasource", "set"), ("list",), ("watermark", "set")):
        assert "Usage: headwater" in _run(environ, *path, "--help")
    assert "--read-url-ttl" in _run(environ, "serve", "--help")
    assert "--secret-key" not in _run(environ, "serve", "--help")


def test_tokens(environ: dict[str, str]) -> None:
    token = _run(environ, "token", "create", "--user", "ada")
    assert token.startswith("hw_")
    assert len(token.split()) == 1
    admin = json.loads(_run(environ, "token", "create", "--user", "root", "--admin", "--json"))
    assert admin["admin"] is True
    listed = json.loads(_run(environ, "token", "list", "--json"))
    assert {(found["user"], found["admin"]) for found in listed} >= {("ada", False), ("root", True)}
    table = _run(environ, "token", "list")
    assert table.splitlines()[0].split() == ["ID", "USER", "ADMIN", "CREATED", "REVOKED"]
    assert token not in table + json.dumps(listed)
    _run(environ, "token", "revoke", admin["id"])
    revoked = {found["id"] for found in json.loads(_run(environ, "token", "list", "--json")) if "revokedAt" in found}
    assert revoked == {admin["id"]}


@pytest.mark.parametrize("user", ["", " ada", "a|b", "a\nb"])
def test_names_that_no_user_may_have(environ: dict[str, str], user: str) -> None:
    assert "user: " in _run(environ, "token", "create", "--user", user, code=2)


def test_datasets(environ: dict[str, str]) -> None:
    name = f"set {os.urandom(6).hex()}"
    dataset = _run(environ, "dataset", "create", name, "--user", "eve")
    assert len(dataset) == 24
    assert "already" in _run(environ, "dataset", "create", name, "--user", "eve", code=2)
    other = json.loads(_run(environ, "dataset", "create", name, "--user", "mallory", "--every-file", "--json"))
    assert other["everyFile"] is True
    listed = json.loads(_run(environ, "dataset", "list", "--user", "eve", "--json"))
    assert [found["id"] for found in listed] == [dataset]
    assert dataset in _run(environ, "dataset", "list")
    assert "give an id" in _run(environ, "watermark", "get", name, code=2)
    assert "--user" in _run(environ, "dataset", "create", "whose is it", code=2)
    _run(environ, "dataset", "delete", other["id"])
    assert _run(environ, "watermark", "get", name) == "0"
    _run(environ, "dataset", "delete", name)
    assert "no dataset" in _run(environ, "watermark", "get", name, code=3)


def test_two_datasources(environ: dict[str, str]) -> None:
    dataset = _dataset(environ)
    show = ("datasource", "show", dataset)
    _run(environ, "datasource", "set", dataset, *LOCAL, "--purpose", "INPUT")
    done = command(environ, "datasource", "set", dataset, "--type", "LOCAL", "--path", "absent", "--purpose", "LIGHTLY")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^configured LOCAL datasource \w+ for LIGHTLY$", done.stderr, re.MULTILINE)
    assert re.search(r"^the dataset also has LOCAL datasource \w+ for INPUT$", done.stderr, re.MULTILINE)
    source, lightly = (json.loads(_run(environ, *show, "--purpose", each, "--json")) for each in ("INPUT", "LIGHTLY"))
    assert (source["fullPath"], lightly["fullPath"]) == ("", "absent")
    assert _run(environ, *show, "--json") == "\n".join(
        json.dumps(each, indent=2, ensure_ascii=False) for each in (source, lightly)
    )
    tables = _run(environ, *show).split("\n\n")
    assert [("INPUT" in table, "absent" in table) for table in tables] == [(True, False), (False, True)]
    assert "INPUT_OUTPUT" in _run(environ, *show, "--purpose", "INPUT_OUTPUT", code=3)
    assert "--purpose" in _run(environ, *show, "--purpose", "OUTPUT", code=2)
    failed = command(environ, "datasource", "verify", dataset)
    assert failed.returncode == 1
    assert "LIGHTLY: " in failed.stdout
    assert "INPUT: " not in failed.stdout
    assert len(_run(environ, "list", dataset).splitlines()) == 12, "the files come from the input"


def test_a_datasource_from_options_to_a_listing(environ: dict[str, str]) -> None:
    dataset = _dataset(environ)
    assert "no datasource" in _run(environ, "datasource", "show", dataset, code=3)
    _run(environ, "datasource", "set", dataset, *LOCAL)
    shown = json.loads(_run(environ, "datasource", "show", dataset, "--json"))
    assert shown == {"id": shown["id"], "type": "LOCAL", "fullPath": "", "purpose": "INPUT_OUTPUT"}
    assert "LOCAL" in _run(environ, "datasource", "show", dataset)
    verified = _run(environ, "datasource", "verify", dataset)
    assert verified.splitlines()[0].split() == ["canRead", "yes"]
    assert json.loads(_run(environ, "datasource", "verify", dataset, "--json"))["canOverwrite"] is True
    names = [f"{index:02}.png" for index in range(12)]
    assert _run(environ, "list", dataset).splitlines() == names
    assert _run(environ, "list", dataset, "--from", "1003", "--to", "1970-01-01T00:16:44Z").splitlines() == names[3:5]
    rows = [json.loads(line) for line in _run(environ, "list", dataset, "--json").splitlines()]
    assert [row["fileName"] for row in rows] == names
    assert all(row["readUrl"].startswith("http://127.0.0.1:") for row in rows)
    assert _run(environ, "list", dataset, "--urls").splitlines()[0].split("\t")[0] == "00.png"
    every = _dataset(environ, "--every-file")
    _run(environ, "datasource", "set", every, *LOCAL)
    assert _run(environ, "list", every).splitlines() == [*names, "labels.json"]


@pytest.mark.parametrize("kind", VALID)
def test_every_type_from_a_json_file(environ: dict[str, str], tmp_path: Path, kind: str) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(VALID[kind]))
    dataset = _dataset(environ)
    shown = json.loads(_run(environ, "datasource", "set", dataset, "--config", str(config), "--json"))
    assert shown["type"] == kind
    _run(environ, "datasource", "set", dataset, "--config", "-", stdin=config.read_text())


OPTIONS = {
    "S3": ("--path", "s3://b/p", "--region", "eu-west-1", "--access-key-id", "test-key-id"),
    "S3DelegatedAccess": (
        *("--path", "b/p", "--region", "eu-west-1", "--external-id", "an-external-id"),
        *("--role-arn", "arn:aws:iam::123456789012:role/reader"),
    ),
    "OBS": ("--path", "b/p", "--endpoint", "https://obs.example.com", "--access-key-id", "test-key-id"),
    "GCS": ("--path", "gs://b/p", "--project-id", "project"),
    "AZURE": ("--path", "c/p", "--account-name", "account"),
    "LOCAL": ("--path", "below"),
    "LIGHTLY": (),
}


@pytest.mark.parametrize("kind", VALID)
def test_every_type_from_options(environ: dict[str, str], kind: str) -> None:
    secret = SECRETS.get(kind)
    source = ("--secret-file", "-") if secret else ()
    dataset = _dataset(environ)
    out = _run(environ, "datasource", "set", dataset, "--type", kind, *OPTIONS[kind], *source, "--json", stdin="hush")
    shown = json.loads(out)
    assert shown["type"] == kind
    assert "hush" not in out
    assert secret is None or shown[secret] == "********"


def test_a_key_file_of_google_names_its_project(environ: dict[str, str], tmp_path: Path) -> None:
    key_file = tmp_path / "key.json"
    key_file.write_text(json.dumps({"type": "service_account", "project_id": "the-project"}))
    options = ("--type", "GCS", "--path", "gs://bucket", "--secret-file", str(key_file), "--json")
    assert json.loads(_run(environ, "datasource", "set", _dataset(environ), *options))["gcsProjectId"] == "the-project"
    key_file.write_text("no JSON")
    assert "gcsProjectId: required" in _run(environ, "datasource", "set", _dataset(environ), *options, code=2)


def test_a_secret_from_stdin_or_a_file_is_never_shown(environ: dict[str, str], tmp_path: Path) -> None:
    secret = "never-to-be-shown"
    file = tmp_path / "secret"
    file.write_text(secret + "\n")
    options = ("--type", "S3", "--path", "bucket", "--region", "eu-west-1", "--access-key-id", "test-key-id")
    dataset = _dataset(environ)
    for source, stdin in ((str(file), None), ("-", secret)):
        out = _run(environ, "datasource", "set", dataset, *options, "--secret-file", source, "--json", stdin=stdin)
        assert json.loads(out)["s3SecretAccessKey"] == "********"
    assert secret not in _run(environ, "datasource", "show", dataset)
    assert "--secret-file" in _run(environ, "datasource", "set", dataset, *options, code=2)
    assert "cannot read" in _run(environ, "datasource", "set", dataset, *options, "--secret-file", "/absent", code=2)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--type", "LOCAL"), "--path"),
        (("--path", "x"), "--type"),
        (("--type", "AZURE", "--path", "https://portal.azure.com/#x", "--account-name", "a"), "--secret-file"),
        (("--type", "S9", "--path", "x"), "type: expected one of"),
        ((*LOCAL, "--config", "-"), "--config"),
        ((*LOCAL, "--secret-file", "-"), "has no secret"),
        (("--type", "LOCAL", "--path", "/etc"), "fullPath: "),
        ((*LOCAL, "--region", "eu-west-1", "--endpoint", "http://x"), "obsEndpoint, s3Region: not for"),
    ],
)
def test_a_datasource_that_cannot_be_set(environ: dict[str, str], arguments: tuple[str, ...], told: str) -> None:
    assert told in _run(environ, "datasource", "set", _dataset(environ), *arguments, code=2)


def test_exit_codes_of_storage(environ: dict[str, str]) -> None:
    dataset = _dataset(environ)
    _run(environ, "datasource", "set", dataset, "--type", "LOCAL", "--path", "no/such")
    assert "no/such" in _run(environ, "list", dataset, code=4)
    done = command(environ, "datasource", "verify", dataset)
    assert done.returncode == 1
    assert "canList      no, as above" in done.stdout
    assert done.stdout.count("is not a folder below the mount root") == 1, "one reason is told once"


def test_arguments_that_are_no_unicode(environ: dict[str, str]) -> None:
    """They ended in tracebacks, or were stored and broke the server's answers."""
    dataset = _dataset(environ)
    odd = os.fsdecode(b"ab\xff")
    _run(environ, "token", "create", "--user", odd, code=2)
    _run(environ, "datasource", "set", dataset, "--type", "LOCAL", "--path", odd, code=2)
    _run(environ, "dataset", "delete", odd, code=3)
    _run(environ, "dataset", "create", odd, "--user", "ada", code=2)


def test_a_move_to_other_data_is_told(environ: dict[str, str]) -> None:
    dataset = _dataset(environ)
    _run(environ, "datasource", "set", dataset, *LOCAL)
    _run(environ, "watermark", "set", dataset, "5")
    done = command(environ, "datasource", "set", dataset, "--type", "LOCAL", "--path", "elsewhere")
    assert "starts again at 0 (it was 5; " in done.stderr


def test_watermarks(environ: dict[str, str]) -> None:
    dataset = _dataset(environ)
    assert "no datasource" in _run(environ, "watermark", "set", dataset, "5", code=3)
    _run(environ, "datasource", "set", dataset, *LOCAL)
    _run(environ, "watermark", "set", dataset, "2020-01-01T00:00:00Z")
    assert _run(environ, "watermark", "get", dataset) == "1577836800"
    assert json.loads(_run(environ, "watermark", "get", dataset, "--json")) == {"processedUntilTimestamp": 1577836800}
    for wrong in ("tomorrow", "1577836800000", "-5"):
        _run(environ, "watermark", "set", dataset, "--", wrong, code=2)
    assert _run(environ, "watermark", "get", dataset) == "1577836800"


def test_list_new_neither_loses_nor_repeats(environ: dict[str, str], tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    own = {**environ, "HEADWATER_LOCAL_ROOT": str(files)}
    dataset = _dataset(own)
    _run(own, "datasource", "set", dataset, *LOCAL)
    (files / "a.png").write_bytes(b"x")
    assert _run(own, "list", dataset, "--new") == "a.png"
    assert _run(own, "list", dataset, "--new") == ""
    (files / "b.png").write_bytes(b"x")
    (files / "c.png").write_bytes(b"x")
    assert _run(own, "list", dataset, "--new").splitlines() == ["b.png", "c.png"]
    assert int(_run(own, "watermark", "get", dataset)) <= time.time()
    assert "--new" in _run(own, "list", dataset, "--new", "--from", "1", code=2)


def test_list_new_leaves_a_watermark_of_the_future_where_it_is(environ: dict[str, str]) -> None:
    """Moving it back would make files count as new that were processed."""
    dataset = _dataset(environ)
    _run(environ, "datasource", "set", dataset, *LOCAL)
    future = str(int(time.time()) + 100_000)
    _run(environ, "watermark", "set", dataset, future)
    done = command(environ, "list", dataset, "--new")
    assert (done.returncode, done.stdout) == (0, "")
    assert "is in the future" in done.stderr
    assert _run(environ, "watermark", "get", dataset) == future


def test_list_new_keeps_the_watermark_when_the_output_was_not_written(environ: dict[str, str]) -> None:
    """A reader that goes away, or a full disk, must not make files count as processed."""
    dataset = _dataset(environ)
    _run(environ, "datasource", "set", dataset, *LOCAL)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "headwater", "list", dataset, "--new"],
            env=environ, stdout=closed, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "headwater", "list", dataset, "--new"],
            env=environ, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert _run(environ, "watermark", "get", dataset) == "0"


def test_names_are_shown_without_control_characters(environ: dict[str, str], tmp_path: Path) -> None:
    """A file's name is a stranger's: on a terminal it must not move the cursor or begin a line of its own."""
    (tmp_path / "a\x1b[2J\n.png").write_bytes(b"x")
    own = {**environ, "HEADWATER_LOCAL_ROOT": str(tmp_path)}
    dataset = _dataset(own)
    _run(own, "datasource", "set", dataset, *LOCAL)
    assert _run(own, "list", dataset) == "a\\x1b[2J\\n.png"
    assert json.loads(_run(own, "list", dataset, "--json"))["fileName"] == "a\x1b[2J\n.png"


def test_openapi(environ: dict[str, str]) -> None:
    whole, seed = (json.loads(_run(environ, "openapi", *option)) for option in ((), ("--seed",)))
    assert set(seed["paths"]) < set(whole["paths"])
    assert sum(method in ("get", "put") for path in seed["paths"].values() for method in path) == 6


def test_any_command_sets_up_an_empty_data_folder(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    assert json.loads(_run(environ_for(folder), "token", "list", "--json")) == []
    assert {path.name for path in folder.iterdir()} == {"headwater.db", "secret.key"}
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o600"}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"port": "x"}, "HEADWATER_PORT"),
        ({"secret_key": "nonsense"}, "HEADWATER_SECRET_KEY"),
        ({"database_url": "mysql://host/db"}, "HEADWATER_DATABASE_URL"),
        ({"jwt_issuer": "https://issuer.example.com"}, "HEADWATER_JWT_AUDIENCE"),
        ({"allowed_endpoints": "10.0.0.0/99"}, "HEADWATER_ALLOWED_ENDPOINTS"),
        ({"data_dir": "/dev/null/data"}, "HEADWATER_DATA_DIR"),
    ],
)
def test_settings_with_which_nothing_can_start(tmp_path: Path, settings: dict[str, str], told: str) -> None:
    environ = environ_for(tmp_path / "data", **settings)
    for arguments in (("token", "list"), ("serve",)):
        assert told in _run(environ, *arguments, code=6)


def test_a_mount_root_that_is_the_data_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for root in ("data", "link"):
        environ = environ_for(tmp_path / "data", local_root=str(tmp_path / root))
        assert "HEADWATER_LOCAL_ROOT" in _run(environ, "token", "list", code=6)
    beside = environ_for(tmp_path / "data", local_root=str(tmp_path), database_url=f"sqlite:///{tmp_path}/c.db")
    assert "HEADWATER_DATABASE_URL" in _run(beside, "token", "list", code=6)
    _run(environ_for(tmp_path / "data", local_root=str(tmp_path / "data" / "files")), "token", "list")


def test_a_lost_key_is_asked_for_and_no_new_one_made(tmp_path: Path) -> None:
    environ = environ_for(tmp_path / "data")
    dataset = _dataset(environ)
    _run(environ, "datasource", "set", dataset, "--config", "-", stdin=json.dumps(VALID["S3"]))
    key = tmp_path / "data" / "secret.key"
    kept = key.read_bytes()
    key.unlink()
    assert "restore the key file" in _run(environ, "dataset", "list", code=6)
    assert not key.exists()
    key.write_bytes(kept)
    key.chmod(0o600)
    _run(environ, "dataset", "list")


def test_a_password_is_no_argument(tmp_path: Path) -> None:
    out = _run(environ_for(tmp_path), "serve", "--database-url", "postgresql://u:hidden@h/d", code=6)
    assert "HEADWATER_DATABASE_URL" in out
    assert "hidden" not in out
    out = _run(environ_for(tmp_path), "serve", "--database-url", "postgresql://h/d?user=u&password=hidden", code=6)
    assert "hidden" not in out


def test_a_port_that_is_taken(live: Live, tmp_path: Path) -> None:
    out = _run(environ_for(tmp_path, port=live.url.rsplit(":", 1)[1]), "serve", code=6)
    assert "HEADWATER_PORT" in out


def test_the_first_start_says_how_to_get_a_token(tmp_path: Path) -> None:
    with running(tmp_path) as live:
        assert live.process.stdout is not None
        live.process.stdout.readline()
        line = live.process.stdout.readline()
        assert "token create --user" in line
        assert f"HEADWATER_DATA_DIR={tmp_path / 'data'} " in line
    with running(tmp_path) as live:
        pass


def test_commands_work_beside_a_running_server(live: Live, bucket: Path) -> None:
    (bucket / "a.png").write_bytes(b"x")
    dataset = live.dataset()
    live.headwater("datasource", "set", dataset, "--type", "LOCAL", "--path", bucket.name)
    assert live.names(dataset) == ["a.png"]
    live.headwater("watermark", "set", dataset, "77")
    mark: Any = live.call("GET", live.datasource(dataset, "processedUntilTimestamp")).json
    assert mark == {"processedUntilTimestamp": 77}
    token = live.headwater("token", "create", "--user", "ada")
    assert request(live.url, path=f"/v1/datasets/{dataset}?token={token}").status == 200
