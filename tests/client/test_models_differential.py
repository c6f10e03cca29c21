"""Keywords and tables of models, and exceptions, compared with the client generated from the seed.

The outcome of each expression must be equal, except for the differences that the README lists. Our tables can have
more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests import generated
from tests.client import model_calls, pair
from tests.client.server import running

pytestmark = pytest.mark.slow  # Java generates the reference client

_RULES = "rule tables of `DatasourceConfig` and `DatasourceConfigBase`"
_KEPT = "private attributes of models"
_MODELS = ("DatasourceConfig", *(f"DatasourceConfig{name}" for name in ("Azure", "GCS", "LIGHTLY", "LOCAL", "S3")))

EXPLAINED = {
    "MongoObjectID.validations": "`MongoObjectID`",
    "DatasourceConfig.allowed_values": _RULES,
    "DatasourceConfig.validations": _RULES,
    **{f"{model}.required_properties": _KEPT for model in _MODELS},
    "DatasourceRawSamplesDataRow(fileName='a', readUrl='b')": "a member is missing",
    f"copied(DatasourceConfigLOCAL({model_calls.LOCAL}))": "`copy` and `pickle` of models, `del` of a member",
    "deleted(DatasourceRawSamplesDataRow('a', 'b'))": "`copy` and `pickle` of models, `del` of a member",
    "str(ServiceException(http_resp=response))": "text of an `ApiException`",
}

Both = tuple[pair.Outcomes, pair.Outcomes]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    reference = generated.seed_client(tmp_path_factory)
    with running() as server:
        server.answer = pair.answer
        yield pair.run("model_calls", server, reference), pair.run("model_calls", server, pair.OURS)


def _within(part: Any, whole: Any) -> bool:
    """Return whether a table is a part of another one."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(name in whole and _within(value, whole[name]) for name, value in part.items())
    return bool(part == whole)


def test_all_differences_are_explained(both: Both) -> None:
    reference, ours = both
    assert list(reference) == model_calls.EXPRESSIONS
    for name, result in reference.items():
        if name.partition(".")[2] in model_calls.TABLES and _within(result["outcome"], ours[name]["outcome"]):
            ours[name] = result
    pair.check(both, EXPLAINED)


def test_the_program_covers_successes_and_errors(both: Both) -> None:
    """Two clients that fail everywhere in the same way would be equal too."""
    reference, _ = both
    tables = [name for name in reference if name.partition(".")[2] in model_calls.TABLES]
    assert all("value" in reference[name]["outcome"] for name in tables)
    others = [result["outcome"] for name, result in reference.items() if name not in tables]
    assert sum("value" in each for each in others) > 45
    assert {each.get("error") for each in others} >= {"ApiTypeError", "ApiValueError", "ApiAttributeError"}
