"""The API on each database: tests on the server `live` run once with SQLite and once with PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.live import Live, running_with_files
from tests.servers import postgres_database

ON_BOTH = {
    "test_dataset_queries",
    "test_datasets",
    "test_datasources",
    "test_feed",
    "test_relocation",
    "test_watermark",
}
"""What is tested on both databases each time: what the catalog stores. `make nightly` tests the rest on PostgreSQL."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that uses `live` on both databases. A module may have a server `live` of its own."""
    if "live" in metafunc.fixturenames and not hasattr(metafunc.module, "live"):
        always = metafunc.module.__name__.rpartition(".")[2] in ON_BOTH
        marks = [pytest.mark.slow, *([] if always else [pytest.mark.nightly])]
        databases = ["sqlite", pytest.param("postgresql", marks=marks)]
        metafunc.parametrize("live", databases, indirect=True, scope="session")


@pytest.fixture(scope="session")
def live_on_postgresql(tmp_path_factory: pytest.TempPathFactory, postgres: Callable[[str], str]) -> Iterator[Live]:
    """A server as `live`, with its catalog in PostgreSQL."""
    folder = tmp_path_factory.mktemp("live")
    with postgres_database(postgres) as url, running_with_files(folder, database_url=url) as running:
        yield running


@pytest.fixture(scope="session")
def live(request: pytest.FixtureRequest, live: Live) -> Live:
    """The server `live`, with its catalog in each database."""
    found: Live = live if request.param == "sqlite" else request.getfixturevalue("live_on_postgresql")
    return found
