"""A hostile bucket: an S3 server whose objects, dates and moments of change the test controls.

All buckets of a test run are in one `BucketServer`, which runs in the event loop of the test. So a bucket never changes
while a page is read from it, and the order of all events is known.
"""

from __future__ import annotations

import asyncio
import bisect
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, cast
from urllib.parse import parse_qs, quote, urlsplit


class Stored(NamedTuple):
    """An object: the number of the version, which no other version of the bucket has, and its date in Unix seconds."""

    version: int
    created: int


class Served(NamedTuple):
    """What one list page contained, and when the bucket was read for it."""

    moment: int
    versions: Mapping[str, int]


@dataclass
class Bucket:
    """A bucket and the record of what it has served.

    Attributes:
        name: its name.
        objects: what it contains now.
        served: all pages, in the order in which the bucket was read.
        in_flight: requests that are not answered yet.
        before_page: called when a page is about to be read. It may change the bucket.
        delays: returns the seconds to wait before a page is read, and after it: a page may arrive late and outdated.
    """

    name: str
    objects: dict[str, Stored] = field(default_factory=dict)
    served: list[Served] = field(default_factory=list)
    in_flight: int = 0
    before_page: Callable[[], None] | None = None
    delays: Callable[[], tuple[float, float]] | None = None
    versions: int = 0
    _moment: int = 0

    def tick(self) -> int:
        """Return the number of the next moment: events of one bucket are ordered by it."""
        self._moment += 1
        return self._moment

    def put(self, key: str, created: int) -> None:
        """Create or replace an object. It may have any date."""
        self.versions += 1
        self.objects[key] = Stored(self.versions, created)

    def delete(self, key: str) -> None:
        """Delete an object, if there is one."""
        self.objects.pop(key, None)

    def page(self, after: str, limit: int) -> bytes:
        """Read a page, record it and return it as XML."""
        keys = sorted(key for key in self.objects if key > after)
        chosen = {key: self.objects[key] for key in keys[:limit]}
        self.served.append(Served(self.tick(), {key: stored.version for key, stored in chosen.items()}))
        return _list_page(self.name, chosen, limit, is_truncated=len(keys) > limit)

    def served_between(self, sent: int, received: int, key: str) -> frozenset[int]:
        """Return the versions of a key that any page contained which was read between two moments."""
        start = bisect.bisect_left(self.served, sent, key=lambda page: page.moment)
        found = set()
        for page in self.served[start:]:
            if page.moment > received:
                break
            if key in page.versions:
                found.add(page.versions[key])
        return frozenset(found)


def _list_page(name: str, objects: Mapping[str, Stored], limit: int, *, is_truncated: bool) -> bytes:
    contents = "".join(
        f"<Contents><Key>{quote(key)}</Key>"
        # A fraction of a second, because dates are floored.
        f"<LastModified>{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(stored.created))}.{stored.version % 1000:03}Z"
        f"</LastModified><ETag>&quot;{stored.version:032x}&quot;</ETag><Size>{1000 + stored.version}</Size>"
        f"<StorageClass>STANDARD</StorageClass></Contents>"
        for key, stored in objects.items()
    )
    token = f"<NextContinuationToken>{quote(max(objects))}</NextContinuationToken>" if is_truncated else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{name}</Name><Prefix></Prefix><KeyCount>{len(objects)}</KeyCount><MaxKeys>{limit}</MaxKeys>"
        f"<EncodingType>url</EncodingType><IsTruncated>{str(is_truncated).lower()}</IsTruncated>{token}{contents}"
        "</ListBucketResult>"
    ).encode()


class BucketServer:
    """Serves ListObjectsV2 of many buckets on a free loopback port."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}
        self._server: asyncio.Server | None = None
        self._made = 0

    async def __aenter__(self) -> BucketServer:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self._buckets), "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def endpoint(self) -> str:
        """The URL of the server."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def new(self) -> Bucket:
        """Make an empty bucket."""
        self._made += 1
        bucket = Bucket(f"bucket-{self._made}")
        self._buckets[bucket.name] = bucket
        return bucket

    def remove(self, bucket: Bucket) -> None:
        """Remove a bucket."""
        del self._buckets[bucket.name]


class _Connection(asyncio.Protocol):
    """A connection of a client, which sends one request at a time."""

    def __init__(self, buckets: Mapping[str, Bucket]) -> None:
        self._buckets = buckets
        self._received = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.endswith(b"\r\n\r\n"):
            head, self._received = self._received, b""
            self._task = asyncio.get_running_loop().create_task(self._answer(head))

    async def _answer(self, head: bytes) -> None:
        url = urlsplit(head.split(b" ", 2)[1].decode())
        query = parse_qs(url.query, keep_blank_values=True)
        bucket = self._buckets.get(url.path.strip("/"))
        if bucket is None or query.get("list-type") != ["2"]:
            self._send(b"404 Not Found", b"")
            return
        before, after = bucket.delays() if bucket.delays is not None else (0.0, 0.0)
        bucket.in_flight += 1
        try:
            if before:
                await asyncio.sleep(before)
            if bucket.before_page is not None:
                bucket.before_page()
            page = bucket.page(query.get("start-after", [""])[0], int(query["max-keys"][0]))
            if after:
                await asyncio.sleep(after)
        finally:
            bucket.in_flight -= 1
        self._send(b"200 OK", page)

    def _send(self, status: bytes, body: bytes) -> None:
        with suppress(RuntimeError):  # the client has closed the connection
            self._transport.write(
                b"HTTP/1.1 %b\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
                + body
            )
