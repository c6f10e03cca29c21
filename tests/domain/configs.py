"""One valid config of each type, as a client sends it."""

from __future__ import annotations

from typing import Any

VALID: dict[str, dict[str, Any]] = {
    "S3": {
        "type": "S3",
        "fullPath": "s3://bucket/path/",
        "s3Region": "eu-central-1",
        "s3AccessKeyId": "test-key-id",
        "s3SecretAccessKey": "test-secret",
    },
    "S3DelegatedAccess": {
        "type": "S3DelegatedAccess",
        "fullPath": "bucket/path",
        "s3Region": "us-east-1",
        "s3ExternalId": "an-external-id",
        "s3ARN": "arn:aws:iam::123456789012:role/reader",
    },
    "GCS": {
        "type": "GCS",
        "fullPath": "gs://bucket/path",
        "gcsProjectId": "project",
        "gcsCredentials": '{"type": "service_account"}',
    },
    "AZURE": {
        "type": "AZURE",
        "fullPath": "container/path",
        "accountName": "account",
        "accountKey": "test-secret",
    },
    "OBS": {
        "type": "OBS",
        "fullPath": "obs://bucket/path",
        "obsEndpoint": "https://obs.example.com",
        "obsAccessKeyId": "test-key-id",
        "obsSecretAccessKey": "test-secret",
    },
    "LOCAL": {"type": "LOCAL", "fullPath": "folder/below"},
    "LIGHTLY": {"type": "LIGHTLY", "fullPath": ""},
}

SECRETS = {
    "S3": "s3SecretAccessKey",
    "GCS": "gcsCredentials",
    "AZURE": "accountKey",
    "OBS": "obsSecretAccessKey",
}

ALIASES = {
    "DatasourceConfigS3": "S3",
    "DatasourceConfigGCS": "GCS",
    "DatasourceConfigAzure": "AZURE",
    "DatasourceConfigLOCAL": "LOCAL",
    "DatasourceConfigLIGHTLY": "LIGHTLY",
}
