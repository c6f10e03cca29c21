"""What importing `headwater_client` loads, and what it exports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import headwater_client
import swagger_client


def _loaded(code: str) -> set[str]:
    environ = {**os.environ, "PYTHONPATH": str(Path(swagger_client.__file__).parents[1])}
    command = [sys.executable, "-W", "error", "-c", f"{code}; import sys, json; print(json.dumps(sorted(sys.modules)))"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=True)
    return set(json.loads(done.stdout))


def test_swagger_client_does_not_load_it() -> None:
    loaded = _loaded("import swagger_client, swagger_client.apis, swagger_client.models")
    assert [name for name in loaded if name.startswith(("headwater_client", "swagger_client.samples"))] == []


def test_it_needs_only_urllib3() -> None:
    with_urllib3 = _loaded("import urllib3")
    loaded = {name.split(".")[0] for name in _loaded("import headwater_client") - with_urllib3}
    assert loaded - set(sys.stdlib_module_names) == {"headwater_client", "swagger_client"}


def test_every_export_is_documented() -> None:
    assert sorted(headwater_client.__all__) == headwater_client.__all__
    for name in headwater_client.__all__:
        assert getattr(headwater_client, name).__doc__, name


def test_its_errors_are_subclasses_of_the_clients_base_error() -> None:
    errors = [name for name in headwater_client.__all__ if name.endswith("Error")]
    assert len(errors) == 6
    assert all(issubclass(getattr(headwater_client, name), swagger_client.OpenApiException) for name in errors)
