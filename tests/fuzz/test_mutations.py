"""Whoever changes a cursor or a signed URL gets a 400, 401, 403 or 404, and neither data nor a 5xx.

Properties of the signers themselves are in `tests/domain/test_cursor.py`, `test_read_url.py` and
`test_redirected_url.py`. Here, the changed texts go through a client, HTTP and the routes of a real server.
"""

from __future__ import annotations

import http.client
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.cases import many
from tests.fuzz.mutations import mutated
from tests.fuzz.server import TASK, FuzzedServer
from tests.live import Answer

MUTATIONS = 200
NIGHTLY_MUTATIONS = int(os.environ.get("HEADWATER_TESTS_CASES", "10000"))
REFUSED = (400, 401, 403, 404)

pytestmark = pytest.mark.slow
quickly = pytest.mark.parametrize("count", [MUTATIONS, pytest.param(NIGHTLY_MUTATIONS, marks=pytest.mark.nightly)])


class Signed(NamedTuple):
    """Two URLs of the server that were signed for different files, and how they are used."""

    url: str
    other: str
    method: str


class Requester:
    """Sends requests on one connection, byte for byte."""

    def __init__(self, server: FuzzedServer) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(server.live.url).netloc, timeout=30)

    def send(self, method: str, target: str, body: bytes | None = None) -> Answer:
        """Send a request. Characters that no target may have are percent-encoded, others stay as they are."""
        encoded = quote(target, safe="%/:?#[]@!$&'()*+,;=-._~\"<>\\^`{|}")
        self._connection.request(method, encoded, body)
        response = self._connection.getresponse()
        return Answer(response.status, response.headers, response.read())

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@pytest.fixture
def requester(server: FuzzedServer) -> Iterator[Requester]:
    opened = Requester(server)
    yield opened
    opened.close()


def check_many(count: int, strategy: st.SearchStrategy[str], check: Callable[[str], None]) -> None:
    """Check this many texts of a strategy."""

    @many(count)
    @given(text=strategy)
    def run(text: str) -> None:
        check(text)

    run()


@quickly
@pytest.mark.parametrize("operation", ["list", "predictions/list", "metadata/list"])
def test_changed_cursor_is_refused(server: FuzzedServer, requester: Requester, operation: str, count: int) -> None:
    live, dataset = server.live, server.datasets["LOCAL"]
    more = {"taskName": TASK} if operation.startswith("predictions") else {}
    first, second = [page["cursor"] for page in live.pages(dataset, operation, **more)][:2]

    def check(text: str) -> None:
        query = "".join(f"{name}={value}&" for name, value in more.items())
        target = f"{live.datasource(dataset, operation)}?token={live.token}&{query}cursor={quote(text, safe='')}"
        answer = requester.send("GET", target)
        assert answer.status == 400, (text, answer.status)
        assert answer.code == "MALFORMED_REQUEST"
        assert "cursor" in answer.text

    check_many(count, mutated(first, second).filter(lambda text: text != second), check)
    assert live.call("GET", live.datasource(dataset, operation), query={**more, "cursor": first}).status == 200


@pytest.fixture(params=["read", "write", "head", "managed read", "managed write", "redirected"])
def signed(server: FuzzedServer, request: pytest.FixtureRequest) -> Signed:
    """Signed URLs of one kind."""
    live = server.live
    dataset = server.datasets["LIGHTLY" if request.param.startswith("managed") else "LOCAL"]
    operation, method = {
        "read": ("predictions/file", "GET"),
        "write": ("predictions/writeUrl", "PUT"),
        "head": ("fileHEAD", "HEAD"),
        "managed read": ("predictions/file", "GET"),
        "managed write": ("predictions/writeUrl", "PUT"),
    }.get(request.param, ("", "GET"))
    if request.param == "redirected":
        rows = next(live.pages(dataset, useRedirectedReadUrl=True))["data"]
        return Signed(rows[0]["readUrl"], rows[1]["readUrl"], "GET")
    folder = f".lightly/predictions/{TASK}/" if operation == "fileHEAD" else f"{TASK}/"
    urls = [
        live.call("GET", live.datasource(dataset, operation), query={"fileName": f"{folder}{number}.json"}).json
        for number in (1, 2)
    ]
    return Signed(urls[0], urls[1], method)


@quickly
def test_changed_url_is_refused(server: FuzzedServer, requester: Requester, signed: Signed, count: int) -> None:
    """Each part of the URL is changed: the path, the expiry, the signature, or where one ends and the other begins."""
    url, other = (each.removeprefix(server.live.url) for each in (signed.url, signed.other))
    fixed = re.match(r"/files/|/managed/|/v1/datasets/[0-9a-f]+/datasource/readurlRedirect\?", url)
    assert fixed is not None
    start = fixed[0]
    before = files_of(server)

    def check(text: str) -> None:
        answer = requester.send(signed.method, start + text, b"changed" if signed.method == "PUT" else None)
        assert answer.status in REFUSED, (text, answer.status)

    signed_text, other_text = url.removeprefix(start), other.removeprefix(start)
    meaning = {meaning_of(signed_text), meaning_of(other_text)}
    strategy = mutated(signed_text, other_text).filter(lambda text: meaning_of(text) not in meaning)
    check_many(count, strategy, check)
    assert files_of(server) == before
    unchanged = requester.send(signed.method, url, b"{}" if signed.method == "PUT" else None)
    assert unchanged.status in (200, 307, 404), "404 if it was signed for a file that does not exist"


def meaning_of(text: str) -> tuple[str, frozenset[tuple[str, str]]]:
    """Return what a signed URL says, in whatever spelling: the path, and the parameters that are not ignored.

    The last of several parameters of one name counts, and what follows `#` is not sent.
    """
    path, _, query = text.partition("#")[0].partition("?")
    if "=" in path and not query:
        path, query = "", path  # of a redirected URL, only the query is changed
    pairs = (pair.partition("=") for pair in query.split("&"))
    parameters = {unquote(name.replace("+", " ")): unquote(value.replace("+", " ")) for name, _, value in pairs}
    signed = ("expires", "signature", "path", "publicToken")
    return unquote(path), frozenset((name, value) for name, value in parameters.items() if name in signed)


def files_of(server: FuzzedServer) -> dict[str, bytes]:
    """Return all files of the LOCAL and the LIGHTLY datasources."""
    root = Path(server.live.environ["HEADWATER_LOCAL_ROOT"]).parent
    return {
        str(file): file.read_bytes()
        for folder in ("files", "managed")
        for file in (root / folder).rglob("*")
        if file.is_file()
    }
