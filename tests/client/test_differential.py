"""The same program, run with our client and with the one that openapi-generator 5.3.0 generates from the seed.

Requests, results and error classes must be equal, except for the differences that are explained here and in the README.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import generated
from tests.client import calls, pair
from tests.client.server import Scripted, running

pytestmark = pytest.mark.slow  # Java generates the reference client

EXPLAINED = {
    # The generator drops the pattern of string schemas, so its client sends values that the server refuses.
    "api.get_datasource_by_dataset_id('not-an-id')": "`MongoObjectID`",
    "MongoObjectID('not-an-id')": "`MongoObjectID`",
    # The generated constructors refuse the values of `type` that the contract documents.
    "api.update_datasource_by_dataset_id(id, DatasourceConfigLOCAL(type='LOCAL', full_path='a'))": (
        "`type` of a datasource"
    ),
    "api.update_datasource_by_dataset_id(id, {'type': 'DatasourceConfigLOCAL', 'full_path': 'a'})": (
        "a datasource as a dict of members"
    ),
    "api.update_datasource_processed_until_timestamp_by_dataset_id(id, {'processedUntilTimestamp': 5})": (
        "a member is missing"
    ),
    "DatasourceProcessedUntilTimestampRequest()": "a member is missing",
    # A loop over pages begins with None.
    "api.get_list_of_raw_samples_from_datasource_by_dataset_id(id, cursor=None)": (
        "`_from=None`, `to=None`, `cursor=None`"
    ),
    "DatasourceConfigAzure(type='DatasourceConfigAzure', full_path='c', account_name='a', account_key='k')": (
        "secrets and tokens"
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with running() as scripted:
        scripted.answer = pair.answer
        yield scripted


Both = tuple[pair.Outcomes, pair.Outcomes]


@pytest.fixture(scope="module")
def both(server: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Both:
    reference = generated.seed_client(tmp_path_factory)
    return pair.run("calls", server, reference), pair.run("calls", server, pair.OURS)


def test_all_differences_are_explained(both: Both) -> None:
    assert list(both[0]) == calls.EXPRESSIONS
    pair.check(both, EXPLAINED)


def test_the_program_covers_successes_and_errors(both: Both) -> None:
    """Two clients that fail everywhere in the same way would be equal too."""
    reference, _ = both
    calls_that_work = [
        name for name, result in reference.items() if name.startswith("api.") and "value" in result["outcome"]
    ]
    assert len(calls_that_work) > 20
    assert {result["outcome"].get("status") for result in reference.values()} >= {400, 401, 403, 404, 500}
    errors = {result["outcome"].get("error") for result in reference.values()}
    assert errors >= {"ApiTypeError", "ApiValueError", "ApiAttributeError", "NotFoundException", "TypeError"}
