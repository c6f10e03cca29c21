"""The image, built from the Dockerfile and started as a platform starts it: any user, a read-only file system.

No registry is needed: mmdebstrap makes the base image, and Buildah builds without a container engine. With systemd in
it, the image is also a machine on which the systemd unit starts.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from headwater import __version__
from tests.deploy import kit
from tests.live import Live, request
from tests.need import missing, need
from tests.servers import free_port

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]

UID = 54321
"""A user that the image does not know. OpenShift chooses such users, and puts them into group 0."""

SUITE = "bookworm"
PYTHON = "3.11"
"""The Python of this suite."""

PACKAGES = "python3,python3-venv,python3-pip,ca-certificates,systemd"
"""Those of the base image, and systemd for the test of the unit."""

BASE = "localhost/base"
IMAGE = "localhost/headwater"


class Image(NamedTuple):
    """The image that was built.

    Attributes:
        root: the file system of a container of it.
        machine: the file system of another container, for the test of the unit.
        config: its configuration.
    """

    root: Path
    machine: Path
    config: dict[str, Any]

    def run(self, data: Path, **settings: str) -> kit.Confined:
        """Return how a platform runs it: as a user without a name, with a volume as `/data`, and these settings."""
        environ = dict(pair.partition("=")[::2] for pair in self.config["Env"])
        return kit.Confined(
            uid=UID,
            gid=0,
            environ={**environ, **settings},
            root=self.root,
            writable={environ["HEADWATER_DATA_DIR"]: data},
        )


class _Buildah:
    """Buildah with its storage in one folder."""

    def __init__(self, folder: Path) -> None:
        self._command = [need("buildah"), "--storage-driver", "vfs"]
        self._command += ["--root", str(folder / "storage"), "--runroot", str(folder / "run")]

    def __call__(self, *arguments: str | Path) -> str:
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout.strip()

    def build(self, *arguments: str | Path) -> None:
        self("bud", "--isolation", "chroot", "--format", "docker", *arguments)


def _base(folder: Path) -> Path:
    """Make a file system with Python, as an archive. Return a folder that an image can be built from."""
    folder.mkdir()
    command = [need("mmdebstrap"), "--variant=minbase", f"--include={PACKAGES}", SUITE, str(folder / "base.tar")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"mmdebstrap cannot make a base image here: {done.stderr[-500:]}")
    (folder / "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
    return folder


def _wheels(folder: Path) -> Path:
    """Download the pinned packages with the pip of this environment, which may use an index of its own."""
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    for name in ("run.txt", "postgresql.txt"):
        pip += ["-r", str(kit.ROOT / "requirements" / name)]
    subprocess.run([*pip, "--python-version", PYTHON, "-d", str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    if os.geteuid() != 0:
        missing("Buildah needs root to build without a container engine")
    folder = tmp_path_factory.mktemp("image")
    buildah = _Buildah(folder)
    buildah.build("-t", BASE, _base(folder / "base"))
    pip_conf = folder / "pip.conf"
    pip_conf.write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    wheels = _wheels(folder / "wheels")
    buildah.build(
        *("--build-arg", f"BASE={BASE}", "--secret", f"id=pip,src={pip_conf}", "--volume", f"{wheels}:/wheels:ro"),
        *("-f", kit.DOCKERFILE, "-t", IMAGE, kit.ROOT),
    )
    containers = [buildah("from", IMAGE) for _ in range(2)]
    root, machine = (Path(buildah("mount", container)) for container in containers)
    try:
        yield Image(root, machine, json.loads(buildah("inspect", "--type", "image", IMAGE))["Docker"]["config"])
    finally:
        buildah("rm", *containers)
        shutil.rmtree(folder, ignore_errors=True)


def test_the_image_says_what_it_is(image: Image) -> None:
    config = image.config
    assert config["User"] == "10001:0"
    assert config["Entrypoint"] == ["headwater"]
    assert config["Cmd"] == ["serve"]
    assert config["Volumes"] == {"/data": {}}
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    assert config["Healthcheck"]["Test"][0] == "CMD"


def test_the_image_contains_the_server_and_nothing_of_its_build(image: Image) -> None:
    """The configuration of pip is a build secret, and may hold a password."""
    packages = next((image.root / "opt/headwater/lib").glob("python3.*")) / "site-packages"
    names = {path.name.partition("-")[0] for path in packages.glob("*.dist-info")}
    assert {"headwater", "psycopg", "uvloop"} <= names
    assert names & {"hatchling", "editables", "pip", "pytest"} == set()
    assert (packages / "headwater/__pycache__").is_dir(), "a read-only file system cannot keep compiled modules"
    imported = subprocess.run(
        ["chroot", image.root, "/opt/headwater/bin/python", "-c", "import psycopg; print(psycopg.pq.__impl__)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert imported.stdout.strip() == "binary", imported.stderr
    assert not (image.root / "source").exists()
    assert list((image.root / "opt/headwater").rglob("pip.conf")) == []
    assert not (image.root / "run/secrets/pip").exists()
    assert not (image.root / "etc/pip.conf").exists()


def test_any_user_runs_it_on_a_read_only_file_system(image: Image, tmp_path: Path) -> None:
    """The volume begins as a copy of `/data` of the image, as container engines make it."""
    original = (image.root / "data").stat()
    volume = tmp_path / "volume"
    volume.mkdir()
    volume.chmod(stat.S_IMODE(original.st_mode))
    os.chown(volume, original.st_uid, original.st_gid)
    # Loopback, because this test shares the network of the machine.
    settings = {"HEADWATER_HOST": "127.0.0.1", "HEADWATER_PORT": str(free_port())}
    server = image.run(volume, **settings, HEADWATER_LOCAL_ROOT="/data/files")
    config = image.config
    assert "Read-only file system" in server.run("touch", "/opt/headwater/here").stderr
    assert server.run("id", "-u").stdout.strip() == str(UID)
    check = config["Healthcheck"]["Test"][1:]
    assert server.run(*check).returncode == 1
    with kit.started(server.command(*config["Entrypoint"], *config["Cmd"]), None, tmp_path) as live:
        assert server.run(*check).returncode == 0
        assert server.run(*check, "/readyz").returncode == 0
        assert server.run(*check, "/nowhere").returncode == 1
        done = server.run("headwater", "token", "create", "--user", "ada")
        assert done.returncode == 0, done.stderr
        live.token = done.stdout.strip()
        (volume / "files").mkdir()
        kit.use(live, volume / "files")
        assert [event for event in kit.events(live) if event["level"] != "info"] == []
    assert {path.stat().st_uid for path in volume.glob("*.*")} == {UID}


@contextmanager
def _booted(machine: Path, folder: Path, port: int) -> Iterator[Live]:
    """Boot systemd with the unit and these settings, and wait for the server. It must end in order at shutdown."""
    nspawn = [
        need("systemd-nspawn"),
        f"--directory={machine}",
        "--register=no",
        "--keep-unit",
        "--console=pipe",
        "--boot",
    ]
    environ = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    log = folder / "boot.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            nspawn, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output, text=True
        )
    live = Live(f"http://127.0.0.1:{port}", {}, process, log)
    try:
        _wait_until_ready(live, machine)
        yield live
    finally:
        live.stop()  # nspawn shuts the machine down
    assert "headwater.service: Deactivated successfully." in _journal(machine)


def _wait_until_ready(live: Live, machine: Path) -> None:
    for _ in range(120):
        try:
            if request(live.url, path="/readyz").status == 200:
                return
        except OSError:
            pass
        if live.process.poll() is not None:
            missing(f"systemd does not boot in a container here: {live.log.read_text()[-500:]}")
        time.sleep(0.5)
    raise AssertionError(_journal(machine))


def _journal(machine: Path) -> str:
    """Return what systemd and the server said about the unit."""
    command = ["journalctl", "--no-pager", "--unit=headwater", "-D", str(machine / "var/log/journal")]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _status_of_the_server(program: str) -> dict[str, str]:
    """Return what Linux says about the process that runs this program."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if program in (process / "cmdline").read_text().split("\0"):
                return dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
        except OSError:
            continue
    raise AssertionError(f"no process runs {program}")


def test_the_unit_starts_under_systemd(image: Image, tmp_path: Path) -> None:
    """With its filter of system calls and all that systemd does; settings and secrets are files, as in the docs."""
    machine, port = image.machine, free_port()
    for source, target in (("service", "system/headwater.service"), ("sysusers", "../sysusers.d/headwater.conf")):
        file = machine / "etc/systemd" / target
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(kit.UNIT.with_suffix(f".{source}"), file)
    subprocess.run(["chroot", machine, "systemd-sysusers"], check=True, capture_output=True)
    subprocess.run(["systemctl", f"--root={machine}", "enable", "headwater"], check=True, capture_output=True)
    (machine / "var/log/journal").mkdir(exist_ok=True)
    settings = machine / "etc/headwater"
    settings.mkdir()
    (settings / "secret_key").write_text("test:" + base64.b64encode(os.urandom(32)).decode())
    shutil.chown(
        settings / "secret_key", 0, int((machine / "etc/passwd").read_text().split("headwater:")[1].split(":")[2])
    )
    (settings / "secret_key").chmod(0o640)
    (settings / "headwater.env").write_text(
        f"HEADWATER_DATA_DIR=/var/lib/headwater\nHEADWATER_PORT={port}\n"
        "HEADWATER_SECRET_KEY_FILE=/etc/headwater/secret_key\nHEADWATER_LOCAL_ROOT=/var/lib/headwater/files\n"
    )
    (program,) = (line.split()[0] for line in kit.unit("ExecStart"))
    with _booted(machine, tmp_path, port) as live:
        status = _status_of_the_server(program)
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
        command = [
            "chroot",
            "--userspec=headwater",
            str(machine),
            program,
            "--env-file",
            "/etc/headwater/headwater.env",
        ]
        done = subprocess.run(
            [*command, "token", "create", "--user", "ada"],
            capture_output=True,
            text=True,
            env={"PATH": "/usr/sbin:/usr/bin"},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        live.token = done.stdout.strip()
        (machine / "var/lib/headwater/files").mkdir()
        kit.use(live, machine / "var/lib/headwater/files")
    assert not (machine / "var/lib/headwater/secret.key").exists()
