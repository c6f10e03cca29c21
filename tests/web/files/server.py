"""A server with the route of read and write URLs, and nothing else."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI

from headwater.domain.read_url import ReadUrlSigner
from headwater.web.files import routes as files
from headwater.web.middleware import RequestMiddleware
from tests.stores.local.opening import file_root
from tests.web.serving import serving_app

KEY = b"k" * 32
CONTENT = bytes(range(256)) * 4
"""What `set/a.png` contains."""

MODIFIED = 1_700_000_000
"""When `set/a.png` was modified, in Unix seconds."""

CORS = ("access-control-allow-origin", "*")


@dataclass
class Server:
    """A running server."""

    root: Path
    port: int
    signer: ReadUrlSigner

    def target(self, path: str, expires: float | None = None) -> str:
        """Return the path and query of a read URL."""
        (url,) = self.signer.sign([path], int(time.time() + 60 if expires is None else expires))
        split = urlsplit(url)
        return f"{split.path}?{split.query}"

    def request(
        self, target: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request; return status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, target, headers=headers or {})
            response = connection.getresponse()
            names = [name.lower() for name, _ in response.getheaders()]
            assert len(names) == len(set(names)), "a header was sent twice"
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Send a GET request to the read URL of a file."""
        return self.request(
            self.target(path), headers={name.replace("_", "-"): value for name, value in headers.items()}
        )


@contextmanager
def serving(root: Path, root_path: str = "") -> Iterator[Server]:
    """Serve the files under `root` for the duration of the block."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.router.routes.append(files.route(file_root(root, ReadUrlSigner([KEY], "http://any", str(root)))))
    app.add_middleware(RequestMiddleware)
    with serving_app(app, root_path=root_path) as port:
        yield Server(root, port, ReadUrlSigner([KEY], f"http://127.0.0.1:{port}", str(root)))
