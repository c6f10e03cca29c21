"""The published clients, each from the package index in an environment of its own, unmodified.

An environment holds what `requirements/published-<version>.txt` pins and nothing else; `stand_in` takes the place of
torch and the like. It is made on first use below `.cache`, and again when its requirements or the Python change.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.need import missing

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
STAND_IN = HERE / "stand_in"

VERSIONS = ("1.2.2", "1.2.47", "1.5.26")
"""The clients that Headwater is held to: the oldest, one of the generation between, the newest."""

_INSTALL_LIMIT = 300.0
_RUN_LIMIT = 90.0
_PROXIES = ("all_proxy", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class Environment:
    """Where one version of the client is installed."""

    version: str
    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        """Its `site-packages`."""
        return self.folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"

    def run(self, program: str, *arguments: str, environ: Mapping[str, str] | None = None) -> Any:
        """Run a program of this folder; what it printed as JSON.

        The environment has nothing of the test's own but what is given: a client sends its requests through a proxy
        that a variable names, also those to this machine, and reads its server and token from variables.
        """
        kept = {
            name: value
            for name, value in os.environ.items()
            if name.lower() not in _PROXIES and not name.startswith(("LIGHTLY_", "HEADWATER_", "PYTHON", "COV_"))
        }
        done = subprocess.run(
            [str(self.python), str(HERE / program), *arguments],
            env={**kept, "PYTHONPATH": str(STAND_IN), **(environ or {})},
            capture_output=True,
            text=True,
            timeout=_RUN_LIMIT,
            check=False,
        )
        assert done.returncode == 0, f"{program} with lightly {self.version}:\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout)


def installed(version: str) -> Environment:
    """The environment of this version, made if need be.

    Skips the running test with the reason where the package index cannot be reached; in CI that fails it.
    """
    if version in _failed:
        missing(_failed[version])
    requirements = ROOT / "requirements" / f"published-{version}.txt"
    cache = ROOT / ".cache"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode() + sys.prefix.encode()).hexdigest()[:16]
    folder = cache / f"published-{version}-{digest}"
    cache.mkdir(exist_ok=True)
    with (cache / f"published-{version}.lock").open("w") as lock:
        # One worker installs, the others wait.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            for stale in cache.glob(f"published-{version}-*"):
                shutil.rmtree(stale, ignore_errors=True)
            venv.create(folder, with_pip=False, symlinks=True)
            _install(version, requirements, folder / "bin" / "python")
            (folder / "installed").touch()  # whole only from here on
    return Environment(version, folder)


_failed: dict[str, str] = {}
"""Why a version could not be installed, so that not every test waits for it again."""


def _install(version: str, requirements: Path, python: Path) -> None:
    """Install with this interpreter's pip. Wheels alone, so that nothing is built and no build tool is fetched."""
    command = [
        *(sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--retries", "5"),
        *("install", "-q", "--no-compile", "--no-deps", "--require-hashes", "--only-binary", ":all:"),
        *("-r", str(requirements)),
    ]
    with tempfile.TemporaryFile("w+") as said:
        try:
            subprocess.run(command, stdout=said, stderr=said, timeout=_INSTALL_LIMIT, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            said.seek(0)
            _failed[version] = f"pip could not install {requirements.name}: {error} {said.read()[-500:]}"
            missing(_failed[version])
