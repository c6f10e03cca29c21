"""A scripted server, a client for it, and a certificate."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import swagger_client
from swagger_client.api.datasources_api import DatasourcesApi
from tests.client.server import Answer, Request, Scripted, running
from tests.live import Live, request
from tests.tls import write_certificate

TOKEN = "token-of-a-test"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIGHTLY_SERVER_LOCATION", raising=False)


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    """Restore the loggers: `debug` and `logger_file` change the whole process."""
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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a self-signed certificate for 127.0.0.1, with its key."""
    return write_certificate(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest.fixture(scope="module")
def forwarding_server(live: Live) -> Iterator[Scripted]:
    """A server that forwards every request to the live server and returns its response."""

    def handed_on(arrived: Request) -> Answer:
        names = ("Accept", "Content-Type", "Authorization")
        headers = {name: arrived.headers[name] for name in names if name in arrived.headers}
        answer = request(live.url, arrived.method, arrived.target, arrived.body or None, headers)
        return Answer(answer.status, body=answer.body)

    with running() as scripted:
        scripted.answer = handed_on
        yield scripted
