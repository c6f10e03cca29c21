"""What the import of the client loads, and that every documented import path exists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import swagger_client

SOURCE = Path(swagger_client.__file__).resolve().parents[1]


def _run(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_loads_only_urllib3() -> None:
    """No other module of the standard library is loaded, so the import is as fast as that of urllib3."""
    loaded = json.loads(
        _run(
            "import sys, json, urllib3; before = set(sys.modules);"
            "import swagger_client, swagger_client.apis, swagger_client.models;"
            "print(json.dumps(sorted(set(sys.modules) - before)))"
        )
    )
    assert [name for name in loaded if name.split(".")[0] != "swagger_client"] == []


def test_the_top_level_import_loads_no_models() -> None:
    loaded = json.loads(_run("import sys, json, swagger_client; print(json.dumps(sorted(sys.modules)))"))
    assert [name for name in loaded if name.startswith(("swagger_client.model.", "swagger_client.api."))] == []


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("swagger_client", "ApiClient"),
        ("swagger_client", "Configuration"),
        ("swagger_client", "ApiException"),
        ("swagger_client", "NotFoundException"),
        ("swagger_client.api.datasources_api", "DatasourcesApi"),
        ("swagger_client.apis", "DatasourcesApi"),
        ("swagger_client.api_client", "ApiClient"),
        ("swagger_client.configuration", "Configuration"),
        ("swagger_client.exceptions", "ApiTypeError"),
        ("swagger_client.rest", "RESTClientObject"),
        ("swagger_client.model.api_error_code", "ApiErrorCode"),
        ("swagger_client.model.api_error_response", "ApiErrorResponse"),
        ("swagger_client.model.datasource_config", "DatasourceConfig"),
        ("swagger_client.model.datasource_config_azure", "DatasourceConfigAzure"),
        ("swagger_client.model.datasource_config_base", "DatasourceConfigBase"),
        ("swagger_client.model.datasource_config_gcs", "DatasourceConfigGCS"),
        ("swagger_client.model.datasource_config_lightly", "DatasourceConfigLIGHTLY"),
        ("swagger_client.model.datasource_config_local", "DatasourceConfigLOCAL"),
        ("swagger_client.model.datasource_config_obs", "DatasourceConfigOBS"),
        ("swagger_client.model.datasource_config_s3", "DatasourceConfigS3"),
        ("swagger_client.model.datasource_config_s3_delegated_access", "DatasourceConfigS3DelegatedAccess"),
        ("swagger_client.model.datasource_config_verify_data", "DatasourceConfigVerifyData"),
        (
            "swagger_client.model.datasource_processed_until_timestamp_request",
            "DatasourceProcessedUntilTimestampRequest",
        ),
        (
            "swagger_client.model.datasource_processed_until_timestamp_response",
            "DatasourceProcessedUntilTimestampResponse",
        ),
        ("swagger_client.model.datasource_raw_samples_data", "DatasourceRawSamplesData"),
        ("swagger_client.model.datasource_raw_samples_data_row", "DatasourceRawSamplesDataRow"),
        ("swagger_client.model.mongo_object_id", "MongoObjectID"),
        ("swagger_client.model.timestamp", "Timestamp"),
        ("swagger_client.models", "Timestamp"),
    ],
)
def test_the_documented_import_paths_exist(module: str, name: str) -> None:
    imported = __import__(module, fromlist=[name])
    assert getattr(imported, name).__name__ == name


def test_datasource_config_finds_its_classes_when_imported_alone() -> None:
    """The classes import their base class, which has to find them without a circular import."""
    code = (
        "from swagger_client.model.datasource_config import DatasourceConfig;"
        "print(type(DatasourceConfig(type='LOCAL', full_path='')).__name__)"
    )
    assert _run(code).strip() == "DatasourceConfigLOCAL"
