"""`headwater doctor`, run as an operator runs it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import pytest

from tests.cli.commands import LOCAL, make_dataset, run_command, run_with_key_in_pipe
from tests.jwks import AUDIENCE, Issuer, signing_key
from tests.live import command, environ_for, running
from tests.servers import free_port

pytestmark = pytest.mark.slow  # each test starts several processes


class Found(NamedTuple):
    """What the command said: its exit code, and the findings by level and subject."""

    code: int
    findings: dict[tuple[str, str], str]


def examine(environ: dict[str, str]) -> Found:
    done = command(environ, "doctor", "--json")
    assert done.stderr == ""
    listed = json.loads(done.stdout)
    return Found(done.returncode, {(each["level"], each["subject"]): each["text"] for each in listed})


def test_a_good_installation(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    with running(tmp_path, local_root=str(files)) as live:
        dataset = live.configured({"type": "LOCAL", "fullPath": ""})
        live.headwater("dataset", "rename", dataset, "streets")
        code, found = examine(live.environ)
        assert code == 0
        assert {level for level, _ in found} == {"ok"}, found
        assert {subject for _, subject in found} == {
            *("egress", "disk", "server", "catalog", "tokens", "dataset streets"),
        }
        assert live.url in found["ok", "server"]
        text = live.headwater("doctor")
        assert text.splitlines()[-1] == "no problem was found"
        assert text.splitlines()[0].startswith("ok ")
        assert live.token not in text


def test_what_is_wrong_is_told_with_what_to_do(tmp_path: Path) -> None:
    environ = environ_for(tmp_path / "data", local_root=str(tmp_path / "none"))
    run_command(environ, "init")
    dataset = make_dataset(environ)
    run_command(environ, "datasource", "set", dataset, *LOCAL)
    odd = environ | {
        "HEADWATER_LOKAL_ROOT": "x",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HEADWATER_PORT": str(free_port()),
    }
    code, found = examine(odd)
    assert code == 1
    assert "did you mean HEADWATER_LOCAL_ROOT?" in found["warning", "settings"]
    assert "HTTPS_PROXY" in found["warning", "proxies"]
    assert "headwater serve" in found["warning", "server"]
    assert "headwater token create" in found["warning", "tokens"]
    assert "HEADWATER_LOCAL_ROOT" in found["problem", "files"]
    assert [subject for level, subject in found if level == "problem" and subject.startswith("dataset ")]


def test_a_server_that_hangs_is_a_problem(tmp_path: Path) -> None:
    """It was a warning that told to start one."""
    environ = environ_for(tmp_path / "data")
    run_command(environ, "init")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        code, found = examine(environ | {"HEADWATER_PORT": str(silent.getsockname()[1])})
    assert code == 1
    assert "did not answer" in found["problem", "server"]


def test_texts_of_users_cannot_forge_a_line(tmp_path: Path) -> None:
    environ = environ_for(tmp_path / "data")
    run_command(environ, "init")
    config = {"type": "GCS", "fullPath": "x\n\x1b[32mok       forged", "gcsProjectId": "p", "gcsCredentials": "{}"}
    run_command(environ, "datasource", "set", make_dataset(environ), "--config", "-", stdin=json.dumps(config))
    shown = command(environ, "doctor").stdout
    assert "\x1b" not in shown
    assert not [line for line in shown.splitlines() if "forged" in line and line.startswith("\x1b")]


def test_settings_that_differ_from_those_of_the_server(tmp_path: Path) -> None:
    with running(tmp_path, page_size="7") as live:
        code, found = examine(live.environ | {"HEADWATER_PAGE_SIZE": "8"})
        assert code == 0
        assert found["warning", "settings"] == "HEADWATER_PAGE_SIZE is 8 here, and the server started with 7"


@pytest.mark.parametrize(
    ("settings", "subject", "named"),
    [
        ({}, "catalog", "there is no catalog"),
        ({"port": "x"}, "settings", "HEADWATER_PORT"),
        ({"trusted_proxies": "proxy.example.com"}, "settings", "HEADWATER_TRUSTED_PROXIES"),
        ({}, "catalog", "`headwater init` makes a new one"),
        ({"database_url": "postgresql://me:hidden@127.0.0.1:9/none"}, "catalog", "cannot be opened"),
    ],
)
def test_an_installation_that_cannot_be_opened(
    tmp_path: Path, settings: dict[str, str], subject: str, named: str
) -> None:
    code, found = examine(environ_for(tmp_path / "data", **settings))
    assert code == 1
    assert named in found["problem", subject]
    assert "hidden" not in str(found)
    assert not (tmp_path / "data/headwater.db").exists(), "nothing is created"


@contextmanager
def wrong_clock(seconds: float) -> Iterator[str]:
    """An S3-compatible store whose clock is ahead."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
            self.send_response_only(200)
            self.send_header("Date", formatdate(time.time() + seconds, usegmt=True))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("seconds", "level"), [(0, "ok"), (100, "warning"), (-1000, "problem")])
def test_clocks_of_stores(tmp_path: Path, seconds: float, level: str) -> None:
    environ = environ_for(tmp_path / "data", allowed_endpoints="127.0.0.1")
    run_command(environ, "init")
    with wrong_clock(seconds) as url:
        config = {
            "type": "OBS",
            "fullPath": "obs://bucket",
            "obsEndpoint": url,
            "obsAccessKeyId": "test-key-id",
            "obsSecretAccessKey": "test",
        }
        run_command(environ, "datasource", "set", make_dataset(environ), "--config", "-", stdin=json.dumps(config))
        code, found = examine(environ)
    assert code == (1 if level == "problem" else 0)
    assert (level, "clock") in found
    if level != "ok":
        words = found[level, "clock"].split()
        assert abs(int(words[2]) - abs(seconds)) < 5
        assert words[4] == ("ahead" if seconds > 0 else "behind")


def test_the_jwt_issuer(tmp_path: Path) -> None:
    with Issuer(signing_key("ES256", "one")) as issuer:
        environ = environ_for(tmp_path / "data", jwt_issuer=issuer.url, jwt_audience=AUDIENCE)
        run_command(environ, "init")
        assert examine(environ).findings["ok", "JWT issuer"] == f"{issuer.url}: 1 keys"
    code, found = examine(environ)
    assert code == 1
    assert issuer.url in found["problem", "JWT issuer"]


def test_a_key_in_a_pipe(tmp_path: Path) -> None:
    """Each file of a secret is read once: a second look would find it empty."""
    environ = environ_for(tmp_path / "data")
    run_command(environ, "init")
    done = run_with_key_in_pipe(environ, (tmp_path / "data/secret.key").read_bytes(), "doctor")
    assert done.returncode == 0, done.stdout
