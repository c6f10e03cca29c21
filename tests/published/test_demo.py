"""The step of the demo that uses the published client, if it is installed."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.published.environments import STAND_IN, Environment


def test_demo_lists_with_the_published_client(newest: Environment) -> None:
    paths = [str(STAND_IN), str(newest.packages), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "headwater", "demo"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"lightly {newest.version}: 256 samples, the first arrived/new_0.png" in done.stdout
