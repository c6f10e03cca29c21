"""The route of read URLs and write URLs: files of LOCAL datasources and managed areas.

Anyone who has a URL can use it until it expires (contract.md#lists-and-time-windows).
"""

from __future__ import annotations

import time
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from headwater.domain.errors import HeadwaterError, MethodNotAllowedError, NotFoundError
from headwater.domain.read_url import ReadUrlSigner
from headwater.observability.work import Usage
from headwater.stores.local.files import LocalFiles
from headwater.stores.local.runtime import LocalFileRoot
from headwater.web.errors import error_response
from headwater.web.files.conditional import RangeNotSatisfiableError
from headwater.web.files.headers import COMMON_HEADERS, METHODS, PREFLIGHT_HEADERS
from headwater.web.files.read import open_file
from headwater.web.files.shares import Shares, share_of
from headwater.web.files.write import Uploads

MAX_DOWNLOADS = 1024
"""Files that are sent at the same time. Each holds a file descriptor and up to `BLOCK_BYTES` of memory."""

MAX_DOWNLOADS_OF_ONE_DATASOURCE = 256
"""Those of them that may belong to one datasource, so that clients of it that do not read leave room for others."""


def route(root: LocalFileRoot) -> FilesRoute:
    """Return the route that answers the URLs of files under a root."""
    return FilesRoute(LocalFiles(root), root.signer)


class FilesRoute(BaseRoute):
    """Every path that begins as the signer's URLs do, with every method.

    Not a `Route` of Starlette: its path patterns stop at a newline, and a file name may contain one.
    """

    def __init__(self, files: LocalFiles, signer: ReadUrlSigner) -> None:
        self._files = files
        self._uploads = Uploads(files)
        self._downloads = Shares("downloads", "files are being sent", MAX_DOWNLOADS, MAX_DOWNLOADS_OF_ONE_DATASOURCE)
        self._signer = signer
        self.path = f"{signer.start}{{path}}"
        """The template of the paths, as routes of the framework have it."""

    def usage(self) -> list[Usage]:
        """Return how many files are being sent and received."""
        return [self._downloads.usage(), self._uploads.shares.usage()]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match paths that begin with the signer's prefix, such as `/files/`."""
        matched = scope["type"] == "http" and _without_root_path(scope, scope["path"]).startswith(self._signer.start)
        return (Match.FULL, {"route": self}) if matched else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            await self._respond(request, scope, receive, send)
        except HeadwaterError as error:
            await _error_response(request, error)(scope, receive, send)

    async def _respond(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the URL, and only then access the disk. Nothing has been sent if this raises an error.

        Raises:
            ForbiddenError: the URL was not signed by this server, or it has expired.
            HeadwaterError: see `open_file` and `Uploads.receive`.
        """
        if request.method == "OPTIONS":
            await Response(None, 204, PREFLIGHT_HEADERS)(scope, receive, send)
            return
        if request.method not in METHODS:
            raise MethodNotAllowedError(f"{request.method} is not offered on files, only {', '.join(METHODS)}", METHODS)
        now = time.time()
        write = request.method == "PUT"
        path = self._path_of(request.scope)
        query = dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
        seconds_left = self._signer.verify(path, query.get("expires", ""), query.get("signature", ""), now, write=write)
        if write:
            await self._uploads.receive(request, path)
            await Response(None, 200, COMMON_HEADERS)(scope, receive, send)
            return
        with self._downloads.hold(share_of(path)):
            response = await open_file(self._files, request, path, seconds_left, now)
            await response(scope, receive, send)

    def _path_of(self, scope: Scope) -> str:
        """Return the path after the prefix, from the raw bytes: the path that a framework decodes is not exact.

        Raises:
            NotFoundError: the path is not UTF-8.
        """
        raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        path = _without_root_path(scope, raw.decode("latin-1"))
        try:
            return unquote_to_bytes(path.removeprefix(self._signer.start)).decode()
        except UnicodeDecodeError:
            raise NotFoundError("no file of this name was listed: it is not UTF-8") from None


def _error_response(request: Request, error: HeadwaterError) -> Response:
    response = error_response(request, error)
    response.headers.update(COMMON_HEADERS)
    if isinstance(error, RangeNotSatisfiableError):
        response.headers["Content-Range"] = f"bytes */{error.size}"
    return response


def _without_root_path(scope: Scope, path: str) -> str:
    return path.removeprefix(scope.get("root_path", ""))
