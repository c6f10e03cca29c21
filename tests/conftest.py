"""Fixtures that several rooms' tests use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import live as live_module


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
