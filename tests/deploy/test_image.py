"""The image, built from the Dockerfile and started as a platform starts it: any user, a read-only file system.

No registry is needed: mmdebstrap makes the base image, and Buildah builds without a container engine.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from headwater import __version__
from tests.deploy import kit
from tests.need import missing, need
from tests.servers import free_port

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]

UID = 54321
"""A user that the image does not know. OpenShift chooses such users, and puts them into group 0."""

SUITE = "bookworm"
PYTHON = "3.11"
"""The Python of this suite."""

PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
BASE = "localhost/base"
IMAGE = "localhost/headwater"


class Image(NamedTuple):
    """The image that was built."""

    root: Path
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
    container = buildah("from", IMAGE)
    root = Path(buildah("mount", container))
    try:
        yield Image(root, json.loads(buildah("inspect", "--type", "image", IMAGE))["Docker"]["config"])
    finally:
        buildah("rm", container)
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
