"""Secrets do not appear in error texts or log lines."""

from __future__ import annotations

import pytest

import swagger_client
from swagger_client.api.datasources_api import DatasourcesApi
from swagger_client.redaction import redact
from tests.client.server import DATASET, Answer, Scripted


@pytest.mark.parametrize(
    "text",
    [
        '"GET /b/a.jpg?X-Amz-Credential=SECRET&X-Amz-Signature=SECRET HTTP/1.1" 200',
        "https://a.blob.core.windows.net/c/b?sv=2021-12-02&sp=r&sig=SECRET%3D",
        "https://storage.googleapis.com/b/a?X-Goog-Signature=SECRET",
        "/files/a.png?expires=1&signature=SECRET",
    ],
)
def test_signed_urls_are_no_text_for_logs(text: str) -> None:
    assert "SECRET" not in redact(text)


def test_a_token_that_no_header_can_have_is_not_repeated(server: Scripted) -> None:
    """Python's own error held it."""
    configuration = swagger_client.Configuration(host=server.url, access_token="part-’-of-a-token")
    with swagger_client.ApiClient(configuration) as client, pytest.raises(swagger_client.ApiValueError) as refusal:
        DatasourcesApi(client).get_datasource_by_dataset_id(DATASET)
    assert "part-" not in repr(refusal.value)


def test_a_token_is_hidden_before_a_long_text_is_cut(server: Scripted) -> None:
    """What was left of it at the cut was shown."""
    token = "a-token-of-many-characters"
    configuration = swagger_client.Configuration(host=server.url, api_key={"ApiKeyAuth": token})
    configuration.retries = 0
    for before in range(970, 1000):
        server.script(Answer(404, body=b"x" * before + token.encode() + b" not here"))
        with swagger_client.ApiClient(configuration) as client, pytest.raises(swagger_client.ApiException) as refusal:
            DatasourcesApi(client).get_datasource_by_dataset_id(DATASET)
        assert "a-tok" not in str(refusal.value)
