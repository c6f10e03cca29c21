"""Failures raise the documented exceptions, and no text of them contains a token."""

from __future__ import annotations

import contextlib
import logging
import pickle
import socket
import ssl
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

import swagger_client
from swagger_client import exceptions
from swagger_client.api.datasources_api import DatasourcesApi
from swagger_client.redaction import redact
from tests.client.conftest import TOKEN
from tests.client.server import DATASET, Answer, Scripted, failure, running


@pytest.mark.parametrize(
    ("status", "exception"),
    [
        (400, swagger_client.ApiException),
        (401, swagger_client.UnauthorizedException),
        (403, swagger_client.ForbiddenException),
        (404, swagger_client.NotFoundException),
        (405, swagger_client.ApiException),
        (413, swagger_client.ApiException),
        (500, swagger_client.ServiceException),
        (502, swagger_client.ServiceException),
    ],
)
def test_each_status_raises_its_class(
    api: DatasourcesApi, server: Scripted, status: int, exception: type[swagger_client.ApiException]
) -> None:
    server.script(failure(status, "SOME_CODE", "what was wrong", X_Request_Id="request-1"))
    with pytest.raises(swagger_client.ApiException) as caught:
        api.get_datasource_by_dataset_id(DATASET)
    error = caught.value
    assert type(error) is exception
    assert error.status == status
    assert error.reason
    assert isinstance(error.body, str)
    assert '"SOME_CODE"' in error.body
    assert error.headers is not None
    assert error.headers["x-request-id"] == "request-1"
    assert (error.code, error.message, error.request_id) == ("SOME_CODE", "what was wrong", "request-1")


def test_an_error_text_has_message_and_request_id(api: DatasourcesApi, server: Scripted) -> None:
    server.script(failure(404, "DATASET_UNKNOWN", "There is no dataset with this id."))
    with pytest.raises(swagger_client.NotFoundException) as caught:
        api.get_datasource_by_dataset_id(DATASET)
    assert str(caught.value) == (
        "(404)\nReason: Not Found\nError: DATASET_UNKNOWN: There is no dataset with this id.\nRequest id: request-1\n"
    )


@pytest.mark.parametrize("body", [b"", b"Bad gateway", b"[1]", b'{"code": 5}', b"\xff\xfe"])
def test_an_error_body_that_is_not_from_the_api(api: DatasourcesApi, server: Scripted, body: bytes) -> None:
    server.script(Answer(502, body=body, headers={"X-Request-Id": "of-a-proxy"}))
    with pytest.raises(swagger_client.ServiceException) as caught:
        api.get_datasource_by_dataset_id(DATASET)
    assert caught.value.code is None
    assert "(502)" in str(caught.value)
    assert body.decode("utf-8", "replace") in str(caught.value)
    assert "Request id: of-a-proxy" in str(caught.value)


@pytest.mark.parametrize(
    "page",
    [
        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n</html>",
        "\ufeff<!DOCTYPE html><html></html>",
        '<?xml version="1.0"?>\n<!doctype HTML>\n<html></html>',
        "<!-- made by a proxy -->\n<HTML></HTML>",
    ],
)
def test_the_page_of_a_proxy_is_not_printed(api: DatasourcesApi, server: Scripted, page: str) -> None:
    """Error texts and log lines of retries contained the whole page."""
    server.script(Answer(502, body=page.encode()))
    with pytest.raises(swagger_client.ServiceException) as caught:
        api.get_datasource_by_dataset_id(DATASET)
    assert "an HTML page" in str(caught.value)
    assert "<" not in str(caught.value)
    assert caught.value.body == page


@pytest.mark.parametrize("host", ["localhost:9160", "https://", "htp://localhost", "http://localhost:port"])
def test_a_host_that_is_not_a_url(host: str) -> None:
    """The text said to check that a server without a name is running."""
    configuration = swagger_client.Configuration(host=host)
    with swagger_client.ApiClient(configuration) as client, pytest.raises(urllib3.exceptions.HTTPError) as caught:
        DatasourcesApi(client).get_datasource_by_dataset_id(DATASET)
    assert "write http:// or https://" in str(caught.value)


@pytest.mark.parametrize(("path", "advised"), [("/v1", True), ("/v1/", True), ("", False)])
def test_a_host_with_the_version_in_its_path(server: Scripted, path: str, advised: bool) -> None:
    """The error only said that there is nothing at this path."""
    server.script(failure(404, "NOT_FOUND", "there is nothing at this path"))
    configuration = swagger_client.Configuration(host=server.url + path)
    with swagger_client.ApiClient(configuration) as client, pytest.raises(swagger_client.NotFoundException) as caught:
        DatasourcesApi(client).get_datasource_by_dataset_id(DATASET)
    assert ("without /v1" in str(caught.value)) == advised


def test_an_error_body_is_read_without_preload_content(api: DatasourcesApi, server: Scripted) -> None:
    server.script(failure(403, "FORBIDDEN", "Not yours."))
    with pytest.raises(swagger_client.ForbiddenException, match="FORBIDDEN: Not yours"):
        api.get_datasource_by_dataset_id(DATASET, _preload_content=False)


def test_the_token_in_a_proxys_error_page_is_hidden(api: DatasourcesApi, server: Scripted) -> None:
    server.script(Answer(502, body=f"cannot reach http://x/v1?a=1&amp;token={TOKEN}&b=2".encode()))
    with pytest.raises(swagger_client.ServiceException) as caught:
        api.get_datasource_by_dataset_id(DATASET)
    assert TOKEN not in str(caught.value)
    assert "token=***&b=2" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /v1/a?from=1&token=abc%2B/d&to=2 HTTP/1.1", "GET /v1/a?from=1&token=***&to=2 HTTP/1.1"),
        ("url: /v1/a?token=abc (Caused by x)", "url: /v1/a?token=*** (Caused by x)"),
        ("'Authorization': 'Bearer a.b-c'", "'Authorization': 'Bearer ***'"),
        ("the token is not good", "the token is not good"),
        ("as 'Authorization: Bearer …'", "as 'Authorization: Bearer …'"),
        ("curl -H 'Authorization: Bearer ...' /v1?token=…", "curl -H 'Authorization: Bearer ...' /v1?token=…"),
        ("a bearer token is missing", "a bearer token is missing"),
        ("Authorization: bearer abc", "Authorization: bearer ***"),
        ("it got Bearer eyJhbGciOi.a-b_c= here", "it got Bearer *** here"),
        ("it got Bearer%20eyJhbGciOi", "it got Bearer%20***"),
        ("the token hw_abcdefghijkl", "the token ***"),
    ],
)
def test_redaction(text: str, shown: str) -> None:
    assert redact(text) == shown


def _everything(error: BaseException) -> str:
    """Return all texts of an error that a log or an error tracker could show."""
    shown = "".join(traceback.format_exception(error))
    chain: list[BaseException | None] = [error]
    while chain:
        each = chain.pop()
        if each is not None:
            shown += f"{each!r} {each.args!r} {vars(each)!r}"
            chain += [each.__cause__, each.__context__, getattr(each, "reason", None)]
            chain = [one for one in chain if isinstance(one, BaseException)]
    return shown


def _unreachable(host: str, retries: Any = None, **settings: Any) -> BaseException:
    configuration = swagger_client.Configuration(host=host, api_key={"ApiKeyAuth": TOKEN})
    configuration.retries = retries
    for name, value in settings.items():
        setattr(configuration, name, value)
    with swagger_client.ApiClient(configuration) as api_client, pytest.raises(urllib3.exceptions.HTTPError) as caught:
        DatasourcesApi(api_client).get_datasource_by_dataset_id(DATASET, _request_timeout=0.3)
    return caught.value


@pytest.fixture
def closed() -> str:
    """The address of a stopped server."""
    with running() as scripted:
        return scripted.url


@pytest.mark.parametrize("retries", [0, 1, urllib3.Retry(0)], ids=["off", "one", "own"])
def test_a_refused_connection_raises_urllib3s_error_without_the_token(closed: str, retries: Any) -> None:
    error = _unreachable(closed, retries)
    assert type(error) is urllib3.exceptions.MaxRetryError
    assert isinstance(error.reason, urllib3.exceptions.NewConnectionError)
    assert str(error) == (
        f"no response from {closed} (connection refused): check that the server is running and that `host` of the "
        "configuration is its URL"
    )
    assert TOKEN not in _everything(error)
    assert TOKEN not in repr(pickle.loads(pickle.dumps(error)))


def test_the_traceback_of_a_missing_response_is_short(closed: str) -> None:
    """If the server was not running, there were eighty lines, most of them of urllib3, with the reason at their end."""
    shown = "".join(traceback.format_exception(_unreachable(closed, 1)))
    assert "urllib3/" not in shown
    assert "During handling" not in shown
    assert "direct cause" not in shown
    assert len(shown.splitlines()) < 25


@contextlib.contextmanager
def _full_server() -> Iterator[str]:
    """A server that answers no attempt to connect, as a firewall does: its queue of new connections is full."""
    with socket.socket() as listening, contextlib.ExitStack() as waiting:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_each_missing_response_is_explained(server: Scripted, certificate: Path) -> None:
    """The texts named classes of urllib3 and addresses in memory; they did not say what to do."""

    def text(host: str, **settings: Any) -> str:
        error = _unreachable(host, 0, **settings)
        assert TOKEN not in _everything(error)
        return str(error)

    assert "(its name cannot be resolved): check that" in text("http://headwater.invalid")
    assert "(the proxy failed: Connection refused): check `proxy`" in text(server.url, proxy="http://127.0.0.1:9")
    assert "it does not speak TLS" in text(server.url.replace("http:", "https:"))
    server.script(Answer(hang_up=True))
    assert "(it closed the connection): check that" in text(server.url)
    server.script(Answer(delay=0.5))
    assert "(no answer within the time limit): the server or its store is slow" in text(server.url)
    with _full_server() as full:
        assert text(full).startswith(f"no response from {full} (no connection within the time limit): check that")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running(context) as secure:
        untrusted = text(secure.url)
    assert untrusted.startswith(f"no response from {secure.url} (its certificate is not trusted: self-signed")
    assert "ssl_ca_cert" in untrusted


def test_without_retries_urllib3s_original_error_is_raised(closed: str) -> None:
    error = _unreachable(closed, False)
    assert isinstance(error, urllib3.exceptions.NewConnectionError)
    assert TOKEN not in _everything(error)


@pytest.mark.parametrize("host", ["http://[::1", "ftp://server"])
def test_the_error_for_an_invalid_host_hides_the_token(host: str) -> None:
    assert TOKEN not in _everything(_unreachable(host))


def test_a_slow_response_exceeds_the_time_limit(api: DatasourcesApi, server: Scripted) -> None:
    server.script(Answer(json={"processedUntilTimestamp": 5}, delay=3))
    api.api_client.rest_client.pool_manager.connection_pool_kw["retries"] = urllib3.Retry(0)
    for timeout in (0.2, (5, 0.2), [5, 0.2]):
        start = time.monotonic()
        with pytest.raises(urllib3.exceptions.MaxRetryError) as caught:
            api.get_datasource_by_dataset_id(DATASET, _request_timeout=timeout)
        assert isinstance(caught.value.reason, urllib3.exceptions.ReadTimeoutError)
        assert TOKEN not in _everything(caught.value)
        assert time.monotonic() - start < 2


@pytest.mark.parametrize("timeout", [None, 0, 30, 30.0, (30, 30)])
def test_a_response_within_the_time_limit(api: DatasourcesApi, server: Scripted, timeout: Any) -> None:
    server.script(Answer(json={"processedUntilTimestamp": 5}, delay=0.05))
    api.get_datasource_processed_until_timestamp_by_dataset_id(DATASET, _request_timeout=timeout)


@pytest.mark.parametrize("timeout", ["5", (1, 2, 3), True])
def test_an_invalid_time_limit_is_refused(api: DatasourcesApi, server: Scripted, timeout: Any) -> None:
    with pytest.raises(swagger_client.ApiTypeError, match="_request_timeout"):
        api.get_datasource_by_dataset_id(DATASET, _request_timeout=timeout)
    assert server.requests == []


@pytest.mark.parametrize("credential", [{"access_token": f"{TOKEN}\n"}, {"api_key": {"ApiKeyAuth": f"{TOKEN}\n"}}])
def test_the_error_for_a_token_with_a_line_break_hides_it(server: Scripted, credential: Any) -> None:
    """The error of http.client for such a header contains the header."""
    api = DatasourcesApi(swagger_client.ApiClient(swagger_client.Configuration(server.url, **credential)))
    with api.api_client, pytest.raises(swagger_client.ApiValueError, match="line break") as caught:
        api.get_datasource_by_dataset_id(DATASET)
    assert TOKEN not in _everything(caught.value)
    assert server.requests == []


def test_logs_of_urllib3_hide_the_token(
    api: DatasourcesApi, server: Scripted, closed: str, caplog: pytest.LogCaptureFixture
) -> None:
    """urllib3 logs the URL of each request (debug), retry (warning) and redirect (info)."""
    server.script(
        Answer(302, headers={"Location": f"{server.url}/elsewhere?token={TOKEN}"}),
        Answer(hang_up=True),
        Answer(json={"type": "LOCAL", "fullPath": ""}),
    )
    caplog.set_level(logging.DEBUG)
    api.get_datasource_by_dataset_id(DATASET)
    _unreachable(closed, 1)
    assert {record.name for record in caplog.records if "?token=***" in record.getMessage()} >= {
        "urllib3.connectionpool",
        "urllib3.poolmanager",
        "urllib3.util.retry",
    }
    assert any(record.levelno == logging.WARNING for record in caplog.records)
    assert TOKEN not in caplog.text


def test_debug_logs_hide_the_token(
    api: DatasourcesApi, server: Scripted, configuration: swagger_client.Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    server.script(Answer(json={"type": "LOCAL", "fullPath": ""}))
    api.get_datasource_by_dataset_id(DATASET)
    assert caplog.records == []
    configuration.debug = True
    api.get_datasource_by_dataset_id(DATASET)
    configuration.debug = False
    api.get_datasource_by_dataset_id(DATASET)
    assert [record.name for record in caplog.records] == ["urllib3.connectionpool", "swagger_client.rest"]
    assert (
        caplog.records[1].getMessage().startswith(f"GET {server.url}/v1/datasets/{DATASET}/datasource?token=*** -> 200")
    )
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("code", ["SOME_CODE", None])
def test_credentials_in_a_response_are_hidden_in_error_texts(server: Scripted, code: str | None) -> None:
    """A gateway's page can quote a token without the `token=` that identifies it."""
    configuration = swagger_client.Configuration(
        server.url, {"ApiKeyAuth": "the+key/of=me"}, access_token="the.jwt.of-me"
    )
    quoted = "bad: the+key/of=me, the%2Bkey%2Fof%3Dme, the.jwt.of-me"
    server.script(failure(401, code, quoted) if code else Answer(401, body=quoted.encode()))
    with swagger_client.ApiClient(configuration) as api_client, pytest.raises(swagger_client.ApiException) as caught:
        DatasourcesApi(api_client).get_datasource_by_dataset_id(DATASET)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert "bad: ***, ***, ***" in str(error)
        assert "of-me" not in str(error)
        assert error.body is not None
        assert quoted in error.body


def test_a_redirect_is_followed(api: DatasourcesApi, server: Scripted) -> None:
    server.script(Answer(307, headers={"Location": "/moved"}), Answer(json={"type": "LOCAL", "fullPath": "x"}))
    assert api.get_datasource_by_dataset_id(DATASET).full_path == "x"
    assert [sent.path for sent in server.requests] == [f"/v1/datasets/{DATASET}/datasource", "/moved"]


def test_requests_go_through_the_proxy(server: Scripted) -> None:
    server.script(Answer(json={"type": "LOCAL", "fullPath": "x"}))
    configuration = swagger_client.Configuration(host="http://headwater.invalid")
    configuration.proxy = server.url
    configuration.proxy_headers = {"X-Proxy": "yes"}
    with swagger_client.ApiClient(configuration) as api_client:
        DatasourcesApi(api_client).get_datasource_by_dataset_id(DATASET)
    assert server.request.target == f"http://headwater.invalid/v1/datasets/{DATASET}/datasource"
    assert server.request.headers["X-Proxy"] == "yes"


def test_the_servers_certificate_is_checked(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running(context) as server:
        server.script(Answer(json={"type": "LOCAL", "fullPath": "x"}))
        start = time.monotonic()
        error = _unreachable(server.url)
        assert type(error) is urllib3.exceptions.MaxRetryError
        assert isinstance(error.reason, urllib3.exceptions.SSLError)
        assert TOKEN not in _everything(error)
        assert time.monotonic() - start < 2.5, "a certificate that is not trusted is not worth another try"

        trusting = swagger_client.Configuration(host=server.url, ssl_ca_cert=str(certificate))
        with swagger_client.ApiClient(trusting) as api_client:
            assert DatasourcesApi(api_client).get_datasource_by_dataset_id(DATASET).full_path == "x"

        careless = swagger_client.Configuration(host=server.url)
        careless.verify_ssl = False
        with swagger_client.ApiClient(careless) as api_client, pytest.warns(urllib3.exceptions.InsecureRequestWarning):
            assert DatasourcesApi(api_client).get_datasource_by_dataset_id(DATASET).full_path == "x"


def test_the_client_sends_its_certificate(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    with running(context) as server:
        server.script(Answer(json={"type": "LOCAL", "fullPath": "x"}))
        configuration = swagger_client.Configuration(host=server.url, ssl_ca_cert=str(certificate))
        configuration.cert_file = configuration.key_file = str(certificate)
        with swagger_client.ApiClient(configuration) as api_client:
            assert DatasourcesApi(api_client).get_datasource_by_dataset_id(DATASET).full_path == "x"
        configuration.cert_file = configuration.key_file = None
        configuration.retries = 0
        with swagger_client.ApiClient(configuration) as api_client, pytest.raises(urllib3.exceptions.HTTPError):
            DatasourcesApi(api_client).get_datasource_by_dataset_id(DATASET)


def test_the_tree_of_exceptions() -> None:
    assert issubclass(exceptions.ApiTypeError, (swagger_client.OpenApiException, TypeError))
    for exception, builtin in (
        (swagger_client.ApiTypeError, TypeError),
        (swagger_client.ApiValueError, ValueError),
        (swagger_client.ApiAttributeError, AttributeError),
        (swagger_client.ApiKeyError, KeyError),
    ):
        assert issubclass(exception, builtin)
        assert issubclass(exception, swagger_client.OpenApiException)
        assert str(exception("wrong", ["data", 3])).strip('"') == "wrong at ['data'][3]"
    for answered in ("NotFound", "Unauthorized", "Forbidden", "Service"):
        assert issubclass(getattr(exceptions, f"{answered}Exception"), swagger_client.ApiException)
    assert not issubclass(swagger_client.ApiException, (TypeError, ValueError))


def test_an_exception_can_be_created_by_a_program() -> None:
    error = swagger_client.ApiException(status=0, reason="no answer")
    assert (error.status, error.reason, error.body, error.headers) == (0, "no answer", None, None)
    assert str(error) == "(0)\nReason: no answer\n"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
