"""Ranges and preconditions (RFC 9110)."""

from __future__ import annotations

import json
import os
import time
from email.utils import formatdate, parsedate_to_datetime

import pytest

from tests.web.files.server import CONTENT, CORS, MODIFIED, Server


@pytest.mark.parametrize(
    ("requested", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-1023", 0, 1023),
        ("bytes=0-", 0, 1023),
        ("bytes=1000-2000", 1000, 1023),
        ("bytes=1023-", 1023, 1023),
        ("bytes=100-299", 100, 299),
        ("bytes=-1", 1023, 1023),
        ("bytes=-1024", 0, 1023),
        ("bytes=-5000", 0, 1023),
        ("Bytes = 5 - 9", 5, 9),
    ],
)
def test_range_is_sent(server: Server, requested: str, first: int, last: int) -> None:
    status, headers, body = server.get("set/a.png", Range=requested)
    assert (status, body) == (206, CONTENT[first : last + 1])
    assert headers["content-range"] == f"bytes {first}-{last}/1024"
    assert headers["content-length"] == str(last - first + 1)
    assert headers["content-type"] == "image/png"
    assert "etag" in headers


@pytest.mark.parametrize(
    "requested",
    [
        *(
            "bytes=0-1,5-6",
            "bytes=5-4",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=1-2x",
            "items=0-1",
            "bytes 0-1",
            "0-1",
        ),
        *("bytes=0-1,", "bytes=--1", "bytes=+1-2", "bytes=\xb2-5", f"bytes=0-{'9' * 5000}"),
    ],
)
def test_unsupported_range_is_ignored(server: Server, requested: str) -> None:
    status, headers, body = server.get("set/a.png", Range=requested)
    assert (status, body) == (200, CONTENT)
    assert "content-range" not in headers


@pytest.mark.parametrize(
    ("name", "requested"), [("a", "bytes=1024-"), ("a", "bytes=5000-6000"), ("a", "bytes=-0"), ("empty", "bytes=0-")]
)
def test_range_after_the_end_is_416(server: Server, name: str, requested: str) -> None:
    status, headers, body = server.get(f"set/{name}.png", Range=requested)
    assert (status, json.loads(body)["code"]) == (416, "BAD_REQUEST")
    assert headers["content-range"] == f"bytes */{1024 if name == 'a' else 0}"
    assert CORS in headers.items()
    assert headers["cache-control"] == "no-store"


def test_range_after_four_gigabytes_is_sent(server: Server) -> None:
    size = 5_000_000_010
    with (server.root / "large.mp4").open("wb") as file:
        file.truncate(size)
        file.seek(size - 10)
        file.write(b"0123456789")
    status, headers, body = server.get("large.mp4", Range=f"bytes={size - 5}-")
    assert (status, body) == (206, b"56789")
    assert headers["content-range"] == f"bytes {size - 5}-{size - 1}/{size}"
    _, headers, _ = server.request(server.target("large.mp4"), "HEAD")
    assert headers["content-length"] == str(size)


def test_if_range_matches_only_the_same_version(server: Server) -> None:
    etag = server.get("set/a.png")[1]["etag"]
    for validator in (etag, formatdate(MODIFIED, usegmt=True)):
        assert server.get("set/a.png", Range="bytes=0-3", If_Range=validator)[0] == 206
    for validator in (f"W/{etag}", '"other"', formatdate(MODIFIED - 1, usegmt=True), formatdate(MODIFIED + 1), "junk"):
        status, _, body = server.get("set/a.png", Range="bytes=0-3", If_Range=validator)
        assert (status, body) == (200, CONTENT)


def test_preconditions_decide_the_status(server: Server) -> None:
    etag = server.get("set/a.png")[1]["etag"]
    later, same, earlier = (formatdate(MODIFIED + by, usegmt=True) for by in (60, 0, -1))
    for headers, expected in (
        ({"If_None_Match": etag}, 304),
        ({"If_None_Match": f'"x", W/{etag}'}, 304),
        ({"If_None_Match": "*"}, 304),
        ({"If_None_Match": '"x"'}, 200),
        ({"If_None_Match": '"x"', "If_Modified_Since": later}, 200),
        ({"If_Modified_Since": same}, 304),
        ({"If_Modified_Since": later}, 304),
        ({"If_Modified_Since": earlier}, 200),
        ({"If_Modified_Since": "yesterday"}, 200),
        ({"If_None_Match": etag, "Range": "bytes=0-3"}, 304),
        ({"If_Match": etag}, 200),
        ({"If_Match": "*"}, 200),
        ({"If_Match": f"W/{etag}"}, 412),
        ({"If_Match": '"x"'}, 412),
        ({"If_Unmodified_Since": same}, 200),
        ({"If_Unmodified_Since": earlier}, 412),
    ):
        status, answered, body = server.get("set/a.png", **headers)
        assert status == expected, headers
        if expected == 412:
            assert json.loads(body)["code"] == "BAD_REQUEST"
        else:
            assert body == (CONTENT if expected == 200 else b"")
        assert CORS in answered.items()
        if expected == 304:
            assert answered["etag"] == etag
            assert "max-age" in answered["cache-control"]


def test_dates_that_http_cannot_express_are_clamped(server: Server) -> None:
    """A modification time in the future, or before 1970, must not break the response."""
    path = server.root / "future.png"
    path.write_bytes(b"x")
    os.utime(path, (10**10, 10**10))
    status, headers, _ = server.get("future.png")
    assert status == 200
    assert parsedate_to_datetime(headers["last-modified"]).timestamp() <= time.time()
    os.utime(path, (-(10**10), -(10**10)))
    assert server.get("future.png")[1]["last-modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"
