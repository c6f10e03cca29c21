"""A machine that fails under a running server: a clear error, `/readyz` says so, nothing is damaged, and it recovers.

These tests do it to real processes, over HTTP. Other tests do it to the catalog alone: docs/development.md has a table
that says which test covers which fault.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from headwater.cli.output import EXIT_CANNOT_START
from tests.live import Answer, Live, command, environ_for, request, start
from tests.need import missing, need

pytestmark = pytest.mark.slow

LOCAL = {"type": "LOCAL", "fullPath": "files"}


@contextmanager
def serving(environ: dict[str, str], folder: Path, prefix: Sequence[str] = ()) -> Iterator[Live]:
    """Run a server during the block. It must end with 0, whatever happened."""
    live = start(environ, folder, prefix)
    try:
        live.token = live.token or command(environ, "token", "create", "--user", "ada").stdout.strip()
        yield live
    finally:
        code = live.stop()
    assert code == 0, live.log.read_text()


def ready(live: Live) -> Answer:
    return request(live.url, path="/readyz")


def check_unavailable(live: Live, *answers: Answer) -> None:
    """Check that responses are 503 with the body of the contract, and tell nothing about the server's files."""
    for answer in answers:
        assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "MALFORMED_RESPONSE", "5")
        assert live.environ["HEADWATER_DATA_DIR"] not in answer.text
    assert request(live.url, path="/healthz").status == 200


def write_until_refused(live: Live) -> tuple[list[str], Answer]:
    """Create datasets until one is refused; return the ids of those that were acknowledged, and the refusal."""
    made: list[str] = []
    for number in range(5000):
        answer = live.call("POST", "/v1/datasets", {"name": f"{number} " + "x" * 240})
        if answer.status != 201:
            return made, answer
        made.append(answer.json["id"])
    raise AssertionError("nothing was refused")


def check_all(live: Live, made: list[str]) -> None:
    assert [each["id"] for each in live.call("GET", "/v1/datasets").json] == made


def check_sound(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_file_size_limit(tmp_path: Path) -> None:
    """As on a full disk, files may not grow. It needs no permission, unlike a small disk.

    The error did not say what was wrong, neither in responses nor at the start.
    """
    environ = environ_for(tmp_path / "data")
    with serving(environ, tmp_path) as live:
        made = [live.dataset(f"before {number}") for number in range(10)]
        # Not even one page fits: a write of a few would fail, and that of the check could still be possible.
        full = (tmp_path / "data" / "headwater.db-wal").stat().st_size
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.prlimit(live.process.pid, resource.RLIMIT_FSIZE, (full, hard))
        more, refused = write_until_refused(live)
        made += more
        assert "disk is full" in refused.text
        check_unavailable(live, refused, ready(live))
        assert len(live.call("GET", "/v1/datasets").json) == len(made)
        resource.prlimit(live.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert ready(live).status == 200
        made.append(live.dataset("again"))
        check_all(live, made)
    check_sound(tmp_path / "data" / "headwater.db")


def in_small_disk(folder: Path, size: str, options: str = "") -> list[str]:
    """Return a command that runs another one with a small disk at a folder, which only that command sees."""
    if os.geteuid() != 0:
        missing("only root may mount a disk")
    script = f"mount -t tmpfs -o size={size} none '{folder}' && {options or ':'} && exec \"$@\""
    return [need("unshare"), "--mount", "sh", "-c", script, "sh"]


@pytest.mark.nightly
def test_full_disk(tmp_path: Path) -> None:
    """A disk without space: reads work, writes are 503, and space makes it work again."""
    data = tmp_path / "data"
    data.mkdir()
    environ = environ_for(data, local_root=str(tmp_path))
    live = start(environ, tmp_path, in_small_disk(data, "2m"))
    inside = Path(f"/proc/{live.process.pid}/root{data}")
    try:
        live.token = _token_inside(live, environ)
        (inside / "other").write_bytes(bytes(500_000))
        made, refused = write_until_refused(live)
        assert "disk is full" in refused.text
        check_unavailable(live, refused, ready(live))
        check_all(live, made)
        (inside / "other").unlink()
        assert ready(live).status == 200
        made.append(live.dataset("again"))
        check_all(live, made)
        check_sound(inside / "headwater.db")
    finally:
        code = live.stop()
    assert code == 0, live.log.read_text()


def _token_inside(live: Live, environ: dict[str, str]) -> str:
    """Create a token in the mount name space of the server."""
    enter = [need("nsenter"), "--mount", "--target", str(live.process.pid), f"--wdns={Path.cwd()}"]
    create = [sys.executable, "-m", "headwater", "token", "create", "--user", "ada"]
    done = subprocess.run([*enter, *create], env=environ, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def run_inside(prefix: Sequence[str], environ: dict[str, str]) -> tuple[int, str]:
    """Try to start a server; return its exit code and what it prints."""
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "headwater", "serve"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def test_full_disk_at_the_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    code, text = run_inside(in_small_disk(data, "16k"), environ_for(data))
    assert code == EXIT_CANNOT_START, text
    assert "Traceback" not in text
    assert str(data) in text
    assert "Free some space" in text


def test_read_only_file_system_at_the_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    environ = environ_for(data)
    command(environ, "init")
    before = (data / "headwater.db").read_bytes()
    if os.geteuid() != 0:
        missing("only root may mount a disk")
    script = f"mount --bind '{data}' '{data}' && mount -o remount,ro,bind '{data}' && exec \"$@\""
    code, text = run_inside([need("unshare"), "--mount", "sh", "-c", script, "sh"], environ)
    assert code == EXIT_CANNOT_START, text
    assert "Traceback" not in text
    assert f"{data / 'headwater.db'} cannot be written" in text
    assert (data / "headwater.db").read_bytes() == before


def test_locked(tmp_path: Path) -> None:
    """Another process holds the write lock: reads work, and a write is refused within its time limit.

    `/readyz` said that the server was ready, for as long as each write was refused.
    """
    environ = environ_for(tmp_path / "data", local_root=str(tmp_path))
    with serving(environ, tmp_path) as live:
        dataset = live.configured(LOCAL)
        other = sqlite3.connect(tmp_path / "data" / "headwater.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        refused = live.call("PUT", live.datasource(dataset), {**LOCAL, "fullPath": "other"})
        assert time.monotonic() - began < 15
        check_unavailable(live, refused, ready(live))
        assert live.call("GET", live.datasource(dataset)).json["fullPath"] == "files"
        other.execute("ROLLBACK")
        other.close()
        assert ready(live).status == 200
        assert live.call("PUT", live.datasource(dataset), {**LOCAL, "fullPath": "other"}).status == 200


def corrupt(file: Path) -> None:
    """Overwrite all pages but the first."""
    with file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(b"\xd7" * (file.stat().st_size - 4096))


def test_corrupted(tmp_path: Path) -> None:
    """The operator's log says that a copy must be restored, and a copy that is restored works."""
    data = tmp_path / "data"
    environ = environ_for(data, local_root=str(tmp_path))
    with serving(environ, tmp_path) as live:
        dataset = live.configured(LOCAL)
        token = live.token
    copy = (data / "headwater.db").read_bytes()
    with serving(environ, tmp_path) as live:
        live.token = token
        corrupt(data / "headwater.db")
        answers = [
            live.call("GET", live.datasource(dataset)),
            live.call("PUT", live.datasource(dataset), {**LOCAL, "fullPath": "other"}),
            ready(live),
        ]
        check_unavailable(live, *answers)
        assert all("restore a copy" in answer.text for answer in answers)
    damaged = (data / "headwater.db").read_bytes()
    code, text = run_inside([], environ)
    assert code == EXIT_CANNOT_START
    assert str(data / "headwater.db") in text
    assert "restore a copy" in text
    assert (data / "headwater.db").read_bytes() == damaged
    for file in data.glob("headwater.db*"):
        file.unlink()
    (data / "headwater.db").write_bytes(copy)
    with serving(environ, tmp_path) as live:
        live.token = token
        assert live.call("GET", live.datasource(dataset)).json["fullPath"] == "files"
