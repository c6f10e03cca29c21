"""A running server and a long file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.files.server import CONTENT, MODIFIED, Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("files") / "root"
    (root / "set").mkdir(parents=True)
    (root / "set" / "a.png").write_bytes(CONTENT)
    os.utime(root / "set" / "a.png", (MODIFIED, MODIFIED))
    (root / "set" / "empty.png").touch()
    with serving(root) as running:
        yield running


@pytest.fixture
def film(server: Server) -> Iterator[Path]:
    """A file of 40 MB, which is more than the buffers between server and client hold."""
    path = server.root / "film.mp4"
    path.write_bytes(os.urandom(1_000_003) * 40)
    yield path
    path.unlink()
