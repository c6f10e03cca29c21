"""Receive the file that a client puts to a write URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request

from headwater.domain.errors import MalformedRequestError, PayloadTooLargeError, TooManyRequestsError
from headwater.stores.local.files import LocalFiles

MAX_UPLOAD_BYTES = 5 * 2**30
"""The largest file that one PUT may send; the same limit as S3's."""

MAX_CONCURRENT_UPLOADS = 64
"""Uploads in flight at the same time. Each holds file descriptors for as long as its client keeps sending."""

STALLED_UPLOAD_SECONDS = 30.0
"""Time without a byte after which an upload is abandoned."""


class Uploads:
    """Writes uploaded files and limits how many are received concurrently.

    Args:
        files: where the files are written.
    """

    def __init__(self, files: LocalFiles) -> None:
        self._files = files
        self._in_flight = 0

    async def receive(self, request: Request, path: str) -> None:
        """Write the body of a request to `path`. An upload that fails changes nothing.

        Raises:
            PayloadTooLargeError: the body is larger than `MAX_UPLOAD_BYTES`.
            TooManyRequestsError: `MAX_CONCURRENT_UPLOADS` others are in flight.
            MalformedRequestError: the client stopped sending.
            StoreError: the file cannot be written.
        """
        if int(request.headers.get("content-length", "0")) > MAX_UPLOAD_BYTES:
            raise _too_large()
        if self._in_flight >= MAX_CONCURRENT_UPLOADS:
            raise TooManyRequestsError(
                f"{MAX_CONCURRENT_UPLOADS} files are being uploaded already; try again in a second"
            )
        self._in_flight += 1
        try:
            await self._write(request, path)
        finally:
            self._in_flight -= 1

    async def _write(self, request: Request, path: str) -> None:
        writer = await self._files.create(path)
        try:
            size = 0
            async for block in _blocks(request):
                size += len(block)
                if size > MAX_UPLOAD_BYTES:
                    raise _too_large()
                await writer.write(block)
            await writer.commit()
        finally:
            writer.close()


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    """Yield the body block by block; raise MalformedRequestError if the client stops sending."""
    blocks = request.stream()
    while True:
        try:
            async with asyncio.timeout(STALLED_UPLOAD_SECONDS):
                block = await anext(blocks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise MalformedRequestError(
                f"body: no data was received for {STALLED_UPLOAD_SECONDS:.0f} seconds; send it again"
            ) from None
        yield block


def _too_large() -> PayloadTooLargeError:
    return PayloadTooLargeError(f"a file of more than {MAX_UPLOAD_BYTES} bytes cannot be put in one request")
