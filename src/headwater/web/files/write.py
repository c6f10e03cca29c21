"""Receive the file that a client puts to a write URL."""

from __future__ import annotations

from starlette.requests import Request

from headwater.domain.errors import MalformedRequestError, PayloadTooLargeError
from headwater.stores.local.files import LocalFiles
from headwater.web.files.shares import Shares, share_of

MAX_UPLOAD_BYTES = 5 * 2**30
"""The largest file that one PUT may send; the same limit as S3's."""

MAX_UPLOADS = 256
"""Uploads in flight at the same time. Each holds file descriptors for as long as its client keeps sending."""

MAX_UPLOADS_OF_ONE_DATASOURCE = 32
"""Those of them that may belong to one datasource, so that slow uploads to it leave room for others."""

_NOT_SUPPORTED = {
    "content-range": "a PUT replaces the whole file; send all of it, without this header",
    "if-match": "a PUT to a write URL replaces the file in any case; send it without this header",
    "if-none-match": "a PUT to a write URL replaces the file in any case; send it without this header",
    "if-unmodified-since": "a PUT to a write URL replaces the file in any case; send it without this header",
}
"""Headers that would make a PUT something else, and which may not be ignored (RFC 9110, sections 13.1 and 14.5)."""


class Uploads:
    """Writes uploaded files and limits how many are received concurrently.

    Args:
        files: where the files are written.
    """

    def __init__(self, files: LocalFiles) -> None:
        self._files = files
        self.shares = Shares("uploads", "files are being uploaded", MAX_UPLOADS, MAX_UPLOADS_OF_ONE_DATASOURCE)

    async def receive(self, request: Request, path: str) -> None:
        """Write the body of a request to `path`. An upload that fails changes nothing.

        Raises:
            MalformedRequestError: the request asks for something else than to replace the file, or its body is not as
                long as it says.
            PayloadTooLargeError: the body is larger than `MAX_UPLOAD_BYTES`.
            TooManyRequestsError: too many others are in flight.
            StoreError: the file cannot be written.
        """
        for name, advice in _NOT_SUPPORTED.items():
            if name in request.headers:
                raise MalformedRequestError(f"{name.title()}: {advice}")
        announced = _announced_bytes(request)
        if announced is not None and announced > MAX_UPLOAD_BYTES:
            raise _too_large()
        with self.shares.hold(share_of(path)):
            await self._write(request, path, announced)

    async def _write(self, request: Request, path: str, announced: int | None) -> None:
        writer = await self._files.create(path)
        try:
            size = 0
            async for block in request.stream():
                size += len(block)
                if size > MAX_UPLOAD_BYTES:
                    raise _too_large()
                await writer.write(block)
            if announced is not None and size != announced:
                raise MalformedRequestError(
                    f"body: {size} bytes were received, and Content-Length says {announced}; send it again"
                )
            await writer.commit()
        finally:
            writer.close()


def _announced_bytes(request: Request) -> int | None:
    """Return the length of the body; None if it comes in chunks, the last of which is empty.

    Raises:
        MalformedRequestError: the request does not say where its body ends, so that it has none, or the body is
            encoded.
    """
    length = request.headers.get("content-length")
    if length is not None:
        return int(length)
    if request.headers.get("transfer-encoding", "").strip().lower() != "chunked":
        raise MalformedRequestError("Content-Length: required, 0 for an empty file; or Transfer-Encoding: chunked")
    return None


def _too_large() -> PayloadTooLargeError:
    return PayloadTooLargeError(f"a file of more than {MAX_UPLOAD_BYTES} bytes cannot be put in one request")
