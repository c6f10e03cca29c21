"""Ours against the client that openapi-generator 5.3.0 makes from the seed: the same program, run with each.

Requests on the wire, results and classes of errors must be equal, but for the differences that are explained here
and in the client's README.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import swagger_client
from tests import generated
from tests.client import calls
from tests.client.server import DATASET, Answer, Request, Scripted, failure, running

OURS = Path(swagger_client.__file__).resolve().parents[1]

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

EXPLAINED = {
    # The generator loses the pattern of a schema that is a string, so that its client sends what the server refuses.
    "api.get_datasource_by_dataset_id('not-an-id')": "an id is checked",
    "MongoObjectID('not-an-id')": "an id is checked",
    # The generated constructors refuse the values of `type` that the contract documents.
    "api.update_datasource_by_dataset_id(id, DatasourceConfigLOCAL(type='LOCAL', full_path='a'))": "both spellings",
    "api.update_datasource_by_dataset_id(id, {'type': 'DatasourceConfigLOCAL', 'full_path': 'a'})": "as elsewhere",
    # A missing member is a bare TypeError of Python in the generated client.
    "api.update_datasource_processed_until_timestamp_by_dataset_id(id, {'processedUntilTimestamp': 5})": "ApiTypeError",
    "DatasourceProcessedUntilTimestampRequest()": "ApiTypeError",
    # None is what a loop over pages begins with.
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, cursor=None)": "None is as left out",
    # Secrets do not appear in texts; `to_dict()` has them.
    "DatasourceConfigAzure(type='DatasourceConfigAzure', full_path='c', account_name='a', account_key='k')": "hidden",
}


def _answer(request: Request) -> Answer:
    dataset, _, rest = request.path.removeprefix("/v1/datasets/").partition("/datasource")
    for status, other in calls.OTHERS.items():
        if dataset == other:
            return failure(status, "SOME_CODE", f"text of {status}")
    if dataset != DATASET:
        return failure(400, "MALFORMED_REQUEST", "datasetId must be 24 hexadecimal digits")
    return Answer() if request.method == "PUT" else Answer(json=ANSWERS[rest])


def _sent(request: Request) -> dict[str, Any]:
    names = ("Accept", "Content-Type", "Authorization", "Content-Length", "Cookie")
    return {
        "method": request.method,
        "target": request.target,
        "headers": {name: request.headers[name] for name in names if name in request.headers},
        "body": request.json if request.body else None,
    }


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with running() as scripted:
        scripted.answer = _answer
        yield scripted


def _run(server: Scripted, client: Path) -> dict[str, dict[str, Any]]:
    """By expression: what came of it, and the requests that it made."""
    server.requests.clear()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(calls.__file__)), server.url],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(client)},
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    results = {}
    for number, line in enumerate(done.stdout.splitlines()):
        expression, outcome = json.loads(line)
        made = [request for request in server.requests if request.headers["X-Expression"] == str(number)]
        results[expression] = {"outcome": outcome, "requests": [_sent(request) for request in made]}
    return results


@pytest.fixture(scope="module")
def both(server: Scripted, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    reference = generated.seed_client(tmp_path_factory)
    return _run(server, reference), _run(server, OURS)


def test_nothing_differs_unexplained(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    reference, ours = both
    assert list(reference) == list(ours) == calls.EXPRESSIONS
    differing = {name: (reference[name], ours[name]) for name in reference if reference[name] != ours[name]}
    assert {name: pair for name, pair in differing.items() if name not in EXPLAINED} == {}


def test_every_explanation_explains_something(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    reference, ours = both
    assert [name for name in EXPLAINED if reference[name] == ours[name]] == []


def test_the_program_does_what_it_is_meant_to(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Two clients that fail in the same way everywhere would be equal too."""
    reference, _ = both
    calls_that_work = [
        name for name, result in reference.items() if name.startswith("api.") and "value" in result["outcome"]
    ]
    assert len(calls_that_work) > 20
    assert {result["outcome"].get("status") for result in reference.values()} >= {400, 401, 403, 404, 500}
    kinds = {result["outcome"].get("error") for result in reference.values()}
    assert kinds >= {"ApiTypeError", "ApiValueError", "ApiAttributeError", "NotFoundException", "TypeError"}
