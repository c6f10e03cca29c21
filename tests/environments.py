"""Python environments of their own, for programs whose requirements differ from those of the tests.

An environment contains only what one file in `requirements/` pins. It is created under `.cache` when first used, and
again after its requirements or Python have changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.need import missing

ROOT = Path(__file__).parent.parent

_INSTALL_SECONDS = 300.0


def clean_environ(*prefixes: str) -> dict[str, str]:
    """Return the variables that a program inherits: none of proxies, of this interpreter or with these prefixes.

    A client would use a proxy even for requests to this machine.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith((*prefixes, "HEADWATER_", "PYTHON", "COV_"))
    }


def installed(name: str) -> Path:
    """Return the folder of the environment that `requirements/<name>.txt` describes; create it if needed.

    If the package index cannot be reached, the running test is skipped with the reason; in CI it fails.
    """
    if name in _failed:
        missing(_failed[name])
    requirements = ROOT / "requirements" / f"{name}.txt"
    cache = ROOT / ".cache"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode() + sys.prefix.encode()).hexdigest()[:16]
    folder = cache / f"{name}-{digest}"
    cache.mkdir(exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        # One worker installs, the others wait.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            for stale in cache.glob(f"{name}-*"):
                shutil.rmtree(stale, ignore_errors=True)
            venv.create(folder, with_pip=False, symlinks=True)
            _install(name, requirements, folder / "bin" / "python")
            (folder / "installed").touch()  # the environment is complete
    return folder


def packages_of(folder: Path) -> Path:
    """Return the `site-packages` of an environment."""
    return folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


_failed: dict[str, str] = {}
"""The reasons why environments could not be installed, so that not every test tries again."""


def _install(name: str, requirements: Path, python: Path) -> None:
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
            _failed[name] = f"pip could not install {requirements.name}: {error} {output.read()[-500:]}"
            missing(_failed[name])
