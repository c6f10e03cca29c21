"""The published clients, unmodified from the package index, each in its own environment.

An environment contains only what `requirements/published-<version>.txt` pins (`tests/environments.py`); `stand_in`
replaces torch and similar packages.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import environments
from tests.environments import clean_environ, packages_of

HERE = Path(__file__).parent
STAND_IN = HERE / "stand_in"

VERSIONS = ("1.2.2", "1.2.47", "1.5.26")
"""The clients that Headwater is tested with: the oldest, one between the generations, the newest."""

_RUN_SECONDS = 90.0


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
        return packages_of(self.folder)

    def run(self, program: str, *arguments: str, environ: Mapping[str, str] | None = None) -> Any:
        """Run a program of this folder; return what it printed as JSON.

        Variables of proxies, clients and the server are not inherited: a client would use them.
        """
        done = subprocess.run(
            [str(self.python), str(HERE / program), *arguments],
            env={**clean_environ("LIGHTLY_"), "PYTHONPATH": str(STAND_IN), **(environ or {})},
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{program} with lightly {self.version}:\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout)


def installed(version: str) -> Environment:
    """Return the environment of a version; see `environments.installed`."""
    return Environment(version, environments.installed(f"published-{version}"))
