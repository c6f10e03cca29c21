"""What the server is made of: licenses, the bill of materials, pins, and one version everywhere."""

from __future__ import annotations

import json
import re
import runpy
import tomllib
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import yaml

import headwater
import swagger_client
from headwater import contract

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def licenses() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "requirements/licenses.py"))


def _pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements" / f"{name}.txt").read_text(), re.MULTILINE))


def test_every_run_time_dependency_has_an_allowed_license(licenses: dict[str, Any]) -> None:
    assert licenses["refused"]() == []
    assert {"fastapi", "psycopg", "uvloop"} <= set(licenses["pinned"]())


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"License-Expression": "MIT"}, True),
        ({"License-Expression": "Apache-2.0 OR GPL-3.0-only"}, True),
        ({"License-Expression": "MIT AND GPL-3.0-only"}, False),
        ({"License-Expression": "LGPL-3.0-only"}, False),
        ({"Classifier": "License :: OSI Approved :: MIT License"}, True),
        ({"Classifier": "License :: OSI Approved :: GNU General Public License v3 (GPLv3)", "License": "MIT"}, False),
        ({"License": "Apache 2.0"}, True),
        ({"License": "see LICENSE"}, False),
        ({}, False),
    ],
)
def test_licenses_are_read_from_metadata(licenses: dict[str, Any], headers: dict[str, str], allowed: bool) -> None:
    found = Message()
    for name, value in headers.items():
        found[name] = value
    offered = licenses["licenses_of"](found)
    assert any(licenses["is_allowed"]("some-package", each) for each in offered) is allowed


def test_the_bill_of_materials_lists_every_pin(tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / "requirements/sbom.py"))["write"](tmp_path / "new" / "sbom.json")
    document = json.loads((tmp_path / "new" / "sbom.json").read_text())
    assert document["bomFormat"] == "CycloneDX"
    listed = {each["name"]: each["version"] for each in document["components"]}
    assert listed == {**_pins("run"), **_pins("postgresql")}
    assert all(each["externalReferences"][0]["hashes"] for each in document["components"])
    assert document["metadata"]["component"]["version"] == headwater.__version__


def test_the_image_has_the_driver_that_tests_use() -> None:
    pinned, tested = _pins("postgresql"), _pins("dev")
    assert set(pinned) == {"psycopg", "psycopg-binary"}
    assert pinned == {name: tested[name] for name in pinned}


def test_versions_agree() -> None:
    """`/docs` said 1.0.0 and the command line 0.1.0."""
    version = headwater.__version__
    assert swagger_client.__version__ == version
    for folder in (ROOT, ROOT / "client"):
        assert tomllib.loads((folder / "pyproject.toml").read_text())["project"]["dynamic"] == ["version"]
    assert contract.document()["info"]["version"] == version
    (image,) = yaml.safe_load((ROOT / "deploy/kubernetes/kustomization.yaml").read_text())["images"]
    assert image["newTag"] == version
    compose = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text())
    assert compose["services"]["headwater"]["image"] == f"headwater:{version}"
    dockerfile = (ROOT / "deploy/docker/Dockerfile").read_text()
    assert re.findall(r"headwater:(\d\S*)|ARG VERSION=(\S+)", dockerfile) == [(version, ""), ("", version)]


def test_the_seed_keeps_the_version_of_the_published_api() -> None:
    """Generated clients carry it: a release of the server must not change the seed."""
    assert contract.seed()["info"]["version"] == "1.0.0"
