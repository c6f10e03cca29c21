"""The files of LOCAL datasources, served to anyone who has a read URL (contract, section 4).

Such files are strangers', and they share the API's origin: what a browser makes of one runs in a sandbox, without
scripts, and is never anything but the declared type. Every answer, errors too, may be read from any origin, so that a
page sees what is wrong instead of a CORS error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from headwater.api.conditional import Answer, RangeNotSatisfiable, answer_to
from headwater.api.media_type import media_type_of
from headwater.domain.errors import HeadwaterError, MethodNotAllowed, NotFound
from headwater.domain.read_url import FILES, ReadUrlSigner
from headwater.stores.local_root import (
    ABSENT,
    FILE_THREADS,
    TO_READ,
    LocalRoot,
    OpenFile,
    Parts,
    etag_of,
    explain,
    in_thread,
    modified_of,
    parts_of,
    shown,
)

METHODS = ("GET", "HEAD", "OPTIONS")
CHUNK = 256 * 1024
"""Bytes read and sent at a time."""

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

ErrorResponse = Callable[[Request, HeadwaterError], Response]


def routes(mount_root: Path | None, signer: ReadUrlSigner, error_response: ErrorResponse) -> list[BaseRoute]:
    """Return the route that answers the read URLs of `signer`.

    Args:
        mount_root: what paths in read URLs are relative to; None, and there is no route.
        signer: checks signatures.
        error_response: writes an error; the headers of `ALWAYS` are added.
    """
    return [] if mount_root is None else [_FilesRoute(LocalRoot(mount_root), signer, error_response)]


class _Opened(NamedTuple):
    """What one look at the disk brought: the answer, its first bytes, and the file where more are to come."""

    answer: Answer
    first: bytes
    file: OpenFile


class _FilesRoute(BaseRoute):
    """`/files/…`, in every method.

    Not a `Route` of Starlette's: its path patterns stop at a newline, which a file's name may hold.
    """

    def __init__(self, root: LocalRoot, signer: ReadUrlSigner, error_response: ErrorResponse) -> None:
        self._root = root
        self._signer = signer
        self._error_response = error_response

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match what begins with `/files/`."""
        matched = scope["type"] == "http" and _below_root_path(scope, scope["path"]).startswith(FILES)
        return (Match.FULL if matched else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope)
        try:
            if request.method == "OPTIONS":
                await Response(None, 204, {**ALWAYS, **_PREFLIGHT})(scope, receive, send)
                return
            if request.method not in METHODS:
                raise MethodNotAllowed(f"{request.method} is not offered on files, only {', '.join(METHODS)}", METHODS)
            opened = await self._open(request)
        except HeadwaterError as error:
            response = self._error_response(request, error)
            response.headers.update({**ALWAYS, "Cache-Control": "no-store"})
            if isinstance(error, RangeNotSatisfiable):
                response.headers["Content-Range"] = f"bytes */{error.size}"
            await response(scope, receive, send)
            return
        try:
            await _send(opened, receive, send)
        finally:
            opened.file.close()

    async def _open(self, request: Request) -> _Opened:
        """Check the URL, and only then look at the disk.

        Raises:
            Forbidden: the URL is not one of ours, or its time is over.
            NotFound: there is no such file.
            StoreError: it cannot be read.
        """
        path = _path_of(request.scope)
        query = dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
        now = time.time()
        left = self._signer.verify(path, query.get("expires", ""), query.get("signature", ""), now)
        parts = parts_of(path)
        if parts is None:
            raise NotFound("no file can be of this name")
        return await in_thread(FILE_THREADS, self._read, parts, request, min(left, MAX_AGE), now)

    def _read(self, parts: Parts, request: Request, max_age: int, now: float) -> _Opened:
        try:
            file = self._root.open_file(parts)
            try:
                return _answered(file, parts[-1], request, max_age, now)
            except BaseException:
                file.close()
                raise
        except OSError as error:
            if error.errno in ABSENT:
                raise NotFound(f"there is no file {shown(parts)}") from None
            raise explain(error, f"read {shown(parts)}", TO_READ) from None


def _answered(file: OpenFile, name: str, request: Request, max_age: int, now: float) -> _Opened:
    state = file.stat
    answer = answer_to(
        request.method,
        request.headers,
        size=state.st_size,
        etag=etag_of(state),
        modified=modified_of(state),
        now=now,
    )
    answer.headers |= {**ALWAYS, "Cache-Control": f"private, no-transform, max-age={max_age}"}
    if answer.status != 304:
        answer.headers["Content-Type"] = media_type_of(name)
    return _Opened(answer, file.read_at(answer.start, min(CHUNK, answer.to_send)), file)


async def _send(opened: _Opened, receive: Receive, send: Send) -> None:
    """Send the answer. Where the file became shorter meanwhile, break off, so that the client sees it is not whole."""
    answer, block, file = opened
    left = answer.to_send - len(block)
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if left == 0:
        await send({"type": "http.response.body", "body": block})
        return
    # The HTTP server drops what is sent to a client that has gone: a whole video would be read for nobody.
    gone = asyncio.create_task(_disconnect(receive))
    try:
        while block and not gone.done():
            await send({"type": "http.response.body", "body": block, "more_body": left > 0})
            if left == 0:
                return
            offset = answer.start + answer.to_send - left
            block = await in_thread(FILE_THREADS, file.read_at, offset, min(CHUNK, left))
            left -= len(block)
    finally:
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _path_of(scope: Scope) -> str:
    """Return the path after `/files/`, from the bytes as they came: what a framework decodes is no longer exact.

    Raises:
        NotFound: it is not UTF-8.
    """
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    path = _below_root_path(scope, raw.decode("latin-1"))
    try:
        return unquote_to_bytes(path.removeprefix(FILES)).decode()
    except UnicodeDecodeError:
        raise NotFound("no file of this name was listed: it is not UTF-8") from None


def _below_root_path(scope: Scope, path: str) -> str:
    return path.removeprefix(scope.get("root_path", ""))
