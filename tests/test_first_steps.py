"""The first steps in the README and the quickstart, pasted line by line into two terminals."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import free_port

pytestmark = pytest.mark.slow  # each test starts a server

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
READ_ONLY = ("Makefile", "docs", "pyproject.toml", "requirements", "client", "src", "openapi", ".venv")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder like a clone in which `make setup` was run, without the data of this one."""
    if not (ROOT / ".venv/.run").exists():
        pytest.skip("make setup was not run here")
    for name in READ_ONLY:
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def _blocks(page: str, heading: str) -> list[tuple[str, str]]:
    """Return the language and the text of each block after a heading, up to the next one of the same rank."""
    rank = heading.split()[0]
    text = (ROOT / page).read_text().split(f"\n{heading}\n", 1)[1]
    return BLOCK.findall(re.split(rf"^{rank} ", text, maxsplit=1, flags=re.MULTILINE)[0])


def _environ(**more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HEADWATER_", "LIGHTLY_"))}
    return {**inherited, **more}


@contextmanager
def _first_terminal(clone: Path, lines: str) -> Iterator[str]:
    """Run `make serve` on a free port; yield the server's URL."""
    assert lines == "make serve\n"
    server = subprocess.Popen(
        ["make", "-o", ".venv/.run", "serve"],  # nothing is installed here, even if a requirement has changed
        cwd=clone,
        env=_environ(HEADWATER_PORT=str(free_port())),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert server.stdout is not None
    try:
        for line in server.stdout:
            if found := re.search(r"listens on (\S+)", line):
                yield found[1]
                return
        raise AssertionError("the server did not start")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
        server.stdout.close()


def _paste(clone: Path, url: str, shell: str, python: str = "") -> str:
    """Paste lines into a shell, which stops at the first error, and then into Python; return what is printed."""
    script = "set -e\n" + shell
    if python:
        script += "python -q -i 2>&1 <<'END'\n" + python.replace("http://localhost:8000", url) + "\nEND\n"
    done = subprocess.run(
        ["bash", "-c", script], cwd=clone, env=_environ(), capture_output=True, text=True, timeout=120, check=False
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    assert "Error" not in printed, printed
    return printed


def test_pages_one_after_the_other(clone: Path) -> None:
    """All pages created a dataset of the same name, so whoever had tried one could not try the next.

    Before, the folder of the README was empty, commands needed other settings than the server had, and `cameras/front`
    did not exist.
    """
    serve, *_ = (text for _, text in _blocks("README.md", "## Use it"))
    with _first_terminal(clone, serve) as url:
        _readme(clone, url)
        _quickstart(clone, url)
        _program_of_the_client(clone, url)


def _readme(clone: Path, url: str) -> None:
    _, shell, python, bucket, *_ = (text for _, text in _blocks("README.md", "## Use it"))
    printed = _paste(clone, url, shell, python)
    assert re.findall(r"^\d{4}\.png$", printed, re.MULTILINE) == ["0001.png", "0002.png", "0003.png"]
    assert re.search(r"canRead\s+yes", printed)
    assert sorted(path.name for path in (clone / "images").iterdir()) == ["0001.png", "0002.png", "0003.png"]
    assert (clone / "images/0003.png").read_bytes() == (ROOT / "docs/example.png").read_bytes()
    assert "--type S3" in bucket


def _quickstart(clone: Path, url: str) -> None:
    text = (ROOT / "client/docs/quickstart.md").read_text()
    python = "\n".join(block for language, block in BLOCK.findall(text) if language == "python")
    shutil.rmtree(clone / "images")
    printed = _paste(clone, url, _shell_of_the_quickstart(), python)
    assert "3 files downloaded, 0 were there" in printed
    assert "DATASET_UNKNOWN" in printed
    assert sorted(path.name for path in (clone / "images").iterdir()) == ["0001.png", "0002.png", "0003.png"]


def _program_of_the_client(clone: Path, url: str) -> None:
    """Run the program twice: the page says that the next run continues where the first one ended."""
    ((_, program),) = BLOCK.findall((ROOT / "client/README.md").read_text().split("## A complete program")[1])[:1]
    (clone / "program.py").write_text(program.replace("http://localhost:8000", url))
    printed = _paste(clone, url, _shell_of_the_quickstart() + "python program.py\npython program.py\n")
    assert re.findall(r"\d+ files downloaded, \d+ were there", printed) == [
        "0 files downloaded, 3 were there",
        "0 files downloaded, 0 were there",
    ]


def _shell_of_the_quickstart() -> str:
    """Return the lines for the second terminal, up to the one that starts Python."""
    serve, shell = (text for _, text in _blocks("client/docs/quickstart.md", "## Start a server"))
    assert serve == "make serve\n"
    assert shell.endswith("\npython\n")
    return shell.removesuffix("python\n")
