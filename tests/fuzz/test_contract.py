"""No request gets a 5xx, anything that the contract does not describe, or no response at all.

schemathesis makes the requests of each operation from the document that the server serves: valid ones, and ones that
break it. The server has a datasource of each type (`server.py`), and the users and credentials change.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import given

from headwater import contract
from tests.fuzz.cases import Fuzzer, Sent, many

CASES = int(os.environ.get("HEADWATER_TESTS_CASES", "200"))
NIGHTLY_CASES = int(os.environ.get("HEADWATER_TESTS_CASES", "10000"))

OPERATIONS = [
    operation["operationId"]
    for path in contract.document()["paths"].values()
    for method, operation in path.items()
    if method != "parameters"
]


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_response_is_one_of_the_contract(fuzzer: Fuzzer, operation: str) -> None:
    fuzz(fuzzer, operation, CASES)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_response_of_many_is_one_of_the_contract(fuzzer: Fuzzer, operation: str) -> None:
    fuzz(fuzzer, operation, NIGHTLY_CASES)
    print(
        f"{operation}: {sum(fuzzer.counts.values()):,} requests so far, the slowest {fuzzer.slowest:.2f} s", flush=True
    )


def fuzz(fuzzer: Fuzzer, operation: str, cases: int) -> None:
    """Send this many requests of an operation."""

    @many(cases)
    @given(sent=fuzzer.requests(operation))
    def run(sent: Sent) -> None:
        fuzzer.send(sent)

    run()
