"""A synthetic bucket: an S3 server with very cheap listings, so that a benchmark measures the client.

`python -m benchmarks.bucket COUNT` prints its port and serves until it is terminated. It answers only ListObjectsV2,
with `start-after` or `continuation-token` (the last key), from precomputed pages, and checks no signatures. A POST is
answered with a session, as STS answers AssumeRole.
"""

from __future__ import annotations

import asyncio
import bisect
import re
import sys
import time
from functools import cache
from urllib.parse import parse_qs, urlsplit

BUCKET = "synthetic"

SESSION = (
    '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
    "<AccessKeyId>test-session-id</AccessKeyId><SecretAccessKey>test-session-secret</SecretAccessKey>"
    # As long as a token of AWS, because it is part of every URL.
    f"<SessionToken>{'test-session-token/' * 40}</SessionToken><Expiration>{{}}</Expiration></Credentials>"
    "</AssumeRoleResult></AssumeRoleResponse>"
)


def key(index: int) -> str:
    """Return the key of an object, in folders of a thousand images."""
    return f"train/class_{index // 1000:04}/img_{index:08}.jpg"


class Bucket:
    """A bucket of `count` objects."""

    def __init__(self, count: int) -> None:
        self.keys = [key(index) for index in range(count)]

    @cache  # noqa: B019  one bucket lives as long as the process
    def page(self, start: int, limit: int) -> bytes:
        """Return the XML of a page as AWS writes it."""
        chosen = self.keys[start : start + limit]
        contents = "".join(
            f"<Contents><Key>{name}</Key><LastModified>2026-01-{1 + index % 28:02}T12:00:00.000Z</LastModified>"
            f"<ETag>&quot;{index:032x}&quot;</ETag><Size>{100_000 + index}</Size><StorageClass>STANDARD</StorageClass>"
            f"</Contents>"
            for index, name in enumerate(chosen, start)
        )
        more = start + limit < len(self.keys)
        token = f"<NextContinuationToken>{chosen[-1]}</NextContinuationToken>" if more else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{BUCKET}</Name><Prefix></Prefix><KeyCount>{len(chosen)}</KeyCount><MaxKeys>{limit}</MaxKeys>"
            f"<EncodingType>url</EncodingType><IsTruncated>{str(more).lower()}</IsTruncated>{token}{contents}"
            "</ListBucketResult>"
        ).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"POST "):
                    body = await session(head, reader)
                else:
                    query = parse_qs(urlsplit(head.split(b" ", 2)[1].decode()).query)
                    after = (query.get("continuation-token") or query.get("start-after") or [""])[0]
                    start = bisect.bisect_right(self.keys, after)
                    body = self.page(start, int(query.get("max-keys", ["1000"])[0]))
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n" % len(body) + body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def session(head: bytes, reader: asyncio.StreamReader) -> bytes:
    """Read the body of the request; return the XML of a session of one hour."""
    await reader.readexactly(int(re.findall(rb"(?i)\ncontent-length: *(\d+)", head)[0]))
    return SESSION.format(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))).encode()


async def main() -> None:
    """Serve on a free loopback port."""
    bucket = Bucket(int(sys.argv[1]))
    for start in range(0, len(bucket.keys), 1000):
        bucket.page(start, 1000)
    server = await asyncio.start_server(bucket.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
