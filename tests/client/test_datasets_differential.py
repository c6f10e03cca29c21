"""DatasetsApi, compared with the client that openapi-generator 5.3.0 generates from the whole document.

The same program runs with each client against one live server, with its own user. Requests, results and error classes
must be equal, except for the differences that the README lists.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests import generated
from tests.client import dataset_calls, pair
from tests.client.server import Scripted
from tests.live import Live

pytestmark = pytest.mark.slow  # Java generates the reference client

CHECKED = "`MongoObjectID`"
NAMED = "`DatasetName`"
MISSING = "a member is missing"
WRAPPED = "a name or type in a dataset request"
LEFT_OUT = "`page_size=None`, `force=None` and similar"
NUMBER = "`page_size` or `page_offset` of a wrong type"

EXPLAINED = {
    "api.get_dataset_by_id('not-an-id')": CHECKED,
    "DatasetName('-' * 5)": NAMED,
    "CreateEntityResponse()": MISSING,
    "DatasetUpdateRequest()": MISSING,
    "api.get_datasets(page_size='5')": NUMBER,
    "DatasetUpdateRequest('front')": WRAPPED,
    "DatasetCreateRequest(DatasetName('front'), type='Images')": WRAPPED,
    "api.get_datasets(page_size=None)": LEFT_OUT,
    "api.delete_dataset_by_id(full, force=None)": LEFT_OUT,
}

Both = tuple[pair.Outcomes, pair.Outcomes]


def _settled(text: str, user: str, token: str) -> str:
    """Replace what differs between runs: ids by the order of their first appearance, times, users and request ids."""
    text = text.replace(token, "TOKEN").replace(user, "USER")
    text = re.sub(r'(requestId\W+)[^"\\]+', r"\1REQUEST", text)
    seen: dict[str, str] = {"0" * 24: "0" * 24}
    text = re.sub(r"\b[0-9a-f]{24}\b", lambda found: seen.setdefault(found[0], f"id {len(seen)}"), text)
    return re.sub(r"\b1[6-9]\d{11}\b", "1577836800000", text)


def _run(live: Live, forwarding_server: Scripted, client: Path, user: str, foreign: str) -> pair.Outcomes:
    token = live.headwater("token", "create", "--user", user)
    outcomes = pair.run("dataset_calls", forwarding_server, client, token, foreign)
    settled: pair.Outcomes = json.loads(_settled(json.dumps(outcomes), user, token))
    return {name.partition(" ")[2] if name.partition(" ")[2] in EXPLAINED else name: it for name, it in settled.items()}


@pytest.fixture(scope="module")
def both(live: Live, forwarding_server: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Both:
    reference, foreign = generated.whole_client(tmp_path_factory), live.dataset()
    return (
        _run(live, forwarding_server, reference, "user-reference", foreign),
        _run(live, forwarding_server, pair.OURS, "user-ours", foreign),
    )


def test_all_differences_are_explained(both: Both) -> None:
    assert len(both[0]) == len(dataset_calls.STEPS)
    pair.check(both, EXPLAINED)


def test_the_program_covers_successes_and_errors(both: Both) -> None:
    """Two clients that fail everywhere in the same way would be equal too."""
    reference = both[0].values()
    assert sum("value" in result["outcome"] for result in reference if result["requests"]) > 30
    assert {result["outcome"].get("status") for result in reference} >= {400, 403, 404}
    errors = {result["outcome"].get("error") for result in reference}
    assert errors >= {"ApiTypeError", "ApiValueError", "ApiAttributeError", "NotFoundException", "ForbiddenException"}
    methods = {sent["method"] for result in reference for sent in result["requests"]}
    assert methods == {"GET", "POST", "PUT", "DELETE"}
