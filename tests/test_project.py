"""What the project says about itself is true: README, dependencies, demo, wheels."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from headwater.settings import SPECS

ROOT = Path(__file__).parent.parent

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
"""Without the docstring."""

ALLOWED_LONG_FILES: frozenset[str] = frozenset()
"""Files that may be longer: only those that keep the public signatures of the generated client."""

ALLOWED_LONG_FUNCTIONS: frozenset[str] = frozenset()
"""Functions that may be longer, as `path:name`: only those that keep the signatures of the generated client."""


def _project(folder: str = "") -> dict[str, Any]:
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text())


@pytest.mark.slow
def test_the_demo_completes_every_step() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "headwater", "demo"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = [int(number) for number in re.findall(r"^ ?(\d+)\. ", done.stdout, re.MULTILINE)]
    assert steps == list(range(1, len(steps) + 1))
    assert "250 samples with times" in done.stdout
    assert len(re.findall(r"arrived/new_\d", done.stdout)) == 5
    assert done.stdout.count("arrived/old_0.png") == 1


@pytest.mark.slow
def test_the_readme_shows_the_output_of_the_demo() -> None:
    """Word for word, except ids, times and ports."""
    done = subprocess.run(
        [sys.executable, "-m", "headwater", "demo"], capture_output=True, text=True, timeout=120, check=True
    )
    shown = re.search(r"```text\n( 1\. Make a folder.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown is not None

    def settled(text: str) -> list[str]:
        text = re.sub(r"\b[0-9a-f]{24}\b|\b\d{10}\b|127\.0\.0\.1:\d+|[\d.]+ seconds", "…", text)
        return [line.rstrip() for line in text.strip().splitlines()]

    assert settled(shown[1]) == settled(done.stdout)


def test_generated_pages_are_up_to_date() -> None:
    pages = runpy.run_path(str(ROOT / "docs/generate.py"))["pages"]()
    stale = [
        str(file.relative_to(ROOT)) for file, text in pages.items() if not file.exists() or file.read_text() != text
    ]
    assert stale == [], "run `make docs`"


def test_every_run_time_dependency_has_a_reason() -> None:
    named = {re.split(r"[\[<>=~; ]", line)[0] for line in _project()["project"]["dependencies"]}
    choices = (ROOT / "docs/architecture.md").read_text().split("## Choices")[1]
    assert {name for name in named if f"`{name}`" not in choices} == set()
    assert _project("client")["project"]["dependencies"] == ["urllib3>=1.26.18"]


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text()
    assert all(f"`{spec.env}`" in page for spec in SPECS)


def test_the_changelog_begins_with_a_version() -> None:
    assert re.search(r"^## (Unreleased|\d)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        (".", {"headwater/openapi/datasources.yaml", "headwater/py.typed", "headwater/web/pages/docs.html"}),
        ("client", {"swagger_client/__init__.py", "swagger_client/py.typed"}),
    ],
)
def test_a_wheel_contains_what_it_needs(tmp_path: Path, folder: str, expected: set[str]) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            tmp_path,
            ROOT / folder,
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert expected <= names
    assert {name for name in names if name.startswith("tests")} == set()
    if folder == ".":
        assert any(re.search(r"migrations/versions/0001.*\.py", name) for name in names)


def _source_files() -> list[Path]:
    return sorted(path for folder in ("src", "client/src") for path in (ROOT / folder).rglob("*.py"))


def test_no_source_file_is_too_long() -> None:
    too_long = {
        str(path.relative_to(ROOT)) for path in _source_files() if len(path.read_text().splitlines()) > MAX_FILE_LINES
    }
    assert too_long == ALLOWED_LONG_FILES


def _code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of lines of a function, without its docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def test_no_function_is_too_long() -> None:
    too_long = {
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in _source_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _code_lines(node) > MAX_FUNCTION_LINES
    }
    assert too_long == ALLOWED_LONG_FUNCTIONS


def test_exceptions_to_the_limits_are_in_the_client_only() -> None:
    assert all(name.startswith("client/src/swagger_client/") for name in ALLOWED_LONG_FILES | ALLOWED_LONG_FUNCTIONS)
