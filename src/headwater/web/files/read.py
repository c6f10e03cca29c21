"""Send the file that a read URL names: all of it or one range."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from headwater.domain.errors import StoreError
from headwater.stores.local.files import FilePart, FileState, LocalFiles
from headwater.web.files.conditional import ResponsePlan, plan_response
from headwater.web.files.headers import COMMON_HEADERS
from headwater.web.files.media_types import media_type_of

MAX_AGE_SECONDS = 3600
"""How long a browser may use a cached file without a request; less if the URL expires sooner."""

log = structlog.get_logger(__name__)


class FileResponse:
    """An ASGI response that sends an open file and closes it.

    Args:
        opened: the open file, with the plan of the response and its first block.
    """

    def __init__(self, opened: FilePart[ResponsePlan]) -> None:
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response.

        If the rest of the file cannot be read, the response ends early: the client notices from `Content-Length`.
        """
        try:
            await self._send(receive, send)
        finally:
            self._opened.close()

    async def _send(self, receive: Receive, send: Send) -> None:
        opened = self._opened
        plan, block = opened.part, opened.take_first()
        headers = [(name.lower().encode(), value.encode()) for name, value in plan.headers.items()]
        await send({"type": "http.response.start", "status": plan.status, "headers": headers})
        if opened.left == 0:
            await send({"type": "http.response.body", "body": block})
            return
        # The HTTP server discards what is sent to a client that has disconnected. Without this task the file would
        # be read to its end for no one.
        disconnected = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            while block and not disconnected.done():
                await send({"type": "http.response.body", "body": block, "more_body": opened.left > 0})
                if opened.left == 0:
                    return
                # An empty part is sent when the client has taken most of what was sent before. Without it, the next
                # block would be in memory, too, while a client does not read.
                await send({"type": "http.response.body", "body": b"", "more_body": True})
                block = await opened.next()
        except StoreError as error:
            log.warning("file_read_failed", reason=error.message)
        finally:
            disconnected.cancel()
            await asyncio.gather(disconnected, return_exceptions=True)


async def open_file(files: LocalFiles, request: Request, path: str, seconds_left: int, now: float) -> FileResponse:
    """Return the response to a GET or HEAD request, with the file open.

    Args:
        files: the files that can be read.
        request: the request; its URL has been checked.
        path: the path of the file in `files`.
        seconds_left: how long the URL remains valid.
        now: Unix seconds.

    Raises:
        NotFoundError: there is no such file.
        PreconditionFailedError: a precondition of the request does not hold.
        RangeNotSatisfiableError: the requested range begins after the end of the file.
        StoreError: the file cannot be read.
    """
    max_age = min(seconds_left, MAX_AGE_SECONDS)
    return FileResponse(await files.open(path, partial(_plan, request, max_age, now)))


def _plan(request: Request, max_age: int, now: float, file: FileState) -> ResponsePlan:
    plan = plan_response(
        request.method, request.headers, size=file.size, etag=file.etag, modified=file.modified, now=now
    )
    plan.headers |= {**COMMON_HEADERS, "Cache-Control": f"private, no-transform, max-age={max_age}"}
    if plan.status != 304:
        plan.headers["Content-Type"] = media_type_of(file.name)
    return plan


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
