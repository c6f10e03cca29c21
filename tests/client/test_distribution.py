"""The wheel installs alone, and the client runs on every supported Python that the machine has."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import pytest
import urllib3

import swagger_client
from tests.client import smoke
from tests.live import Live

CLIENT = Path(swagger_client.__file__).resolve().parents[2]
MINORS = range(9, 15)


def _run(*command: str | Path, environ: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environ, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _pip(*arguments: str | Path) -> None:
    _run(sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *arguments)


def _packed_again(name: str, folder: Path) -> None:
    """Build the wheel of an installed distribution."""
    installed = metadata.distribution(name)
    with zipfile.ZipFile(folder / f"{name}-{installed.version}-py3-none-any.whl", "w") as wheel:
        for file in installed.files or ():
            if file.name.endswith(".pyc") or file.name in ("INSTALLER", "REQUESTED", "direct_url.json"):
                continue
            wheel.write(installed.locate_file(file), str(file))  # type: ignore[arg-type]  # a path, for a wheel on disk


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of the client and of urllib3."""
    folder = tmp_path_factory.mktemp("wheels")
    _pip("wheel", "--no-deps", "--no-build-isolation", "-w", folder, CLIENT)
    _packed_again("urllib3", folder)
    return folder


def _filled(bucket: Path) -> Path:
    (bucket / "a.jpg").write_bytes(b"pixels")
    os.utime(bucket / "a.jpg", (1577836800, 1577836800))
    return bucket


@pytest.mark.slow  # pip builds the wheels
def test_the_wheel_installs_alone(wheels: Path, tmp_path: Path, live: Live, bucket: Path) -> None:
    """pip selects among the two wheels by their metadata; there is no index."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    _pip("--python", python, "install", "--no-index", "--find-links", wheels, "headwater-client")
    listed = "import importlib.metadata as m; print(sorted(each.metadata['Name'] for each in m.distributions()))"
    assert _run(python, "-I", "-c", listed).strip() == "['headwater-client', 'urllib3']"
    where = Path(_run(python, "-I", "-c", "import swagger_client; print(swagger_client.__file__)").strip())
    assert where.is_relative_to(tmp_path)
    assert (where.parent / "py.typed").is_file()
    assert (where.parent.parent / "headwater_client" / "py.typed").is_file()
    out = _run(python, "-I", "-W", "error", smoke.__file__, live.url, live.token, _filled(bucket).name)
    assert out.startswith("1 ['a.jpg'] DATASET_UNKNOWN")


@pytest.mark.slow  # pip builds the wheels
def test_the_wheel_contains_the_packages_and_nothing_else(wheels: Path) -> None:
    (wheel,) = wheels.glob("headwater_client-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {str(file.relative_to(CLIENT / "src")) for file in (CLIENT / "src").rglob("*.py")}
    package = {name for name in names if name.startswith(("headwater_client/", "swagger_client/"))}
    assert package == {*sources, "headwater_client/py.typed", "swagger_client/py.typed"}
    assert {name.split("/")[0].rsplit(".", 1)[1] for name in names - package} == {"dist-info"}


def test_the_sources_compile_on_the_oldest_python() -> None:
    oldest = re.search(r'requires-python = ">=3\.(\d+)"', (CLIENT / "pyproject.toml").read_text())
    assert oldest is not None
    assert int(oldest[1]) == MINORS[0]
    for file in (CLIENT / "src").rglob("*.py"):
        ast.parse(file.read_text(), str(file), feature_version=(3, MINORS[0]))


def _pythons(minor: int) -> Sequence[Path]:
    """Return every working Python of this version on the path and in pyenv."""
    name = f"python3.{minor}"
    on_path = shutil.which(name)
    found = [Path(on_path)] if on_path else []
    found += sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/{name}"))

    def runs(python: Path) -> bool:
        command = [str(python), "-I", "-c", "import ssl"]
        return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0

    return [python for python in found if runs(python)]


def _a_urllib3(python: Path, folder: Path) -> bool:
    """Put a urllib3 that this Python can import into a folder: that of the tests, else that of its own pip."""
    find = "import pip._vendor.urllib3 as u; print(u.__file__)"
    own = subprocess.run([python, "-I", "-c", find], capture_output=True, text=True, check=False, timeout=30)
    for source in (urllib3.__file__, own.stdout.strip()):
        if not source:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(Path(source).parent, folder / "urllib3", ignore=shutil.ignore_patterns("__pycache__"))
        environ = {**os.environ, "PYTHONPATH": str(folder)}
        tried = subprocess.run(
            [python, "-c", "import urllib3"], env=environ, capture_output=True, check=False, timeout=30
        )
        if tried.returncode == 0:
            return True
    return False


@pytest.mark.slow  # runs other versions of Python
@pytest.mark.parametrize("minor", MINORS)
def test_the_client_runs_on_every_python(minor: int, tmp_path: Path, live: Live, bucket: Path) -> None:
    """Without a suitable urllib3, the sources are only compiled."""
    pythons = _pythons(minor)
    if not pythons:
        pytest.skip(f"Python 3.{minor} is not on this machine")
    python, source = pythons[0], CLIENT / "src"
    shutil.copytree(source, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    _run(python, "-I", "-W", "error", "-m", "compileall", "-q", tmp_path / "src")
    if not _a_urllib3(python, tmp_path / "needed"):
        pytest.skip(f"compiled; Python 3.{minor} has no urllib3 to run with")
    environ = {**os.environ, "PYTHONPATH": f"{tmp_path / 'src'}{os.pathsep}{tmp_path / 'needed'}"}
    arguments = (smoke.__file__, live.url, live.token, _filled(bucket).name)
    out = _run(python, "-W", "error::SyntaxWarning", *arguments, environ=environ)
    assert out == f"1 ['a.jpg'] DATASET_UNKNOWN 3.{minor}\n"
