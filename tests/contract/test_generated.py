"""What openapi-generator 5.3.0 generates from the contract."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headwater import contract
from headwater.domain.datasource import find_config_class
from headwater.domain.datasource_members import TYPE_NAMES
from tests.generated import seed_examples

SEED_SHA256 = "15a6b09ac24d22dc4d374ac9651c6c167ce1718d81f5377b08bcaaa90a1f62e6"
"""The SHA-256 of the published document that this project implements (contract.md#operations)."""

READ_ANSWERS = """
import json, sys
import swagger_client
from swagger_client.model.datasource_config import DatasourceConfig

class Response:
    data = sys.stdin.read()

cases = json.loads(Response.data)
read = []
for case in cases:
    Response.data = json.dumps(case)
    config = swagger_client.ApiClient().deserialize(Response, (DatasourceConfig,), True)
    names = {wire: name for name, wire in type(config).attribute_map.items()}
    read.append({wire: getattr(config, names.get(wire, wire)) for wire in case})
print(json.dumps(read))
"""

MAKE_REQUESTS = """
import json
import swagger_client
from swagger_client import models

made = [
    models.DatasourceConfigS3(
        type="DatasourceConfigS3", full_path="bucket/path", s3_region="eu-central-1",
        s3_access_key_id="key-id", s3_secret_access_key="secret",
    ),
    models.DatasourceConfigGCS(
        type="DatasourceConfigGCS", full_path="bucket/path", gcs_project_id="project", gcs_credentials="{}"
    ),
    models.DatasourceConfigAzure(
        type="DatasourceConfigAzure", full_path="container", account_name="account", account_key="secret"
    ),
    models.DatasourceConfigLOCAL(type="DatasourceConfigLOCAL", full_path=""),
    models.DatasourceConfigLIGHTLY(type="DatasourceConfigLIGHTLY", full_path=""),
]
print(json.dumps([swagger_client.ApiClient.sanitize_for_serialization(config) for config in made]))
"""


def test_seed_is_generated_byte_for_byte(seed_client: Path) -> None:
    document = (seed_client / "docs" / "DatasourcesApi.md").read_bytes()
    assert hashlib.sha256(document).hexdigest() == SEED_SHA256


def test_seed_has_six_python_examples(seed_client: Path) -> None:
    examples = seed_examples(seed_client)
    assert set(examples) == {
        operation["operationId"]
        for path in contract.seed()["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    }
    assert len(examples) == 6
    for code in examples.values():
        ast.parse(code)


def test_client_of_the_whole_document_can_be_imported(whole_client: Path) -> None:
    assert {path.stem for path in (whole_client / "swagger_client" / "api").glob("*_api.py")} == {
        "access_api",
        "datasets_api",
        "datasources_api",
        "health_api",
        "versioning_api",
    }
    run(whole_client, "import swagger_client.apis, swagger_client.models")


@pytest.mark.parametrize("type_name", TYPE_NAMES)
def test_client_of_the_whole_document_reads_every_member(whole_client: Path, type_name: str) -> None:
    """With a reference to a string schema inside an allOf, the generated client could not read that member."""
    answers = json.loads(run(whole_client, READ_ANSWERS, json.dumps([response_of(type_name)])))
    assert answers == [response_of(type_name)]


def test_client_of_the_seed_reads_every_member(seed_client: Path) -> None:
    """Members of the newer generation are read too."""
    wanted = [response_of(name) for name in TYPE_NAMES if name not in ("S3DelegatedAccess", "OBS")]
    assert json.loads(run(seed_client, READ_ANSWERS, json.dumps(wanted))) == wanted


def test_client_of_the_seed_sends_class_names_as_types(seed_client: Path) -> None:
    """Such clients cannot send S3 as a type, so the server must accept the class names that they send."""
    made = json.loads(run(seed_client, MAKE_REQUESTS))
    assert [find_config_class(config["type"]).__name__ for config in made] == [
        "S3Config",
        "GcsConfig",
        "AzureConfig",
        "LocalConfig",
        "LightlyConfig",
    ]


def response_of(type_name: str) -> dict[str, Any]:
    """Return the documented request of this type as the server returns it, with every optional member."""
    operation = contract.document()["paths"]["/v1/datasets/{datasetId}/datasource"]["put"]
    config: dict[str, Any] = operation["requestBody"]["content"]["application/json"]["examples"][type_name]["value"]
    config |= {"id": "62a9a71bd7a3e6d3a5cf2e11", "purpose": "INPUT_OUTPUT", "thumbSuffix": "[filename]_t.jpg"}
    if type_name in ("S3", "S3DelegatedAccess"):
        config["s3ServerSideEncryptionKMSKey"] = "arn:aws:kms:eu-central-1:123456789012:key/some"
    if type_name == "LOCAL":
        config["webServerLocation"] = "http://localhost:3456"
    return config


def run(client: Path, code: str, stdin: str = "") -> str:
    """Run Python code with a generated client. The client needs urllib3 and python-dateutil."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(client)},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
