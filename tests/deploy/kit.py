"""The files in deploy/, parsed, and a way to run a command as confined as they want it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.live import Live, command, request, start_program
from tests.need import missing, need

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
UNIT = DEPLOY / "systemd" / "headwater.service"
KUBERNETES = DEPLOY / "kubernetes"
VENV = ROOT / ".venv"

START_SECONDS = 60.0


def instructions(name: str) -> list[str]:
    """Return the arguments of all instructions of this name in the Dockerfile, continuation lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [line.partition(" ")[2].strip() for line in text.splitlines() if line.startswith(f"{name} ")]


def image_environ() -> dict[str, str]:
    """Return the variables that the final stage of the Dockerfile sets."""
    return dict(pair.partition("=")[::2] for pair in shlex.split(instructions("ENV")[-1]))


@cache
def compose() -> dict[str, Any]:
    """Return the compose file."""
    parsed: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return parsed


def compose_environ() -> dict[str, str]:
    """Return the variables of the server in the compose file, as they are if the operator sets none of them."""
    found = compose()["services"]["headwater"]["environment"]
    return {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for name, value in found.items()}


@cache
def manifests() -> list[dict[str, Any]]:
    """Return the Kubernetes resources that the kustomization makes."""
    done = subprocess.run(
        [need("kubectl"), "kustomize", KUBERNETES], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def manifest(kind: str) -> dict[str, Any]:
    """Return the only resource of a kind."""
    (found,) = (each for each in manifests() if each["kind"] == kind)
    return found


def container() -> dict[str, Any]:
    """Return the container of the Deployment."""
    (found,) = manifest("Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def kubernetes_environ() -> dict[str, str]:
    """Return the variables that the Deployment and its ConfigMap set."""
    return {**manifest("ConfigMap")["data"], **{each["name"]: each["value"] for each in container()["env"]}}


def unit(key: str) -> list[str]:
    """Return the values of a key of the systemd unit, in order."""
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)


def unit_environ() -> dict[str, str]:
    """Return the variables that the systemd unit sets."""
    return dict(pair.partition("=")[::2] for pair in unit("Environment"))


@dataclass(frozen=True)
class Confined:
    """Where a command runs: in name spaces of its own, on a read-only file system, as a user without capabilities.

    Attributes:
        uid: the number of the user.
        gid: the number of the only group.
        environ: the whole environment.
        root: the root file system.
        writable: folders of the root file system, with the folders of this machine that are mounted there.
        prepare: shell commands that run before the file system is read-only; `$ROOT` is the root, empty for `/`.
        prefix: a command inside that runs the command.
        capability: one that it keeps, because of this machine and not of deploy/.
    """

    uid: int
    gid: int
    environ: Mapping[str, str]
    root: Path = Path("/")
    writable: Mapping[str, Path] = field(default_factory=dict)
    prepare: str = ""
    prefix: Sequence[str] = ()
    capability: str = ""

    def command(self, *arguments: str) -> list[str]:
        """Return the command line that runs a command confined."""
        if os.geteuid() != 0:
            missing("only root can make a file system read-only for a process")
        root = "" if self.root == Path("/") else str(self.root)
        lines = ["set -eu", f"ROOT={shlex.quote(root)}"]
        if root:
            lines += [
                'mount --bind "$ROOT" "$ROOT"',
                'mount --rbind /dev "$ROOT/dev"',
                'mount --rbind /proc "$ROOT/proc"',
            ]
            lines += ['mount -t tmpfs tmpfs "$ROOT/tmp"']
        lines.append(self.prepare)
        lines += [f'mount --bind {shlex.quote(str(here))} "$ROOT{there}"' for there, here in self.writable.items()]
        lines.append('mount -o remount,bind,ro "${ROOT:-/}"')
        lines.append(shlex.join(["exec", "chroot", root or "/", *self._user(), *self.prefix, *arguments]))
        return [need("unshare"), "--mount", "--propagation=private", "sh", "-c", "\n".join(lines)]

    def _user(self) -> list[str]:
        kept = f",+{self.capability}" if self.capability else ""
        return [
            *("setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups", "--no-new-privs"),
            *(f"--bounding-set=-all{kept}", f"--inh-caps=-all{kept}", f"--ambient-caps=-all{kept}"),
            *("env", "-i", *(f"{name}={value}" for name, value in self.environ.items())),
        ]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def started(arguments: Sequence[str], environ: Mapping[str, str] | None, folder: Path) -> Iterator[Live]:
    """Run a server with a command line of deploy/ for the duration of a block. It must exit with 0 on SIGTERM."""
    live = start_program(arguments, None if environ is None else dict(environ), folder)
    try:
        yield live
    finally:
        code = live.stop(signal.SIGTERM)
    assert code == 0, live.log.read_text()


def use(live: Live, files: Path) -> None:
    """Create a dataset, connect it to a folder, list it, and read a file through its read URL.

    Args:
        live: the server, with a token.
        files: the mount root of LOCAL datasources on this machine.
    """
    (files / "front").mkdir(mode=0o755)
    (files / "front" / "0001.png").write_bytes(b"an image")
    dataset = live.configured({"type": "LOCAL", "fullPath": "front", "purpose": "INPUT"})
    (row,) = live.rows(dataset)
    assert row["fileName"] == "0001.png"
    address = row["readUrl"].removeprefix(live.url)
    assert address != row["readUrl"]
    assert request(live.url, path=address).body == b"an image"


def events(live: Live) -> list[dict[str, Any]]:
    """Return the log of a server."""
    return [json.loads(line) for line in live.log.read_text().splitlines()]


def token(environ: Mapping[str, str]) -> str:
    """Create a token with the settings of a server."""
    done = command(environ, "token", "create", "--user", "ada")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def healthy(environ: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """Run the health check of the image; return its exit code and what it says."""
    command = [sys.executable, str(DEPLOY / "docker" / "healthcheck.py"), *arguments]
    done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr.strip()
