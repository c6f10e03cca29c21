"""The server as tests start it: it checks each success response under `/v1`.

A response must fit the newest published client (`tests/published/members.json`): no null, no member that the client
does not know, every member that it requires, and values of the JSON types that it expects.

Run as a program, this is the `headwater` command with that check. The faults of a response are written to standard
error and to the file that `REPORT` names, which fails the whole test run (`tests/conftest.py`). If the response has not
been sent yet, it becomes a 500 with the same text.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from headwater.service.context import ServiceContext
    from headwater.web.api.metrics import MetricsPage

REPORT = "CHECKED_ANSWERS_REPORT"
"""The environment variable with the path of the file that receives one line per invalid response."""

OWN_ROUTES = "/v1/headwater/"
"""What the routes of this server alone begin with."""

MEMBERS = Path(__file__).parent / "published" / "members.json"

_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def faults(method: str, path: str, body: bytes) -> Iterator[str]:
    """Yield the faults of the body of a success response. Published clients know no route under `OWN_ROUTES`."""
    if path.startswith(OWN_ROUTES):
        return
    expected = _expected(method, path)
    if expected == "unknown":
        yield "the newest client knows no such route"
    elif expected is None:
        if body:
            yield f"the newest client expects no body, here are {len(body)} bytes"
    elif not body:
        yield "no body"
    else:
        try:
            value = json.loads(body)
        except ValueError:
            yield "not JSON"
        else:
            yield from _differences(value, expected, "the response")


def _differences(value: Any, expected: Any, where: str) -> Iterator[str]:
    """Yield how a value differs from a type of the table. `expected` is a name, or a list with one type."""
    if value is None:
        yield f"{where} is null"
    elif isinstance(expected, list):
        if not isinstance(value, list):
            yield f"{where} is {type(value).__name__}, expected a list"
        else:
            for index, item in enumerate(value):
                yield from _differences(item, expected[0], f"{where}[{index}]")
    elif expected in _JSON_TYPES:
        if not isinstance(value, _JSON_TYPES[expected]) or (isinstance(value, bool) and expected != "boolean"):
            yield f"{where} is {type(value).__name__}, expected {expected}"
    elif not isinstance(value, dict):
        yield f"{where} is {type(value).__name__}, expected {expected}"
    else:
        yield from _model_differences(value, expected, where)


def _model_differences(value: dict[str, Any], name: str, where: str) -> Iterator[str]:
    model = _table()["models"][name]
    if "variants" in model:
        variant = model["variants"].get(value.get("type"))
        if variant is None:
            yield f"{where}.type is {value.get('type')!r}, expected one of {', '.join(model['variants'])}"
        else:
            yield from _model_differences(value, variant, where)
        return
    members = model["members"]
    for member, item in value.items():
        if member in members:
            yield from _differences(item, members[member], f"{where}.{member}")
        else:
            yield f"{where}.{member} is no member of {name}"
    for member in model["required"]:
        if member not in value:
            yield f"{where}.{member} is missing"


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(MEMBERS.read_text())
    return table


@cache
def _patterns() -> list[tuple[str, re.Pattern[str], Any]]:
    """Return method, path and type of each route. Routes with the fewest parameters come first, as in a router."""
    routes = sorted(_table()["routes"].items(), key=lambda route: route[0].count("{"))
    split = [(*route.split(" ", 1), expected) for route, expected in routes]
    return [
        (method, re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), expected)
        for method, path, expected in split
    ]


def _expected(method: str, path: str) -> Any:
    path = "/" + path.lstrip("/")
    for route_method, pattern, expected in _patterns():
        if route_method == method and pattern.fullmatch(path):
            return expected
    return "unknown"


def report(line: str) -> None:
    """Report an invalid response."""
    print(f"invalid response: {line}", file=sys.stderr, flush=True)
    path = os.environ.get(REPORT)
    if path:
        with Path(path).open("a") as file:
            file.write(line + "\n")


class CheckedResponses:
    """ASGI middleware around the whole application.

    A response in one piece, as Headwater sends them, is checked before it is sent. A response in several pieces is
    sent as it comes and checked at its end. Errors, redirects, files and pages are not checked.
    """

    def __init__(self, app: ASGIApp, report: Callable[[str], None] = report) -> None:
        self._app = app
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or not scope["path"].lstrip("/").startswith("v1/") or scope["method"] == "HEAD":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _CheckedResponse(scope, send, self._report).send)


class _CheckedResponse:
    """Checks one response."""

    def __init__(self, scope: Scope, send: Send, report: Callable[[str], None]) -> None:
        self._method, self._path = scope["method"], scope["path"]
        self._send, self._report = send, report
        self._start: Message | None = None
        self._body = b""
        self._is_checked = False

    async def send(self, message: Message) -> None:
        """Send a message of the application, or hold it back until the check."""
        if message["type"] == "http.response.start":
            self._is_checked = 200 <= message["status"] < 300
            if self._is_checked:
                self._start = message
                return
        elif message["type"] == "http.response.body" and self._is_checked:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                found = "; ".join(faults(self._method, self._path, self._body))
                if found:
                    line = f"{self._method} {self._path}: {found}"
                    self._report(line)
                    if self._start is not None:
                        await self._refuse(line)
                        return
            if self._start is not None:
                await self._send(self._start)
                self._start = None
        await self._send(message)

    async def _refuse(self, line: str) -> None:
        body = line.encode()
        head = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        await self._send({"type": "http.response.start", "status": 500, "headers": head})
        await self._send({"type": "http.response.body", "body": body})


def main() -> None:
    """Run the `headwater` command with the check."""
    from headwater.web import app

    create = app.create_app

    def create_checked(ctx: ServiceContext, metrics: MetricsPage | None = None) -> FastAPI:
        checked_app = create(ctx, metrics)
        checked_app.add_middleware(CheckedResponses)  # added last, so it is the outermost
        return checked_app

    app.create_app = create_checked  # `headwater serve` imports it from here when it starts
    runpy.run_module("headwater", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
