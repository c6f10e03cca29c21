"""The generated clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import generated


@pytest.fixture(scope="session")
def seed_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generated.seed_client(tmp_path_factory)


@pytest.fixture(scope="session")
def whole_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generated.whole_client(tmp_path_factory)
