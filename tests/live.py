"""A real Headwater server in a process of its own, and a plain HTTP client to talk to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

START_LIMIT = 30.0

CHECKED = Path(__file__).with_name("checked.py")
"""The `headwater` command with a check of every success answer in it."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code, after a look at the body's form (contract.md#errors)."""
        body = self.json
        assert set(body) == {"code", "error", "message", "requestId"}, body
        assert body["error"] == body["message"]
        assert body["requestId"] == self.headers["X-Request-Id"]
        assert isinstance(body["code"], str)
        return body["code"]

    @property
    def text(self) -> str:
        """The error's text."""
        assert self.code
        return str(self.json["message"])


def request(
    url: str, method: str = "GET", path: str = "", body: Any = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Send one request with the path as it is; http.client rewrites nothing. `body` that is not bytes becomes JSON."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, parts.path + path, data, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def fetch(url: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: Any = None) -> Answer:
    """Send one request to an absolute URL, byte for byte as it is written."""
    authority = url.split("/", 3)[2]
    return request(f"http://{authority}", method, url[len(f"http://{authority}") :], body, headers)


@dataclass
class Live:
    """A running server and how to use it."""

    url: str
    environ: dict[str, str]
    process: subprocess.Popen[str]
    log: Path
    token: str = ""

    def headwater(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run the command line beside the server; its stdout."""
        done = command(self.environ, *arguments, stdin=stdin)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, query: Any = None, **more: Any
    ) -> Answer:
        """Call the API as the user of `self.token`, or of another token; an empty one sends none."""
        pairs = list((query or {}).items()) if isinstance(query, dict) else list(query or [])
        used = self.token if token is None else token
        if used:
            pairs.append(("token", used))
        return request(self.url, method, path + ("?" + urlencode(pairs) if pairs else ""), body, more.get("headers"))

    def dataset(self, name: str | None = None) -> str:
        """Make a dataset; its id."""
        answer = self.call("POST", "/v1/datasets", {"name": name or f"set {os.urandom(6).hex()}"})
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    def datasource(self, dataset: str, operation: str = "") -> str:
        """The path of a dataset's datasource, or of one of its operations."""
        return f"/v1/datasets/{quote(dataset)}/datasource" + (f"/{operation}" if operation else "")

    def configured(self, config: Mapping[str, Any]) -> str:
        """Make a dataset with a datasource; its id."""
        dataset = self.dataset()
        answer = self.call("PUT", self.datasource(dataset), dict(config))
        assert (answer.status, answer.body) == (200, b""), answer.body
        return dataset

    def verify(self, config: Mapping[str, Any]) -> tuple[dict[str, bool], dict[str, str]]:
        """Verify a new dataset with this datasource: the four flags, and why those are false that are."""
        answer = self.call("GET", self.datasource(self.configured(config), "verify"))
        assert answer.status == 200, answer.body
        found = answer.json
        errors = found.pop("errors", {})
        assert set(found) == {"canRead", "canWrite", "canList", "canOverwrite"}
        assert not any(found[flag] for flag in errors)
        return found, errors

    def pages(self, dataset: str, operation: str = "list", **parameters: Any) -> Iterator[dict[str, Any]]:
        """All pages of a listing; with `cursor`, those from there on. Only what lists one thing goes with each page."""
        query: dict[str, Any] = {name.rstrip("_"): value for name, value in parameters.items()}
        kept = {name: value for name, value in query.items() if name in ("taskName", "useRedirectedReadUrl")}
        while True:
            answer = self.call("GET", self.datasource(dataset, operation), query=query)
            assert answer.status == 200, answer.body
            page = answer.json
            assert set(page) == {"hasMore", "cursor", "data"}
            assert isinstance(page["cursor"], str)
            assert page["cursor"]
            yield page
            if not page["hasMore"]:
                return
            query = {**kept, "cursor": page["cursor"]}

    def rows(self, dataset: str, operation: str = "list", **parameters: Any) -> list[dict[str, str]]:
        """All rows of a listing."""
        return [row for page in self.pages(dataset, operation, **parameters) for row in page["data"]]

    def names(self, dataset: str, operation: str = "list", **parameters: Any) -> list[str]:
        """The names of all files of a listing."""
        return [row["fileName"] for row in self.rows(dataset, operation, **parameters)]

    def shards(self, dataset: str, shards: int, operation: str = "list/dnc", **parameters: Any) -> list[list[str]]:
        """The names in each shard of a listing."""
        query = {"dncShards": shards, **{name.rstrip("_"): value for name, value in parameters.items()}}
        answer = self.call("GET", self.datasource(dataset, operation), query=query)
        assert answer.status == 200, answer.body
        assert set(answer.json) == {"cursors"}
        kept = {name: value for name, value in query.items() if name == "taskName"}
        listing = operation.removesuffix("/dnc")
        return [self.names(dataset, listing, cursor=cursor, **kept) for cursor in answer.json["cursors"]]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the server; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(START_LIMIT)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def command(environ: Mapping[str, str], *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `headwater` with arguments to its end."""
    return subprocess.run(
        [sys.executable, "-m", "headwater", *arguments],
        env=dict(environ),
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def environ_for(folder: Path, **settings: str) -> dict[str, str]:
    """An environment with a data folder of its own and these settings (`local_root="…"`)."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_")}
    given = {"data_dir": str(folder), "port": "0", **settings}
    return {**kept, **{f"HEADWATER_{name.upper()}": value for name, value in given.items()}}


def start(environ: dict[str, str], folder: Path, prefix: Sequence[str] = (), *, checked: bool = True) -> Live:
    """Start a server, by way of a program such as setpriv where `prefix` names one, and wait until it is ready.

    Its success answers are checked, which takes time: `checked=False` is for what measures.
    """
    log = folder / f"server-{time.monotonic_ns()}.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [*prefix, sys.executable, *(("-P", str(CHECKED)) if checked else ("-m", "headwater")), "serve"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"listens on (http://\S+)", line)
    if found is None:
        process.kill()
        process.wait()
        process.stdout.close()
        raise AssertionError(f"the server did not start: {line!r} {log.read_text()}")
    live = Live(found[1], environ, process, log)
    assert request(live.url, path="/readyz").status == 200, "it listens when it says so"
    return live


def running(folder: Path, **settings: str) -> AbstractContextManager[Live]:
    """A server with a user's token, for the length of a block; it must end with 0 on SIGTERM."""
    return _running(folder, settings, checked=True)


def measured(folder: Path, **settings: str) -> AbstractContextManager[Live]:
    """As `running`, for what measures: its answers are not checked."""
    return _running(folder, settings, checked=False)


@contextmanager
def _running(folder: Path, settings: dict[str, str], *, checked: bool) -> Iterator[Live]:
    environ = environ_for(folder / "data", **settings)
    live = start(environ, folder, checked=checked)
    try:
        live.token = live.headwater("token", "create", "--user", "ada")
        yield live
    finally:
        code = live.stop()
    assert code == 0, live.log.read_text()
