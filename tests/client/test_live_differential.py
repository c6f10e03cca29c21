"""The six operations on one live server, compared with the client that openapi-generator 5.3.0 generates from the seed.

Requests, results and error classes must be equal, except for the differences that the README lists.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests import generated
from tests.client import live_calls, pair
from tests.client.server import Scripted
from tests.live import Live

pytestmark = pytest.mark.slow  # Java generates the reference client

EXPLAINED: dict[str, str] = {}

Both = tuple[pair.Outcomes, pair.Outcomes]


def _settled(outcomes: pair.Outcomes, *replaced: str) -> pair.Outcomes:
    """Replace what differs between runs: ids, tokens, cursors and request ids."""
    text = json.dumps(outcomes)
    for number, each in enumerate(replaced):
        text = text.replace(each, f"REPLACED-{number}")
    text = re.sub(r"cursor=[\w%.-]{20,}", "cursor=CURSOR", text)
    settled: pair.Outcomes = json.loads(re.sub(r'(requestId\W+)[^"\\]+', r"\1REQUEST", text))
    return settled


def _run(live: Live, forwarding_server: Scripted, client: Path, user: str, folder: Path) -> pair.Outcomes:
    token = live.headwater("token", "create", "--user", user)
    made = live.call("POST", "/v1/datasets", {"name": "cameras"}, token=token)
    dataset, foreign = made.json["id"], live.dataset()
    outcomes = pair.run("live_calls", forwarding_server, client, token, dataset, foreign, folder.name)
    return _settled(outcomes, token, dataset, foreign)


@pytest.fixture(scope="module")
def both(live: Live, forwarding_server: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = Path(live.environ["HEADWATER_LOCAL_ROOT"], "of-both-clients")
    folder.mkdir()
    for index in range(10):
        (folder / f"{index} ü.png").write_bytes(b"pixels")
        os.utime(folder / f"{index} ü.png", (1577836800 + index, 1577836800 + index))
    reference = generated.seed_client(tmp_path_factory)
    return (
        _run(live, forwarding_server, reference, "user-of-the-reference", folder),
        _run(live, forwarding_server, pair.OURS, "user-of-ours", folder),
    )


def test_all_differences_are_explained(both: Both) -> None:
    assert list(both[0]) == live_calls.EXPRESSIONS
    pair.check(both, EXPLAINED)


def test_the_program_covers_successes_and_errors(both: Both) -> None:
    """Two clients that fail everywhere in the same way would be equal too."""
    reference, _ = both
    assert {result["outcome"].get("status") for result in reference.values()} >= {400, 401, 403, 404}
    names = [f"{index} ü.png" for index in range(10)]
    assert reference["walk()"]["outcome"] == {"value": [names, []]}
    window = next(result for name, result in reference.items() if "Timestamp(1577836803)" in name)
    assert window["outcome"] == {"value": names[3:7]}
