"""A real server with LOCAL datasources and pages of seven, a client for it, and a scripted store."""

# Fixtures are imported from another conftest, so parameters have the names of imports.
# ruff: noqa: F811

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import swagger_client
from swagger_client.api.datasources_api import DatasourcesApi
from tests.client.conftest import _loggers_as_before, _no_environment, api, configuration, server  # noqa: F401
from tests.client.server import Scripted, running
from tests.live import Live

OLD = 1_577_836_800
"""The default time of files, in Unix seconds."""


def put(folder: Path, name: str, content: bytes = b"pixels", seconds: int = OLD) -> str:
    """Write a file with the given time, and return its name."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    os.utime(file, (seconds, seconds))
    return name


@pytest.fixture
def live_api(live: Live) -> Iterator[DatasourcesApi]:
    """The API of the real server; the client does not retry."""
    configuration = swagger_client.Configuration(host=live.url, api_key={"ApiKeyAuth": live.token})
    configuration.retries = 0
    with swagger_client.ApiClient(configuration) as api_client:
        yield DatasourcesApi(api_client)


@pytest.fixture
def plain_api(server: Scripted) -> Iterator[DatasourcesApi]:
    """The API of the scripted server; the client does not retry."""
    configuration = swagger_client.Configuration(host=server.url, api_key={"ApiKeyAuth": "token-of-a-test"})
    configuration.retries = 0
    with swagger_client.ApiClient(configuration) as api_client:
        yield DatasourcesApi(api_client)


@pytest.fixture
def dataset(live: Live, bucket: Path) -> str:
    """A dataset for `bucket` on the real server."""
    return live.configured({"type": "LOCAL", "fullPath": bucket.name})


@pytest.fixture
def store() -> Iterator[Scripted]:
    """The store that read URLs lead to."""
    with running() as scripted:
        yield scripted


@pytest.fixture
def fill(bucket: Path) -> Callable[[int], list[str]]:
    """Put this many files into the bucket, and return their names, sorted."""

    def filled(count: int) -> list[str]:
        return [put(bucket, f"{number:04}.png", b"%d" % number) for number in range(count)]

    return filled


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 5
    while left := [
        thread.name
        for thread in threading.enumerate()
        if thread.name.startswith(("headwater_client", "swagger_client"))
    ]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)
