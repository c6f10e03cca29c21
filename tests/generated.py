"""Python clients that openapi-generator 5.3.0 generates from the contract, and the examples in their documentation.

The generator needs Java. Each client is generated once per test run, even if several processes run the tests.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from headwater import contract
from tests.need import missing, need

PACKAGE = "swagger_client"


def seed_client(factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the client generated from the seed. It contains `swagger_client/` and `docs/`."""
    return _generate_once(factory, "seed", contract.seed())


def whole_client(factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the client generated from the whole document."""
    return _generate_once(factory, "whole", contract.document())


def seed_examples(folder: Path) -> dict[str, str]:
    """Return the Python example of each operation in `docs/DatasourcesApi.md`, by operationId."""
    text = (folder / "docs" / "DatasourcesApi.md").read_text()
    found = re.findall(r"^# \*\*(\w+)\*\*$.*?^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return {_camel_case(name): code for name, code in found}


def _generate_once(factory: pytest.TempPathFactory, name: str, document: dict[str, Any]) -> Path:
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / f"generated-{name}"
    with (base / f"generated-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = Path(tempfile.mkdtemp(dir=base))
            generate(document, unfinished)
            unfinished.rename(folder)
    return folder


def generate(document: dict[str, Any], folder: Path) -> None:
    """Generate the client of a document into a folder."""
    found = find_spec("openapi_generator_cli")
    if found is None or found.origin is None:
        missing("the package openapi-generator-cli is not installed")
    assert found is not None
    assert found.origin is not None
    output = run_generator(Path(found.origin).parent, document, folder, "-g", "python", "--package-name", PACKAGE)
    # The exit code is 0 even if it could not turn something into code.
    assert not re.search(r"\b(ERROR|WARN)\b", output), output


def run_generator(package: Path, document: dict[str, Any], folder: Path, *options: str) -> str:
    """Run openapi-generator for a document; return what it printed.

    Args:
        package: the folder of the Python package that contains the generator.
        document: what to generate from.
        folder: where to write.
        options: which client.
    """
    (folder / "openapi.json").write_text(json.dumps(document))
    command = [need("java"), "-jar", str(package / "openapi-generator.jar"), "generate", *options]
    command += ["-i", str(folder / "openapi.json"), "-o", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def _camel_case(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
