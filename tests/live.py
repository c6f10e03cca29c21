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

START_SECONDS = 30.0
"""Time limit for starting and for stopping a server."""

CHECKED = Path(__file__).with_name("checked.py")
"""The `headwater` command, with a check of every success response."""


class Answer(NamedTuple):
    """A response."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error code. Asserts the form of the body (contract.md#errors)."""
        body = self.json
        assert set(body) == {"code", "error", "message", "requestId"}, body
        assert body["error"] == body["message"]
        assert body["requestId"] == self.headers["X-Request-Id"]
        assert isinstance(body["code"], str)
        return body["code"]

    @property
    def text(self) -> str:
        """The error text."""
        assert self.code
        return str(self.json["message"])


def request(
    url: str, method: str = "GET", path: str = "", body: Any = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Send one request. The path is sent unchanged; a `body` that is not bytes is encoded as JSON."""
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
    """Send one request to an absolute URL, which is sent byte for byte."""
    authority = url.split("/", 3)[2]
    return request(f"http://{authority}", method, url[len(f"http://{authority}") :], body, headers)


@dataclass
class Live:
    """A running server, with a client of its API and its command line."""

    url: str
    environ: dict[str, str]
    process: subprocess.Popen[str]
    log: Path
    token: str = ""

    def headwater(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run a command with the settings of the server; return its stdout."""
        done = command(self.environ, *arguments, stdin=stdin)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, query: Any = None, **more: Any
    ) -> Answer:
        """Call the API with `self.token` or another token; an empty token is not sent."""
        pairs = list((query or {}).items()) if isinstance(query, dict) else list(query or [])
        used = self.token if token is None else token
        if used:
            pairs.append(("token", used))
        return request(self.url, method, path + ("?" + urlencode(pairs) if pairs else ""), body, more.get("headers"))

    def dataset(self, name: str | None = None) -> str:
        """Create a dataset; return its id."""
        answer = self.call("POST", "/v1/datasets", {"name": name or f"set {os.urandom(6).hex()}"})
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    def datasource(self, dataset: str, operation: str = "") -> str:
        """Return the path of a dataset's datasource or of one of its operations."""
        return f"/v1/datasets/{quote(dataset)}/datasource" + (f"/{operation}" if operation else "")

    def configured(self, config: Mapping[str, Any]) -> str:
        """Create a dataset with a datasource; return its id."""
        dataset = self.dataset()
        answer = self.call("PUT", self.datasource(dataset), dict(config))
        assert (answer.status, answer.body) == (200, b""), answer.body
        return dataset

    def verify(self, config: Mapping[str, Any]) -> tuple[dict[str, bool], dict[str, str]]:
        """Verify a new dataset with this datasource; return the four flags and the errors of those that are false."""
        answer = self.call("GET", self.datasource(self.configured(config), "verify"))
        assert answer.status == 200, answer.body
        found = answer.json
        errors = found.pop("errors", {})
        assert set(found) == {"canRead", "canWrite", "canList", "canOverwrite"}
        assert not any(found[flag] for flag in errors)
        return found, errors

    def pages(self, dataset: str, operation: str = "list", **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yield all pages of a listing, or those after `cursor`. Only parameters that every page needs are repeated."""
        query: dict[str, Any] = {name.rstrip("_"): value for name, value in parameters.items()}
        repeated = {name: value for name, value in query.items() if name in ("taskName", "useRedirectedReadUrl")}
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
            query = {**repeated, "cursor": page["cursor"]}

    def rows(self, dataset: str, operation: str = "list", **parameters: Any) -> list[dict[str, str]]:
        """Return all rows of a listing."""
        return [row for page in self.pages(dataset, operation, **parameters) for row in page["data"]]

    def names(self, dataset: str, operation: str = "list", **parameters: Any) -> list[str]:
        """Return the names of all files of a listing."""
        return [row["fileName"] for row in self.rows(dataset, operation, **parameters)]

    def shards(self, dataset: str, shards: int, operation: str = "list/dnc", **parameters: Any) -> list[list[str]]:
        """Return the names in each shard of a listing."""
        query = {"dncShards": shards, **{name.rstrip("_"): value for name, value in parameters.items()}}
        answer = self.call("GET", self.datasource(dataset, operation), query=query)
        assert answer.status == 200, answer.body
        assert set(answer.json) == {"cursors"}
        repeated = {name: value for name, value in query.items() if name == "taskName"}
        listing = operation.removesuffix("/dnc")
        return [self.names(dataset, listing, cursor=cursor, **repeated) for cursor in answer.json["cursors"]]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop the server with a signal; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(START_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def command(environ: Mapping[str, str], *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the `headwater` command."""
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
    """Return an environment with its own data folder and these settings, such as `local_root="…"`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_")}
    given = {"data_dir": str(folder), "port": "0", **settings}
    return {**inherited, **{f"HEADWATER_{name.upper()}": value for name, value in given.items()}}


def start(
    environ: dict[str, str],
    folder: Path,
    prefix: Sequence[str] = (),
    *,
    options: Sequence[str] = (),
    checked: bool = True,
) -> Live:
    """Start a server and wait until it is ready.

    Args:
        environ: its environment.
        folder: for its log.
        prefix: a command that runs the server, such as setpriv with its options.
        options: options of `headwater serve`.
        checked: check every success response. This takes time, so benchmarks switch it off.
    """
    program = ("-P", str(CHECKED)) if checked else ("-m", "headwater")
    return start_program([*prefix, sys.executable, *program, "serve", *options], environ, folder)


def start_program(arguments: Sequence[str], environ: dict[str, str] | None, folder: Path) -> Live:
    """Start a server by its command line and wait until it is ready.

    Args:
        arguments: the command line.
        environ: its environment; None for that of this process.
        folder: for its log.
    """
    log = folder / f"server-{time.monotonic_ns()}.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(arguments, env=environ, stdout=subprocess.PIPE, stderr=stderr, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"listens on (http://\S+)", line)
    if found is None:
        process.kill()
        process.wait()
        process.stdout.close()
        raise AssertionError(f"the server did not start: {line!r} {log.read_text()}")
    live = Live(found[1], environ or {}, process, log)
    assert request(live.url, path="/readyz").status == 200, "it must listen before it prints the startup message"
    return live


def running(folder: Path, **settings: str) -> AbstractContextManager[Live]:
    """Run a server with a user's token for the duration of a block. It must exit with 0 on SIGTERM."""
    return _running(folder, settings, checked=True)


def running_with_files(folder: Path, **settings: str) -> AbstractContextManager[Live]:
    """Run a server like `running`, with LOCAL datasources in `files/`, loopback endpoints and small pages."""
    (folder / "files").mkdir()
    given = {"local_root": str(folder / "files"), "allowed_endpoints": "127.0.0.0/8", "page_size": "7", **settings}
    return running(folder, **given)


def measured(folder: Path, **settings: str) -> AbstractContextManager[Live]:
    """Run a server like `running`, for benchmarks: its responses are not checked."""
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
