"""A scripted server, a client for it, and a certificate."""

from __future__ import annotations

import datetime
import ipaddress
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import swagger_client
from swagger_client.api.datasources_api import DatasourcesApi
from tests.client.server import Answer, Request, Scripted, running
from tests.live import Live, request

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
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "headwater test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


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
