"""The published clients, unmodified from the package index, each in its own environment.

An environment contains only what `requirements/published-<version>.txt` pins; `stand_in` replaces torch and similar
packages. It is created under `.cache` when first used, and again after its requirements or Python have changed.
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
"""The clients that Headwater is tested with: the oldest, one between the generations, the newest."""

_INSTALL_SECONDS = 300.0
_RUN_SECONDS = 90.0
_PROXIES = ("all_proxy", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class Environment:
    """The environment of one version of the client."""

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
        """Run a program of this folder; return what it printed as JSON.

        Variables of proxies, clients and the server are not inherited: a client would use them, the proxy even for
        requests to this machine.
        """
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name.lower() not in _PROXIES and not name.startswith(("LIGHTLY_", "HEADWATER_", "PYTHON", "COV_"))
        }
        done = subprocess.run(
            [str(self.python), str(HERE / program), *arguments],
            env={**inherited, "PYTHONPATH": str(STAND_IN), **(environ or {})},
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{program} with lightly {self.version}:\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout)


def installed(version: str) -> Environment:
    """Return the environment of a version; create it if needed.

    If the package index cannot be reached, the running test is skipped with the reason; in CI it fails.
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
            (folder / "installed").touch()  # the environment is complete
    return Environment(version, folder)


_failed: dict[str, str] = {}
"""The reasons why versions could not be installed, so that not every test tries again."""


def _install(version: str, requirements: Path, python: Path) -> None:
    """Install with the pip of this interpreter. Only wheels, so that no build tools are needed."""
    command = [
        *(sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--retries", "5"),
        *("install", "-q", "--no-compile", "--no-deps", "--require-hashes", "--only-binary", ":all:"),
        *("-r", str(requirements)),
    ]
    with tempfile.TemporaryFile("w+") as output:
        try:
            subprocess.run(command, stdout=output, stderr=output, timeout=_INSTALL_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            output.seek(0)
            _failed[version] = f"pip could not install {requirements.name}: {error} {output.read()[-500:]}"
            missing(_failed[version])
