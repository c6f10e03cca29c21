"""Correct and faulty stores, and helpers to inspect what a download left in a folder."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headwater_client import DownloadError
from swagger_client.model.datasource_raw_samples_data_row import DatasourceRawSamplesDataRow as Row
from tests.client.server import Answer, Request, Scripted


class WholeNumber:
    """A whole number of another library: like `numpy.int64`, it is not an `int`."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __index__(self) -> int:
        return self._value


CONTENT = bytes(range(256)) * 4000
"""Content of several chunks."""

ETAG = '"v1"'


def row(store: Scripted, name: str = "a.png", path: str = "/a.png?signature=secret-of-a-url") -> Row:
    return Row(name, store.url + path)


def serve(content: bytes = CONTENT, etag: str | None = ETAG) -> Callable[[Request], Answer]:
    """Return the responses of a store that supports ranges, as S3 does."""

    def answer(request: Request) -> Answer:
        headers = {} if etag is None else {"ETag": etag}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range") or "")
        if wanted is None or request.headers.get("If-Range") not in (None, etag):
            return Answer(body=content, headers=headers)
        first, last = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
        if first > last:
            return Answer(416, body=b"<Error/>", headers={"Content-Range": f"bytes */{len(content)}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        return Answer(206, body=content[first : last + 1], headers=headers)

    return answer


def after(*troubles: Answer, content: bytes = CONTENT, etag: str | None = ETAG) -> Callable[[Request], Answer]:
    """Return responses of a store: these first, then correct ones. A `cut` truncates a correct response."""
    waiting, good = list(troubles), serve(content, etag)

    def answer(request: Request) -> Answer:
        if not waiting:
            return good(request)
        trouble = waiting.pop(0)
        if trouble.cut:
            right = good(request)
            right.cut = trouble.cut
            return right
        return trouble

    return answer


def ranges(store: Scripted) -> list[str | None]:
    return [request.headers.get("Range") for request in store.requests]


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def reason(caught: pytest.ExceptionInfo[DownloadError]) -> Exception:
    (error,) = caught.value.errors.values()
    return error


@contextlib.contextmanager
def raw_store(answer: bytes, rest: bytes = b"") -> Iterator[str]:
    """A server that sends these bytes for every request, and closes; yields its URL.

    Args:
        answer: sent at once.
        rest: sent slowly, a thousand bytes at a time.
    """
    ended = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.05)

    def serve() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError, ConnectionError):
                connection, _ = listening.accept()
                with connection:
                    connection.settimeout(5)
                    connection.recv(65536)
                    connection.sendall(answer)
                    for start in range(0, len(rest), 1000):
                        if ended.wait(0.002):
                            break
                        connection.sendall(rest[start : start + 1000])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/a.png"
    finally:
        ended.set()
        thread.join()
        listening.close()


def listed_page(*rows: tuple[str, str], more: bool = False) -> Answer:
    """Return a page of a listing with these names and URLs."""
    data = [{"fileName": name, "readUrl": url} for name, url in rows]
    return Answer(json={"hasMore": more, "cursor": "c", "data": data})
