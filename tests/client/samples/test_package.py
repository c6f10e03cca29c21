"""What importing `swagger_client.samples` loads, what it exports, and that nobody pays for it who does not use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import swagger_client
from swagger_client import samples


def _loaded(code: str) -> set[str]:
    environ = {**os.environ, "PYTHONPATH": str(Path(swagger_client.__file__).parents[1])}
    command = [sys.executable, "-W", "error", "-c", f"{code}; import sys, json; print(json.dumps(sorted(sys.modules)))"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=True)
    return set(json.loads(done.stdout))


def test_the_client_does_not_load_it() -> None:
    loaded = _loaded("import swagger_client, swagger_client.apis, swagger_client.models")
    assert [name for name in loaded if name.startswith("swagger_client.samples")] == []


def test_it_needs_urllib3_alone() -> None:
    with_urllib3 = _loaded("import urllib3")
    loaded = {name.split(".")[0] for name in _loaded("import swagger_client.samples") - with_urllib3}
    assert loaded - set(sys.stdlib_module_names) == {"swagger_client"}


def test_what_it_exports_is_documented() -> None:
    assert sorted(samples.__all__) == samples.__all__
    for name in samples.__all__:
        assert getattr(samples, name).__doc__, name


def test_its_errors_are_of_the_clients_tree() -> None:
    errors = ("DownloadError", "InTheWay", "SameToTheFileSystem", "TransferError", "UnusableName")
    assert all(issubclass(getattr(samples, name), swagger_client.OpenApiException) for name in errors)
