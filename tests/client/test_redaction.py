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
def test_redact_removes_the_signatures_of_urls(text: str) -> None:
    assert "SECRET" not in redact(text)


def test_the_error_for_a_token_with_invalid_characters_hides_it(server: Scripted) -> None:
    """The error of Python itself contained it."""
    configuration = swagger_client.Configuration(host=server.url, access_token="part-’-of-a-token")
    with swagger_client.ApiClient(configuration) as client, pytest.raises(swagger_client.ApiValueError) as refusal:
        DatasourcesApi(client).get_datasource_by_dataset_id(DATASET)
    assert "part-" not in repr(refusal.value)


def test_a_token_is_hidden_before_a_long_body_is_cut(server: Scripted) -> None:
    """The cut left a part of the token, which was shown."""
    token = "a-token-of-many-characters"
    configuration = swagger_client.Configuration(host=server.url, api_key={"ApiKeyAuth": token})
    configuration.retries = 0
    for before in range(970, 1000):
        server.script(Answer(404, body=b"x" * before + token.encode() + b" not here"))
        with swagger_client.ApiClient(configuration) as client, pytest.raises(swagger_client.ApiException) as refusal:
            DatasourcesApi(client).get_datasource_by_dataset_id(DATASET)
        assert "a-tok" not in str(refusal.value)
