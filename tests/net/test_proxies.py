"""Proxies that the environment names are used by no request, and errors and the log say so."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from headwater.domain.errors import LocationInvalidError, StoreUnavailableError
from headwater.net.proxies import ignored_variables, warn_about_proxies
from headwater.testing.fault_proxy import FaultProxy, Status
from tests.net.client import open_transport, send
from tests.servers import free_port

SECRET_URL = "http://user:test-proxy-password@proxy.test:3128"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with FaultProxy(respond=lambda _: Status(502, b"from the proxy")) as running:
        yield running


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"])
async def test_an_unreachable_store_is_blamed_on_the_ignored_proxy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a network that is left only through a proxy, errors blamed the spelling of the bucket."""
    monkeypatch.setenv(name, SECRET_URL)

    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with open_transport(resolver=unknown) as transport:
        with pytest.raises(LocationInvalidError) as error:
            await send(transport, "http://bucket.store.test")
    assert f"does not use the proxy in {name}: its operator must" in error.value.message
    assert "spelled" not in error.value.message
    assert "password" not in error.value.message
    async with open_transport(call_seconds=0.5) as transport:
        with pytest.raises(StoreUnavailableError, match=f"refused the connection.*does not use the proxy in {name}"):
            await send(transport, f"http://127.0.0.1:{free_port()}")


async def test_no_request_goes_to_the_proxy(
    server: FaultProxy, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    async with open_transport() as transport:
        assert (await send(transport, server.url)).status == 200
    assert not proxy.requests


def test_the_warning_names_the_variables_without_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that was set had no effect, without a word. Its URL may contain a password."""
    with capture_logs() as logs:
        warn_about_proxies()
        monkeypatch.setenv("https_proxy", SECRET_URL)
        warn_about_proxies()
    assert logs == [{"event": "proxy_ignored", "log_level": "warning", "variables": ["https_proxy"]}]


def test_hosts_in_no_proxy_have_no_ignored_proxy() -> None:
    environ = {"HTTPS_PROXY": SECRET_URL, "HTTP_PROXY": " ", "NO_PROXY": "store.test,.internal"}
    assert ignored_variables("other.test", environ) == ["HTTPS_PROXY"]
    assert ignored_variables("store.test", environ) == []
    assert ignored_variables("a.internal", environ) == []
    assert ignored_variables(None, {**environ, "NO_PROXY": "*"}) == []
