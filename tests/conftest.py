"""Fixtures that several rooms' tests use."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import checked
from tests import live as live_module


def pytest_configure(config: pytest.Config) -> None:
    """Give all servers of this run one file to report bad answers to; workers inherit it."""
    if os.environ.get(checked.REPORT) is None:
        handle, path = tempfile.mkstemp(prefix="headwater-bad-answers-")
        os.close(handle)
        os.environ[checked.REPORT] = path
        config.stash[_REPORT] = Path(path)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail the run if a server gave a bad answer, whether or not a test looked at it."""
    path = session.config.stash.get(_REPORT, None)
    if path is not None and path.stat().st_size and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show the bad answers."""
    path = config.stash.get(_REPORT, None)
    if path is not None and (lines := path.read_text().splitlines()):
        terminalreporter.section("success answers that the newest published client refuses", red=True)
        for line in dict.fromkeys(lines):
            terminalreporter.write_line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the file."""
    path = config.stash.get(_REPORT, None)
    if path is not None:
        del os.environ[checked.REPORT]
        path.unlink(missing_ok=True)


_REPORT = pytest.StashKey[Path]()


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live_module.Live]:
    """A server for the whole of a test process: LOCAL below `files/`, loopback endpoints allowed, small pages."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "files").mkdir()
    with live_module.running(
        folder, local_root=str(folder / "files"), allowed_endpoints="127.0.0.0/8", page_size="7"
    ) as running:
        yield running


@pytest.fixture
def bucket(live: live_module.Live, request: pytest.FixtureRequest) -> Path:
    """A folder of the test's own below the live server's mount root."""
    root = Path(live.environ["HEADWATER_LOCAL_ROOT"])
    folder = root / f"{request.node.name[:40].translate(str.maketrans('/[] ', '____'))}-{len(list(root.iterdir()))}"
    folder.mkdir()
    return folder
