"""Settings of the client's connections hold for files that the server itself serves, and for no other host."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

import swagger_client
from headwater_client import DownloadError, download, iter_samples
from swagger_client.api.datasources_api import DatasourcesApi
from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow as Row
from tests.client.conftest import certificate  # noqa: F401  a fixture
from tests.client.server import DATASET, PATH, Answer, Request, Scripted, running
from tests.headwater_client.stores import listed_page

# ruff: noqa: F811


@contextmanager
def tls_server(certificate: Path, *, asks_for_certificate: bool = False) -> Iterator[Scripted]:
    """A server that lists one file, which it serves itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if asks_for_certificate:
        context.load_verify_locations(certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    with running(context) as server:

        def answer(request: Request) -> Answer:
            if request.path == f"{PATH}/list":
                return listed_page(("a.png", f"{server.url}/v1/files/a.png"))
            return Answer(body=b"pixels")

        server.answer = answer
        yield server


@contextmanager
def client(host: str, **settings: Any) -> Iterator[DatasourcesApi]:
    configuration = swagger_client.Configuration(host=host)
    for name, value in settings.items():
        setattr(configuration, name, value)
    with swagger_client.ApiClient(configuration) as api_client:
        yield DatasourcesApi(api_client)


def test_a_certificate_of_ones_own(certificate: Path, tmp_path: Path) -> None:
    """The listing worked with `ssl_ca_cert`, and each download from the same server failed."""
    with (
        tls_server(certificate, asks_for_certificate=True) as server,
        client(server.url, ssl_ca_cert=str(certificate), cert_file=str(certificate), key_file=str(certificate)) as api,
    ):
        assert download(iter_samples(api, DATASET), tmp_path / "samples").files == 1
        rows = [Row("a.png", f"{server.url}/v1/files/a.png")]
        assert download(rows, tmp_path / "rows", api=api, dataset_id=DATASET).files == 1
        with pytest.raises(DownloadError, match="was not received from https"):
            download(rows, tmp_path / "without", attempts=1)


def test_without_a_check_of_the_certificate(certificate: Path, tmp_path: Path) -> None:
    with (
        tls_server(certificate) as server,
        client(server.url, verify_ssl=False) as api,
        pytest.warns(urllib3.exceptions.InsecureRequestWarning),
    ):
        assert download(iter_samples(api, DATASET), tmp_path, workers=1).files == 1


@pytest.mark.parametrize("setting", ["ssl_ca_cert", "verify_ssl"])
def test_other_hosts_are_checked_as_ever(certificate: Path, server: Scripted, tmp_path: Path, setting: str) -> None:
    """Trust in one server must not become trust in every store that its read URLs, or redirects, lead to."""
    with tls_server(certificate) as store:
        url = f"{store.url}/a.png?X-Amz-Signature=secret-of-a-url"
        redirect = Answer(302, headers={"Location": url})
        rows = listed_page(("direct.png", url), ("redirected.png", f"{server.url}/r"))
        server.answer = lambda request: rows if request.path.endswith("/list") else redirect
        given = {"ssl_ca_cert": str(certificate)} if setting == "ssl_ca_cert" else {"verify_ssl": False}
        with client(server.url, **given) as api, pytest.raises(DownloadError) as caught:
            download(iter_samples(api, DATASET), tmp_path, attempts=1)
    expected = f"was not received from {store.url}: its certificate is not trusted: self-signed certificate"
    assert [expected in str(error) for error in caught.value.errors.values()] == [True, True]
    assert "secret-of-a-url" not in str(caught.value)


def test_a_proxy(server: Scripted, tmp_path: Path) -> None:
    """Listings went through the proxy, and downloads from the same server past it."""
    host = "http://headwater.invalid"
    server.answer = lambda request: (
        listed_page(("a.png", f"{host}:80/a.png")) if "/list" in request.target else Answer(body=b"pixels")
    )
    with client(host, proxy=server.url) as api:
        assert download(iter_samples(api, DATASET), tmp_path).files == 1
    assert server.requests[-1].target == f"{host}:80/a.png"


def test_connections_of_the_caller_are_used_for_everything(certificate: Path, tmp_path: Path) -> None:
    with (
        tls_server(certificate) as server,
        client(server.url, ssl_ca_cert=str(certificate)) as api,
        urllib3.PoolManager() as untrusting,
        pytest.raises(DownloadError, match="certificate is not trusted"),
    ):
        download(iter_samples(api, DATASET), tmp_path, pool=untrusting, attempts=1)
