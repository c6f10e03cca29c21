"""An S3 server whose objects have the dates that a test gives them.

On Amazon S3 an object has the date at which its upload began, in whole seconds, and appears when the upload ends. The
server answers only ListObjectsV2 and checks no signatures. It runs in a thread, so that a test knows to the
millisecond when an object appeared.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape


class Object(NamedTuple):
    """An object."""

    date: float
    size: int


class DatedBucket:
    """A bucket; every name of a bucket leads to it."""

    def __init__(self) -> None:
        self.url = ""
        self._objects: dict[str, Object] = {}
        self._lock = threading.Lock()

    def put(self, key: str, size: int, date: float) -> None:
        """Add or replace an object. Its size distinguishes it from other versions."""
        with self._lock:
            self._objects[key] = Object(date, size)

    def delete(self, key: str) -> None:
        """Remove an object."""
        with self._lock:
            del self._objects[key]

    def page(self, query: dict[str, list[str]]) -> bytes:
        """Return the XML of a page as AWS writes it."""
        prefix, after = query.get("prefix", [""])[0], query.get("start-after", [""])[0]
        limit = int(query["max-keys"][0])
        with self._lock:
            rows = sorted(row for row in self._objects.items() if row[0].startswith(prefix) and row[0] > after)
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{found.size}</Size><ETag>&quot;{found.size:032x}&quot;</ETag>"
            f"<LastModified>{_written(found.date)}</LastModified></Contents>"
            for key, found in rows[:limit]
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(len(rows) > limit).lower()}</IsTruncated>{contents}</ListBucketResult>"
        ).encode()


def _written(date: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(date))


@contextmanager
def dated_bucket() -> Iterator[DatedBucket]:
    """Serve a bucket during the block."""
    bucket = DatedBucket()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = bucket.page(parse_qs(urlsplit(self.path).query))
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    bucket.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
