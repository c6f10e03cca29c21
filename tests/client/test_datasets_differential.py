"""DatasetsApi of ours against that of the client that openapi-generator 5.3.0 makes from the whole document.

The same program runs with each against one live server, as a user of its own. Requests on the wire, results and
classes of errors must be equal, but for the differences that are explained here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import swagger_client
from tests import generated
from tests.client import dataset_calls
from tests.client.server import Answer, Request, Scripted, running
from tests.live import Live, request

OURS = Path(swagger_client.__file__).resolve().parents[1]

EXPLAINED = {
    # The generator loses the pattern of a schema that is a string; its client sends what the server refuses.
    "api.get_dataset_by_id('not-an-id')": "an id is checked",
    "DatasetName('-' * 5)": "a name is checked",
    # The generated client has bare TypeErrors of Python for these.
    "CreateEntityResponse()": "ApiTypeError",
    "DatasetUpdateRequest()": "ApiTypeError",
    "api.get_datasets(page_size='5')": "ApiTypeError",
    # A text is taken for what it can only mean.
    "DatasetUpdateRequest('front')": "a str becomes a DatasetName",
    "DatasetCreateRequest(DatasetName('front'), type='Images')": "a str becomes a DatasetType",
    # None is what a program has where nothing was chosen.
    "api.get_datasets(page_size=None)": "None is as left out",
    "api.delete_dataset_by_id(full, force=None)": "None is as left out",
}


@pytest.fixture(scope="module")
def between(live: Live) -> Iterator[Scripted]:
    """A server that hands every request on to the live one, and its answer back."""

    def handed_on(arrived: Request) -> Answer:
        names = ("Accept", "Content-Type", "Authorization")
        headers = {name: arrived.headers[name] for name in names if name in arrived.headers}
        answer = request(live.url, arrived.method, arrived.target, arrived.body or None, headers)
        return Answer(answer.status, body=answer.body)

    with running() as scripted:
        scripted.answer = handed_on
        yield scripted


def _sent(arrived: Request) -> dict[str, Any]:
    names = ("Accept", "Content-Type", "Authorization", "Content-Length", "Cookie")
    return {
        "method": arrived.method,
        "target": arrived.target,
        "headers": {name: arrived.headers[name] for name in names if name in arrived.headers},
        "body": arrived.json if arrived.body else None,
    }


def _settled(text: str, user: str, token: str) -> str:
    """The same for each run: ids by the order in which they first appear, no times, users and request ids."""
    text = text.replace(token, "TOKEN").replace(user, "USER")
    text = re.sub(r'(requestId\W+)[^"\\]+', r"\1REQUEST", text)
    seen: dict[str, str] = {"0" * 24: "0" * 24}
    text = re.sub(r"\b[0-9a-f]{24}\b", lambda found: seen.setdefault(found[0], f"id {len(seen)}"), text)
    return re.sub(r"\b1[6-9]\d{11}\b", "1577836800000", text)


def _run(live: Live, between: Scripted, client: Path, user: str, foreign: str) -> list[dict[str, Any]]:
    """For each step what came of it, and the requests that it made."""
    between.requests.clear()
    token = live.headwater("token", "create", "--user", user)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(dataset_calls.__file__)), between.url, token, foreign],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(client)},
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    results = []
    for number, line in enumerate(done.stdout.splitlines()):
        made = [arrived for arrived in between.requests if arrived.headers["X-Expression"] == str(number)]
        results.append({"outcome": json.loads(line), "requests": [_sent(arrived) for arrived in made]})
    settled: list[dict[str, Any]] = json.loads(_settled(json.dumps(results), user, token))
    return settled


@pytest.fixture(scope="module")
def both(
    live: Live, between: Scripted, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    reference, foreign = generated.whole_client(tmp_path_factory), live.dataset()
    return (
        _run(live, between, reference, "user-reference", foreign),
        _run(live, between, OURS, "user-ours", foreign),
    )


EXPRESSIONS = [expression for _, expression in dataset_calls.STEPS]


def _differing(both: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> dict[str, Any]:
    reference, ours = both
    assert len(reference) == len(ours) == len(EXPRESSIONS)
    triples = zip(EXPRESSIONS, reference, ours, strict=True)
    return {expression: (theirs, own) for expression, theirs, own in triples if theirs != own}


def test_nothing_differs_unexplained(both: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    assert {name: pair for name, pair in _differing(both).items() if name not in EXPLAINED} == {}


def test_every_explanation_explains_something(both: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    assert set(EXPLAINED) - set(_differing(both)) == set()


def test_the_program_does_what_it_is_meant_to(both: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    """Two clients that fail in the same way everywhere would be equal too."""
    reference, _ = both
    assert sum("value" in result["outcome"] for result in reference if result["requests"]) > 30
    assert {result["outcome"].get("status") for result in reference} >= {400, 403, 404}
    kinds = {result["outcome"].get("error") for result in reference}
    assert kinds >= {"ApiTypeError", "ApiValueError", "ApiAttributeError", "NotFoundException", "ForbiddenException"}
    methods = {sent["method"] for result in reference for sent in result["requests"]}
    assert methods == {"GET", "POST", "PUT", "DELETE"}
