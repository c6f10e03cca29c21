"""The code of the recipes runs unchanged against a real server, with stubs for torch and pandas."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import swagger_client
from tests.headwater_client import stubs
from tests.headwater_client.conftest import put
from tests.headwater_client.stores import tree
from tests.live import Live

SOURCE = Path(swagger_client.__file__).parents[1]
DOCS = SOURCE.parent / "docs"

Run = Callable[..., str]


@pytest.fixture
def run(live: Live, dataset: str, tmp_path: Path) -> Run:
    """Run the blocks of a document as one program, with these replacements, and return its output."""

    def running(document: str, **changes: str) -> str:
        blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / document).read_text(), re.MULTILINE | re.DOTALL)
        assert len(blocks) > 1
        code = "".join(blocks)
        for old, new in {
            "http://localhost:8000": live.url,
            "YOUR_API_KEY": live.token,
            "50000000abcdef1234566789": dataset,
            **changes,
        }.items():
            assert old in code
            code = code.replace(old, new)
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(Path(stubs.__file__).parent), str(SOURCE)))},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return running


@pytest.mark.parametrize("workers", [0, 1, 3, 4])
def test_the_pytorch_workers_read_every_file_once(
    run: Run, fill: Callable[[int], list[str]], bucket: Path, workers: int
) -> None:
    names = fill(60)
    put(bucket, "ü (1).png", b"12345")
    printed = run("recipes-pytorch.md", **{"num_workers=4": f"num_workers={workers}"}).splitlines()
    assert sorted(printed) == sorted([*(f"{name} {len(str(int(name[:4])))}" for name in names), "ü (1).png 5"])


def test_the_pandas_recipe_runs(run: Run, bucket: Path, tmp_path: Path) -> None:
    names = [put(bucket, f"{folder}/{number}.png") for folder in ("back", "front") for number in range(10)]
    assert run("recipes-pandas.md") == "20 files\n10 downloaded, 0 were there\n"
    assert (tmp_path / "files.csv").read_text().splitlines() == ["file_name", *names]
    assert tree(tmp_path / "images") == names[10:]
