"""The faults that `FaultProxy` injects arrive as described, or the fault suite would prove nothing."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator

import pytest

from headwater.testing.fault_proxy import CutShort, Delay, FaultProxy, Raw, Request, Reset, Status
from headwater.testing.prepared import fetch

BODY = b"0123456789"


def respond(request: Request) -> Status:
    """Return the method and target, and the body of the request if it has one."""
    return Status(200, request.body or BODY, {"x-target": f"{request.method} {request.target}"})


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with FaultProxy(respond=respond) as upstream, FaultProxy(upstream.url) as proxy:
        yield proxy


def test_requests_are_forwarded_and_recorded(proxy: FaultProxy) -> None:
    assert fetch(f"{proxy.url}/a%2Fb?c=d%20e", "PUT", b"sent") == (200, b"sent")
    (request,) = proxy.requests
    assert (request.method, request.target, request.body) == ("PUT", "/a%2Fb?c=d%20e", b"sent")
    assert request.query == {"c": "d e"}


def test_each_request_uses_up_one_fault(proxy: FaultProxy) -> None:
    proxy.faults.extend([Status(503, b"busy"), None, Status(429)])
    assert [fetch(proxy.url)[0] for _ in range(4)] == [503, 200, 429, 200]


@pytest.mark.parametrize("after", [0, 3])
def test_cut_short_looks_complete(proxy: FaultProxy, after: int) -> None:
    proxy.faults.append(CutShort(after))
    assert fetch(proxy.url) == (200, BODY[:after])


@pytest.mark.parametrize("fault", [Reset(0), Reset(3)])
def test_reset_breaks_the_response(proxy: FaultProxy, fault: Reset) -> None:
    proxy.faults.append(fault)
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        fetch(proxy.url)


def test_raw_bytes_are_sent_unchanged(proxy: FaultProxy) -> None:
    proxy.faults.append(Raw(b"SSH-2.0-OpenSSH\r\n"))
    with pytest.raises(http.client.BadStatusLine):
        fetch(proxy.url)


def test_delay_precedes_the_response(proxy: FaultProxy) -> None:
    proxy.faults.append(Delay(0.2))
    began = time.monotonic()
    assert fetch(proxy.url) == (200, BODY)
    assert time.monotonic() - began >= 0.2
