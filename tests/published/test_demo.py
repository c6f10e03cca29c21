"""The step of the demo that uses the published client, if it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.published.environments import STAND_IN, Environment


def run_demo(*folders: Path) -> str:
    """Run the demo with more folders on the import path; return what it printed."""
    paths = [*map(str, folders), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "headwater", "demo"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_demo_lists_with_the_published_client(newest: Environment) -> None:
    printed = run_demo(STAND_IN, newest.packages)
    assert f"lightly {newest.version}: 256 samples, the first arrived/new_0.png" in printed
    assert "Every step held" in printed


def test_demo_without_the_published_client(tmp_path: Path) -> None:
    """`pip install lightly` installs 1.6, which has no client: the step failed, and "Every step held" all the same."""
    package = tmp_path / "lightly"
    (package / "api").mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "1.6.0"\n')
    (package / "api/__init__.py").write_text("def __getattr__(name): raise ImportError(name)\n")
    printed = run_demo(tmp_path)
    assert 'skipped: lightly 1.6.0 has no lightly.api; after `pip install "lightly<1.6"` this step runs' in printed
    assert "Every step held" not in printed
    assert "Every step but 11, which was skipped, held" in printed
