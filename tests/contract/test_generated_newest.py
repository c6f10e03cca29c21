"""Clients that a present version of openapi-generator makes of the served document: they compile and work."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater import contract
from tests.environments import clean_environ, installed, packages_of
from tests.generated import run_generator
from tests.live import Live, request, running
from tests.need import need
from tests.npm import npm_packages

HERE = Path(__file__).parent
PROGRAMS = HERE / "newest"
FILES = ["a b.png", "day/1.png", "day/2.png"]
STRICT = [
    *("--strict", "--target", "es2020", "--lib", "es2020,dom"),
    *("--module", "commonjs", "--moduleResolution", "node10"),
]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    for name in FILES:
        file = folder / "files/camera" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    with running(folder, local_root=str(folder / "files"), page_size="2") as live:
        yield live


@pytest.fixture(scope="module")
def document(live: Live) -> dict[str, Any]:
    served: dict[str, Any] = request(live.url, path="/openapi.json").json
    return served


@pytest.fixture(scope="module")
def generator() -> Path:
    """The environment with the generator, and with what its Python clients import."""
    return installed("generator")


def _generate(generator: Path, document: dict[str, Any], folder: Path, name: str) -> None:
    folder.mkdir()
    output = run_generator(packages_of(generator) / "openapi_generator_cli", document, folder, "-g", name)
    assert "ERROR" not in output, output


def _use(live: Live, *command: str, **options: Any) -> None:
    """Run a program that makes the six operations, and check what it found."""
    arguments = [live.url, live.token, live.dataset()]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == {
        "type": "LOCAL",
        "path": "camera",
        "verified": [True, True, True, True],
        "names": FILES,
        "watermark": 1_700_000_000,
    }


def test_python(live: Live, document: dict[str, Any], generator: Path, tmp_path: Path) -> None:
    _generate(generator, document, tmp_path / "client", "python")
    environ = {**clean_environ(), "PYTHONPATH": str(tmp_path / "client")}
    _use(live, str(generator / "bin/python"), str(PROGRAMS / "use.py"), env=environ)


def test_typescript(live: Live, document: dict[str, Any], generator: Path, tmp_path: Path) -> None:
    """`tsc --strict` refused it: the types of datasources extended a base with another `type`."""
    compiler = npm_packages(HERE.parent / "typescript") / "typescript/bin/tsc"
    _generate(generator, document, tmp_path / "client", "typescript-fetch")
    shutil.copy(PROGRAMS / "use.ts", tmp_path)
    command = [need("node"), str(compiler), *STRICT, "--outDir", str(tmp_path / "out"), str(tmp_path / "use.ts")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    _use(live, need("node"), str(tmp_path / "out/use.js"))


def test_schemas_do_not_inherit() -> None:
    """Generated Java classes could not override `type` of their base class with an enum."""
    document = contract.document()
    assert "allOf" not in json.dumps(document)
    assert "DatasourceConfigBase" not in document["components"]["schemas"]
    assert "DatasourceConfigBase" in contract.seed()["components"]["schemas"]
    s3 = document["components"]["schemas"]["DatasourceConfigS3"]
    assert s3["properties"]["type"]["enum"] == ["S3", "DatasourceConfigS3"]
    assert s3["required"] == ["type", "fullPath", "s3Region", "s3AccessKeyId", "s3SecretAccessKey"]


def test_no_two_enums_share_the_name_of_a_value() -> None:
    """Generated Go code has one name space for the values of all enums: it did not compile."""
    schemas = contract.document()["components"]["schemas"]
    names = [
        name
        for schema in schemas.values()
        if schema.get("type") == "string" and "enum" in schema
        for name in schema.get("x-enum-varnames", schema["enum"])
    ]
    assert len(names) == len(set(names))
