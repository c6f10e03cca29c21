"""The files of LOCAL datasources and of managed areas, for anyone who has a URL to one.

Source: contract.md#lists-and-time-windows.

Such files are strangers', and they share the API's origin: what a browser makes of one runs in a sandbox, without
scripts, and is never anything but the declared type. Every answer, errors too, may be read from any origin, so that a
page sees what is wrong instead of a CORS error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote_to_bytes

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from headwater.domain.errors import (
    HeadwaterError,
    MalformedRequestError,
    MethodNotAllowedError,
    NotFoundError,
    PayloadTooLargeError,
    StoreError,
    TooManyRequestsError,
)
from headwater.domain.read_url import ReadUrlSigner
from headwater.stores.local.files import FilePart, FileState, LocalFiles
from headwater.web.files.conditional import Answer, RangeNotSatisfiableError, answer_to
from headwater.web.files.media_types import media_type_of

METHODS = ("GET", "HEAD", "OPTIONS", "PUT")

MOST = 5 * 2**30
"""Bytes of a file that is put, as of one PUT to S3."""

MOST_AT_ONCE = 64
"""Files that are received at the same time: each holds descriptors, for as long as its sender likes."""

STALLED = 30.0
"""Seconds without a byte after which an upload is given up."""

MAX_AGE = 3600
"""Seconds that a browser may keep a file without asking again, if the URL lives that long."""

ALWAYS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Length, Content-Range, ETag, Retry-After, X-Request-Id",
    # 'self' for images and media: browsers show a video opened by itself in a page that they make around it.
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'"
    ),
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of every answer. No page learns the URL, which lets anyone in, from a `Referer`."""

_PREFLIGHT = {
    "Access-Control-Allow-Methods": ", ".join(METHODS),
    # Browsers do not count Authorization among `*`; clients that send it everywhere are not turned away for it.
    "Access-Control-Allow-Headers": "*, Authorization",
    "Access-Control-Max-Age": "86400",
    "Allow": ", ".join(METHODS),
}

log = structlog.get_logger(__name__)

ErrorResponse = Callable[[Request, HeadwaterError], Response]


def route(folder: Path, signer: ReadUrlSigner, error_response: ErrorResponse, hidden: Iterable[Path] = ()) -> BaseRoute:
    """Return the route that answers the URLs of `signer`.

    Args:
        folder: what paths in URLs are relative to.
        signer: checks signatures.
        error_response: writes an error; the headers of `ALWAYS` are added.
        hidden: folders that are as if they were not there: the server's own data.
    """
    return _FilesRoute(LocalFiles(folder, hidden), signer, error_response)


class _FilesRoute(BaseRoute):
    """What begins as the signer's URLs do, in every method.

    Not a `Route` of Starlette's: its path patterns stop at a newline, which a file's name may hold.
    """

    def __init__(self, files: LocalFiles, signer: ReadUrlSigner, error_response: ErrorResponse) -> None:
        self._files = files
        self._signer = signer
        self._error_response = error_response
        self._receiving = 0

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match what begins with `/files/`, or as else the signer has it."""
        matched = scope["type"] == "http" and _below_root_path(scope, scope["path"]).startswith(self._signer.start)
        return (Match.FULL if matched else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope)
        try:
            if request.method == "OPTIONS":
                await Response(None, 204, {**ALWAYS, **_PREFLIGHT})(scope, receive, send)
                return
            if request.method not in METHODS:
                raise MethodNotAllowedError(
                    f"{request.method} is not offered on files, only {', '.join(METHODS)}", METHODS
                )
            if request.method == "PUT":
                await self._receive(request, receive)
                await Response(None, 200, ALWAYS)(scope, receive, send)
                return
            opened = await self._open(request)
        except HeadwaterError as error:
            response = self._error_response(request, error)
            response.headers.update({**ALWAYS, "Cache-Control": "no-store"})
            if isinstance(error, RangeNotSatisfiableError):
                response.headers["Content-Range"] = f"bytes */{error.size}"
            await response(scope, receive, send)
            return
        try:
            await _send(opened, receive, send)
        finally:
            opened.close()

    async def _open(self, request: Request) -> FilePart[Answer]:
        """Check the URL, and only then look at the disk.

        Raises:
            Forbidden: the URL is not one of ours, or its time is over.
            NotFoundError: there is no such file.
            StoreError: it cannot be read.
        """
        path, left, now = self._check(request, write=False)
        return await self._files.open(path, partial(_answer, request, min(left, MAX_AGE), now))

    async def _receive(self, request: Request, receive: Receive) -> None:
        """Check the URL, and only then take what is sent: the file is there whole, or as it was.

        Raises:
            Forbidden: the URL is not one of ours, or its time is over.
            PayloadTooLargeError: there is more than `MOST` bytes of it.
            TooManyRequestsError: `MOST_AT_ONCE` others are under way.
            MalformedRequestError: nothing more came for too long.
            StoreError: it cannot be written.
        """
        path, _, _ = self._check(request, write=True)
        if int(request.headers.get("content-length", "0")) > MOST:
            raise PayloadTooLargeError(f"a file of more than {MOST} bytes cannot be put in one request")
        if self._receiving >= MOST_AT_ONCE:
            raise TooManyRequestsError(f"{MOST_AT_ONCE} files are being put already; come back in a second")
        self._receiving += 1
        try:
            writer = await self._files.create(path)
            try:
                size = 0
                async for block in _blocks(Request(request.scope, receive)):
                    size += len(block)
                    if size > MOST:
                        raise PayloadTooLargeError(f"a file of more than {MOST} bytes cannot be put in one request")
                    await writer.write(block)
                await writer.commit()
            finally:
                writer.close()
        finally:
            self._receiving -= 1

    def _check(self, request: Request, *, write: bool) -> tuple[str, int, float]:
        """Return the path of a URL that is good, the seconds that it has left, and the time."""
        path = self._path_of(request.scope)
        query = dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
        now = time.time()
        left = self._signer.verify(path, query.get("expires", ""), query.get("signature", ""), now, write=write)
        return path, left, now

    def _path_of(self, scope: Scope) -> str:
        """Return the path after `/files/`, from the bytes as they came: what a framework decodes is no longer exact.

        Raises:
            NotFoundError: it is not UTF-8.
        """
        raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        path = _below_root_path(scope, raw.decode("latin-1"))
        try:
            return unquote_to_bytes(path.removeprefix(self._signer.start)).decode()
        except UnicodeDecodeError:
            raise NotFoundError("no file of this name was listed: it is not UTF-8") from None


def _answer(request: Request, max_age: int, now: float, file: FileState) -> Answer:
    answer = answer_to(request.method, request.headers, size=file.size, etag=file.etag, modified=file.modified, now=now)
    answer.headers |= {**ALWAYS, "Cache-Control": f"private, no-transform, max-age={max_age}"}
    if answer.status != 304:
        answer.headers["Content-Type"] = media_type_of(file.name)
    return answer


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    """What is sent, block by block; given up where nothing comes any more."""
    blocks = request.stream()
    while True:
        try:
            async with asyncio.timeout(STALLED):
                block = await anext(blocks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise MalformedRequestError(f"body: nothing of it came for {STALLED:.0f} seconds; send it again") from None
        yield block


async def _send(opened: FilePart[Answer], receive: Receive, send: Send) -> None:
    """Send the answer. Where no more of it can be read, break off, so that the client sees it is not whole."""
    answer, block = opened.part, opened.first
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if opened.left == 0:
        await send({"type": "http.response.body", "body": block})
        return
    # The HTTP server drops what is sent to a client that has gone: a whole video would be read for nobody.
    gone = asyncio.create_task(_disconnect(receive))
    try:
        while block and not gone.done():
            await send({"type": "http.response.body", "body": block, "more_body": opened.left > 0})
            if opened.left == 0:
                return
            block = await opened.next()
    except StoreError as error:
        log.warning("a file could not be read to its end", reason=error.message)
    finally:
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _below_root_path(scope: Scope, path: str) -> str:
    return path.removeprefix(scope.get("root_path", ""))
