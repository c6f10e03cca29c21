"""Fixtures and hooks for all tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType

import pytest

from tests import checked
from tests import live as live_module
from tests.generated import seed_client, whole_client
from tests.postgresql import own_postgres
from tests.published.environments import installed
from tests.servers import azurite, guarded_aws, moto_server, postgres_database, postgres_server, rclone_s3

EXTERNAL_SERVERS = frozenset(
    {
        *(start.__name__ for start in (moto_server, guarded_aws, rclone_s3, azurite)),
        *(start.__name__ for start in (postgres_server, own_postgres)),
        *(generate.__name__ for generate in (seed_client, whole_client)),  # needs Java
        installed.__name__,  # a published client
    }
)
"""Functions that start software which is not part of this project. Every test that calls one is slow."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test as slow that starts external software, itself or in one of its fixtures.

    `make test-fast` leaves these tests out, and nobody has to remember the mark. Nightly tests are left out unless they
    are asked for by `-m nightly`.
    """
    if "nightly" not in config.getoption("markexpr"):
        nightly = [item for item in items if item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=nightly)
        items[:] = [item for item in items if item not in nightly]
    for item in items:
        if isinstance(item, pytest.Function) and _needs_external_server(item):
            item.add_marker(pytest.mark.slow)


def _needs_external_server(test: pytest.Function) -> bool:
    functions = [test.obj, *(fixture.func for name in test.fixturenames for fixture in _fixtures(test, name))]
    return any(
        not EXTERNAL_SERVERS.isdisjoint(_names_used_in(function.__code__))
        for function in functions
        if hasattr(function, "__code__")
    )


def _fixtures(test: pytest.Function, name: str) -> list[pytest.FixtureDef[object]]:
    return list(test._fixtureinfo.name2fixturedefs.get(name, ()))


def _names_used_in(code: CodeType) -> Iterator[str]:
    """Yield the global names and attributes that a function and the functions defined in it use."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_used_in(constant)


def pytest_configure(config: pytest.Config) -> None:
    """Create the file to which all servers of this run report invalid responses. Workers inherit its path."""
    if os.environ.get(checked.REPORT) is None:
        handle, path = tempfile.mkstemp(prefix="headwater-invalid-responses-")
        os.close(handle)
        os.environ[checked.REPORT] = path
        config.stash[_REPORT] = Path(path)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail the run if a server sent an invalid response, even if no test noticed."""
    path = session.config.stash.get(_REPORT, None)
    if path is not None and path.stat().st_size and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the invalid responses."""
    path = config.stash.get(_REPORT, None)
    if path is not None and (lines := path.read_text().splitlines()):
        terminalreporter.section("success responses that the newest published client refuses", red=True)
        for line in dict.fromkeys(lines):
            terminalreporter.write_line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Delete the file."""
    path = config.stash.get(_REPORT, None)
    if path is not None:
        del os.environ[checked.REPORT]
        path.unlink(missing_ok=True)


_REPORT = pytest.StashKey[Path]()


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live_module.Live]:
    """A server for all tests of a process, with LOCAL datasources in `files/`, loopback endpoints and small pages."""
    with live_module.running_with_files(tmp_path_factory.mktemp("live")) as running:
        yield running


@pytest.fixture
def bucket(live: live_module.Live, request: pytest.FixtureRequest) -> Path:
    """An empty folder under the mount root of the live server."""
    root = Path(live.environ["HEADWATER_LOCAL_ROOT"])
    folder = root / f"{request.node.name[:40].translate(str.maketrans('/[] ', '____'))}-{len(list(root.iterdir()))}"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[str], str]]:
    """A PostgreSQL server of this test process, as a function that returns the URL of a database by its name."""
    with postgres_server() as uri_of:
        yield uri_of


@pytest.fixture
def postgres_url(postgres: Callable[[str], str]) -> Iterator[str]:
    """The URL of an empty database of PostgreSQL."""
    with postgres_database(postgres) as url:
        yield url
