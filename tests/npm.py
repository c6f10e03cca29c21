"""Packages of npm that tests use."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.need import missing, need


def npm_packages(project: Path) -> Path:
    """Return `node_modules` with what a project's `package-lock.json` pins.

    The first use installs it into the repository's `.cache`, and so does a change of the file. If npm cannot install
    it, the running test is skipped with the reason; in CI it fails.
    """
    need("node")
    npm = need("npm")
    cache = Path(__file__).parent.parent / ".cache" / project.name
    installed = cache / hashlib.sha256((project / "package-lock.json").read_bytes()).hexdigest()[:16] / "node_modules"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        # One worker installs, the others wait.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists():
            with tempfile.TemporaryDirectory(dir=cache) as staging:
                shutil.copytree(project, staging, dirs_exist_ok=True)
                command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
                try:
                    subprocess.run(command, cwd=staging, capture_output=True, text=True, timeout=300, check=True)
                except (OSError, subprocess.SubprocessError) as error:
                    stderr = getattr(error, "stderr", None) or ""
                    missing(f"npm ci could not install {project.name}: {error} {stderr[-500:]}")
                # Moved into place only when it is complete.
                installed.parent.mkdir(exist_ok=True)
                shutil.move(f"{staging}/node_modules", installed)
    return installed
