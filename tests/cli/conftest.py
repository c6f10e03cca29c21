"""An installation for the tests of the command line."""

from __future__ import annotations

import os

import pytest

from tests.live import command, environ_for


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an installation without a running server. Its mount root holds 12 images and a JSON file."""
    folder = tmp_path_factory.mktemp("cli")
    files = folder / "files"
    files.mkdir()
    for index in range(12):
        (files / f"{index:02}.png").write_bytes(b"x")
        os.utime(files / f"{index:02}.png", (1000 + index, 1000 + index))
    (files / "labels.json").write_text("{}")
    environ = environ_for(folder / "data", local_root=str(files), page_size="5")
    assert command(environ, "init").returncode == 0
    return environ
