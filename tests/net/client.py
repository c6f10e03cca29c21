"""How the tests of `net` send requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from headwater.net.egress import Egress
from headwater.net.transport import Request, Response, Transport
from headwater.net.urls import parse_endpoint


@asynccontextmanager
async def open_transport(allowed: str = "127.0.0.1", **options: object) -> AsyncIterator[Transport]:
    transport = Transport(Egress.parse(allowed), **options)  # type: ignore[arg-type]  # each test's own
    try:
        yield transport
    finally:
        await transport.aclose()


async def send(
    transport: Transport,
    url: str,
    method: str = "GET",
    *,
    operator: bool = False,
    max_body: int = 1000,
    body: bytes = b"",
) -> Response:
    origin, path = parse_endpoint(url, "obsEndpoint")
    request = Request(
        method=method,
        origin=origin,
        target=path or "/",
        body=body,
        is_operator_endpoint=operator,
        max_body_bytes=max_body,
    )
    return await transport.request(request)
