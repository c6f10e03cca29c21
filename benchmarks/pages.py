"""A server with very cheap pages of raw samples, so that a benchmark measures the client.

`python -m benchmarks.pages` prints its port and serves until it is terminated. It answers every GET with the page whose
number is the `cursor`. The number of pages is the id of the dataset. The rows are encoded once.
"""

from __future__ import annotations

import asyncio
import json
import re

ROWS = 1000

SIGNED = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=test-key-id%2F20250601%2Feu-central-1%2Fs3%2Faws4_request"
    f"&X-Amz-Date=20250601T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature={'0f' * 32}"
)
"""The query of a presigned URL, in its usual length."""


def dataset(pages: int) -> str:
    """Return the id of a dataset with this number of pages."""
    return f"{pages:024d}"


def rows() -> bytes:
    """Return the rows of a page as JSON."""
    names = [f"folder-0001/image-{index:06d}.jpg" for index in range(ROWS)]
    bucket = "https://bucket.s3.eu-central-1.amazonaws.com"
    return json.dumps([{"fileName": name, "readUrl": f"{bucket}/{name}?{SIGNED}"} for name in names]).encode()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> None:
    """Answer the requests of one connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"/datasets/(\d+)/.*?(?:cursor=(\d+)|\s)", head)
            assert found is not None, head
            page = int(found[2] or 0) + 1
            more = b"true" if page < int(found[1]) else b"false"
            body = b'{"hasMore": %s, "cursor": "%d", "data": %s}' % (more, page, data)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
            writer.write(body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    """Serve on a free loopback port."""
    data = rows()
    server = await asyncio.start_server(lambda reader, writer: serve(reader, writer, data), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
