"""Run one program with the client that openapi-generator 5.3.0 generates from the seed, and with ours.

The program prints a JSON list for each step: its name and its outcome. Requests of a step have its number in the header
`X-Step`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import swagger_client
from tests.client.server import DATASET, Answer, Request, Scripted, failure

OURS = Path(swagger_client.__file__).resolve().parents[1]
README = OURS.parent / "README.md"

OTHERS = {401: "1" * 24, 403: "3" * 24, 404: "4" * 24, 400: "a" * 24, 500: "5" * 24}
"""Datasets for which the server returns only this status."""

ANSWERS = {
    "": {
        "type": "DatasourceConfigLOCAL",
        "fullPath": "a",
        "thumbSuffix": "[filename].[extension]",
        "id": DATASET,
    },
    "/verify": {"canRead": True, "canWrite": False, "canList": True},
    "/processedUntilTimestamp": {"processedUntilTimestamp": 1577836800},
    "/list": {
        "hasMore": True,
        "cursor": "next",
        "data": [
            {"fileName": "ü #%.jpg", "readUrl": "http://x/1", "etag": "e"},
            {"fileName": "b.jpg", "readUrl": "http://x/2"},
        ],
    },
}

Outcomes = dict[str, dict[str, Any]]
"""The `outcome` of each step, and the `requests` that it made."""


def answer(request: Request) -> Answer:
    """Return the response of the server for both; a path under `/echo` returns what was sent."""
    path = re.sub(r"^(http://[^/]+)?/+", "/", request.path)
    if "/echo" in path:
        return Answer(json={"method": request.method, "query": request.query, "body": request.body.decode()})
    dataset, _, rest = path.partition("/v1/datasets/")[2].partition("/datasource")
    for status, other in OTHERS.items():
        if dataset == other:
            return failure(status, "SOME_CODE", f"text of {status}")
    if dataset != DATASET:
        return failure(400, "MALFORMED_REQUEST", "datasetId must be 24 hexadecimal digits")
    return Answer() if request.method == "PUT" else Answer(json=ANSWERS[rest])


def sent(request: Request) -> dict[str, Any]:
    """Return the parts of a request that must be equal. Form boundaries are random, so they are replaced."""
    names = ("Accept", "Content-Type", "Authorization", "Content-Length", "Cookie", "X-More", "X-Proxy")
    headers = {name: request.headers[name] for name in names if name in request.headers}
    body: Any = request.body.decode()
    boundary = re.search(r"boundary=(\w+)", headers.get("Content-Type", ""))
    if boundary:
        body = body.replace(boundary[1], "BOUNDARY")
        headers["Content-Type"] = headers["Content-Type"].replace(boundary[1], "BOUNDARY")
    if body and "json" in headers.get("Content-Type", ""):
        body = json.loads(body)
    return {"method": request.method, "target": request.target, "headers": headers, "body": body}


def run(program: str, server: Scripted, client: Path, *arguments: str) -> Outcomes:
    """Run a program, a module in this package, with the client in this folder."""
    server.requests.clear()
    environ = {name: value for name, value in os.environ.items() if name != "LIGHTLY_SERVER_LOCATION"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", f"tests.client.{program}", server.url, *arguments],
        cwd=OURS.parents[1],
        capture_output=True,
        text=True,
        env={**environ, "PYTHONPATH": str(client)},
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    results: Outcomes = {}
    for number, line in enumerate(done.stdout.splitlines()):
        name, outcome = json.loads(line)
        assert name not in results, "two steps have one name"
        made = [request for request in server.requests if request.headers["X-Step"] == str(number)]
        results[name] = {"outcome": outcome, "requests": [sent(request) for request in made]}
    return results


def differing(reference: Outcomes, ours: Outcomes) -> Outcomes:
    """Return the steps with differences, with both outcomes."""
    assert list(reference) == list(ours)
    return {
        name: {"reference": reference[name], "ours": ours[name]} for name in reference if reference[name] != ours[name]
    }


def check(both: tuple[Outcomes, Outcomes], explained: Mapping[str, str]) -> None:
    """Check that all differences are explained, and that each explanation has a difference and a line in the README."""
    found = differing(*both)
    assert {name: pair for name, pair in found.items() if name not in explained} == {}
    assert explained.keys() - found.keys() == set(), "these are equal, so there is nothing to explain"
    assert set(explained.values()) - documented() == set()


def documented() -> set[str]:
    """Return the differences in the client's README: the first cells of its table."""
    rows: list[str] = re.findall(r"^\| (.+?) \| .+ \| .+ \|$", README.read_text(), re.MULTILINE)
    return set(rows)
