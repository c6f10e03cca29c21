"""ApiClient and the options of methods, compared with the client that openapi-generator 5.3.0 generates from the seed.

Requests, results and error classes must be equal, except for the differences that the README lists.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import generated
from tests.client import client_calls, pair
from tests.client.server import running

pytestmark = pytest.mark.slow  # Java generates the reference client

_LATER = "`no_proxy`, `_content_type`, `_spec_property_naming`"
_WRONG = "`_request_timeout` or `_host_index` of a wrong type"

EXPLAINED = {
    "client_of_the_user_agent": "`User-Agent` and version",
    "deserialized_unchecked_as_text": "a response with `_check_return_type=False`",
    "call_with_a_dict_as_text": "an error without a response, in `call_api`",
    "call_with_credentials_but_no_query": "`call_api` with credentials and without a query",
    "option_spec_property_naming": _LATER,
    "option_content_type": _LATER,
    "option _request_timeout='5'": _WRONG,
    "option _request_timeout=True": _WRONG,
    "option _request_timeout={'a': 5}": _WRONG,
    "option _host_index='0'": _WRONG,
    "option _host_index=1.5": _WRONG,
    "option _host_index=True": _WRONG,
    "option_timeout_of_three": _WRONG,
    "option_input_unchecked_without_a_host_index": "`_check_input_type=False`",
}

Both = tuple[pair.Outcomes, pair.Outcomes]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    reference = generated.seed_client(tmp_path_factory)
    with running() as server:
        server.answer = pair.answer
        yield pair.run("client_calls", server, reference), pair.run("client_calls", server, pair.OURS)


def test_all_differences_are_explained(both: Both) -> None:
    assert list(both[0]) == [name for name, _ in client_calls.STEPS]
    pair.check(both, EXPLAINED)


def test_the_program_covers_successes_and_errors(both: Both) -> None:
    """Two clients that fail everywhere in the same way would be equal too."""
    reference, _ = both
    assert sum("value" in result["outcome"] for result in reference.values()) > 45
    assert sum(bool(result["requests"]) for result in reference.values()) > 35
    bodies = [str(request["body"]) for result in reference.values() for request in result["requests"]]
    for sent in ("a=b+c&d=%C3%BC", "BOUNDARY", "pixels", "{'a': 1}", "'anything'"):
        assert any(sent in body for body in bodies), sent
