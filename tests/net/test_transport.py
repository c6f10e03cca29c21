"""Requests are limited, retried and sent unchanged, against a server on loopback that misbehaves."""

from __future__ import annotations

import asyncio
import time

import pytest
import uvloop

from headwater.domain.errors import LocationInvalidError, StoreUnavailableError
from headwater.net import connections
from headwater.net import transport as transport_module
from headwater.net.transport import Request, Transport
from headwater.net.urls import Origin
from headwater.net.users import working_for
from headwater.testing.fault_proxy import CutShort, Delay, Drip, FaultProxy, Raw, Reset, Status
from tests.net.client import open_transport, send
from tests.servers import free_port


async def test_request_is_sent_unchanged(server: FaultProxy, transport: Transport) -> None:
    origin = Origin("http", "127.0.0.1", server.port)
    target = "/a//b/../%2F%C3%BC?x=%20&y"
    sent = Request(
        method="PUT",
        origin=origin,
        target=target,
        headers={"x-a": "1"},
        body=b"content",
        is_operator_endpoint=False,
        max_body_bytes=100,
    )
    answer = await transport.request(sent)
    assert answer.status == 200
    assert answer.body == b"whole body"
    [request] = server.requests
    assert (request.method, request.target, request.body) == ("PUT", target, b"content")
    assert request.headers == {
        "host": f"127.0.0.1:{server.port}",
        "x-a": "1",
        "accept-encoding": "identity",
        "content-length": "7",
    }


async def test_redirects_are_not_followed(server: FaultProxy, transport: Transport) -> None:
    server.faults.append(Status(302, headers={"location": server.url + "/elsewhere"}))
    assert (await send(transport, server.url)).status == 302
    assert len(server.requests) == 1


async def test_proxies_from_environment_are_not_used(
    server: FaultProxy, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert (await send(transport, server.url)).status == 200


# --- retries ---


@pytest.mark.parametrize(
    "fault",
    [
        Status(503),
        Status(500),
        Status(429),
        Reset(0),
        Reset(4),
        Raw(b""),
        Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
    ],
    ids=repr,
)
async def test_transient_faults_are_retried(server: FaultProxy, transport: Transport, fault: object) -> None:
    server.faults += [fault, fault]  # type: ignore[list-item]  # each is one
    assert (await send(transport, server.url)).body == b"whole body"
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [200, 301, 400, 403, 404, 501])
async def test_other_statuses_are_not_retried(server: FaultProxy, transport: Transport, status: int) -> None:
    server.faults.append(Status(status))
    assert (await send(transport, server.url)).status == status
    assert len(server.requests) == 1


async def test_last_response_is_returned_after_all_attempts(server: FaultProxy, transport: Transport) -> None:
    server.faults += [Status(503, b"busy %d" % i) for i in range(9)]
    answer = await send(transport, server.url)
    assert (answer.status, answer.body) == (503, b"busy 3")
    assert len(server.requests) == transport_module.MAX_ATTEMPTS


async def test_last_error_is_raised_after_all_attempts(server: FaultProxy, transport: Transport) -> None:
    server.faults += [Reset(3)] * 9
    with pytest.raises(StoreUnavailableError, match="broke"):
        await send(transport, server.url)
    assert len(server.requests) == transport_module.MAX_ATTEMPTS


async def test_non_idempotent_request_is_sent_once(server: FaultProxy, transport: Transport) -> None:
    server.faults += [Status(503), Reset(0)]
    assert (await send(transport, server.url, "POST", body=b"x")).status == 503
    with pytest.raises(StoreUnavailableError):
        await send(transport, server.url, "POST", body=b"x")
    assert len(server.requests) == 2


async def test_retry_budget_limits_requests_to_a_host_that_is_down(
    server: FaultProxy, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a budget, an outage multiplied the load on a store by the number of attempts."""
    monkeypatch.setattr(transport_module, "MAX_RETRY_TOKENS", 5.0)
    server.faults += [Status(503)] * 1000
    for _ in range(10):
        assert (await send(transport, server.url)).status == 503
    assert len(server.requests) == 10 + 5
    server.faults.clear()
    for _ in range(4):
        await send(transport, server.url)
    server.faults += [Status(503)]
    assert (await send(transport, server.url)).status == 200


async def test_retry_after_header_extends_the_pause(server: FaultProxy, transport: Transport) -> None:
    server.faults.append(Status(503, headers={"retry-after": "1"}))
    began = time.monotonic()
    assert (await send(transport, server.url)).status == 200
    assert time.monotonic() - began >= 1.0
    server.faults.append(Status(503, headers={"retry-after": "3600"}))
    began = time.monotonic()
    assert (await send(transport, server.url)).status == 503
    assert time.monotonic() - began < 1.0


def test_transport_works_on_uvloop(server: FaultProxy) -> None:
    server.faults += [Reset(3), Status(503), None, Delay(2)]

    async def both() -> None:
        async with open_transport(read_seconds=0.2) as transport:
            assert (await send(transport, server.url)).body == b"whole body"
            assert (await send(transport, server.url)).body == b"whole body"
            with pytest.raises(StoreUnavailableError, match="refused the connection"):
                await send(transport, f"http://127.0.0.1:{free_port()}")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(both())
    assert len(server.requests) == 5


async def test_cancelled_requests_leave_no_connection(server: FaultProxy, transport: Transport) -> None:
    server.faults += [Delay(5)] * 40
    tasks = [asyncio.create_task(send(transport, server.url)) for _ in range(40)]
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    server.faults.clear()
    assert (await send(transport, server.url)).status == 200
    [pool] = transport._pools.values()
    assert pool.connections == []


# --- bounds ---


async def test_silent_connection_times_out_and_is_retried(server: FaultProxy) -> None:
    server.faults.append(Delay(5))
    async with open_transport(read_seconds=0.3) as transport:
        assert (await send(transport, server.url)).body == b"whole body"
    assert len(server.requests) == 2


async def test_call_has_a_time_limit(server: FaultProxy) -> None:
    server.faults += [Delay(5)] * 9
    began = time.monotonic()
    async with open_transport(call_seconds=0.7, read_seconds=0.3) as transport:
        with pytest.raises(StoreUnavailableError):
            await send(transport, server.url)
    assert time.monotonic() - began < 1.5


async def test_slowly_sent_response_has_a_time_limit(server: FaultProxy) -> None:
    server.faults += [Drip(0.05)] * 9
    began = time.monotonic()
    async with open_transport(call_seconds=0.7, read_seconds=0.3) as transport:
        with pytest.raises(StoreUnavailableError, match="in the time"):
            await send(transport, server.url)
    assert time.monotonic() - began < 1.5


async def test_response_has_a_size_limit(server: FaultProxy, transport: Transport) -> None:
    server.faults.append(Status(200, b"x" * 1000))
    assert len((await send(transport, server.url)).body) == 1000
    server.faults.append(Status(200, b"x" * 1001))
    with pytest.raises(LocationInvalidError, match="more than 1000 bytes"):
        await send(transport, server.url)
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3_000_000
    server.faults.append(Raw(endless))
    with pytest.raises(LocationInvalidError, match="more than 1000 bytes"):
        await send(transport, server.url)


async def test_endless_headers_are_refused(server: FaultProxy, transport: Transport) -> None:
    server.faults += [Raw(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000)] * 9
    with pytest.raises(StoreUnavailableError, match="not HTTP"):
        await send(transport, server.url)


async def test_concurrent_requests_to_a_host_are_limited(server: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_module, "MAX_REQUESTS_PER_HOST", 2)
    server.faults += [Delay(0.2)] * 6
    async with open_transport() as transport:
        began = time.monotonic()
        await asyncio.gather(*(send(transport, server.url) for _ in range(6)))
    assert time.monotonic() - began >= 0.6


async def test_body_cut_short_without_a_length_is_returned(server: FaultProxy, transport: Transport) -> None:
    server.faults.append(CutShort(5))
    assert (await send(transport, server.url)).body == b"whole"


async def test_hosts_of_one_user_that_hang_take_no_connections_from_others(
    server: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All users shared the connections and the requests to a host: one whose hosts were silent took all of them."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 6)
    monkeypatch.setattr(transport_module, "MAX_REQUESTS_PER_USER", 4)
    monkeypatch.setattr(transport_module, "MAX_REQUESTS_PER_HOST", 3)
    silent = await asyncio.start_server(_stay_silent, "127.0.0.1", 0)
    async with open_transport("127.0.0.1, localhost") as transport:
        port = silent.sockets[0].getsockname()[1]
        with working_for("eve"):
            hung = [
                asyncio.create_task(send(transport, f"http://{host}:{port}"))
                for host in ("127.0.0.1", "localhost")
                for _ in range(20)
            ]
        await asyncio.sleep(0.1)
        with working_for("ada"):
            async with asyncio.timeout(2):
                assert (await send(transport, server.url)).status == 200
        for each in hung:
            each.cancel()
        await asyncio.gather(*hung, return_exceptions=True)
    silent.close()


async def test_requests_of_one_user_to_a_host_do_not_keep_others_of_it_waiting(
    server: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users of one provider share its host: the places for requests to it went to whoever came first."""
    monkeypatch.setattr(transport_module, "MAX_REQUESTS_PER_HOST", 1)
    async with open_transport() as transport:
        server.faults.append(Delay(3600))
        with working_for("eve"):
            hung = [asyncio.create_task(send(transport, server.url)) for _ in range(9)]
        while server.faults:
            await asyncio.sleep(0.01)
        with working_for("ada"):
            async with asyncio.timeout(2):
                assert (await send(transport, server.url)).status == 200
        for each in hung:
            each.cancel()
        await asyncio.gather(*hung, return_exceptions=True)


async def _stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()
