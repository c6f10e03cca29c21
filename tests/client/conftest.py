"""A scripted server and a client of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

import swagger_client
from swagger_client.api.datasources_api import DatasourcesApi
from tests.client.server import Scripted, running

TOKEN = "token-of-a-test"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIGHTLY_SERVER_LOCATION", raising=False)


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    """`debug` and `logger_file` are settings of the process, so one test's would be the next one's."""
    loggers = [logging.getLogger(name) for name in ("swagger_client", "urllib3")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        for handler in logger.handlers:
            if handler not in handlers:
                handler.close()
        logger.handlers[:] = handlers


@pytest.fixture
def server() -> Iterator[Scripted]:
    with running() as scripted:
        yield scripted


@pytest.fixture
def configuration(server: Scripted) -> swagger_client.Configuration:
    return swagger_client.Configuration(host=server.url, api_key={"ApiKeyAuth": TOKEN})


@pytest.fixture
def api(configuration: swagger_client.Configuration) -> Iterator[DatasourcesApi]:
    with swagger_client.ApiClient(configuration) as api_client:
        yield DatasourcesApi(api_client)
