"""The fuzzed server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis

from tests.fuzz.cases import Fuzzer
from tests.fuzz.server import FuzzedServer, fuzzed_server
from tests.live import request


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuzzedServer]:
    with fuzzed_server(tmp_path_factory.mktemp("fuzzed")) as running:
        yield running


@pytest.fixture(scope="session")
def fuzzer(server: FuzzedServer) -> Iterator[Fuzzer]:
    served = request(server.live.url, path="/openapi.json").json
    fuzzing = Fuzzer(server, schemathesis.openapi.from_dict(served))
    yield fuzzing
    fuzzing.close()
