"""A dataset that is listed through the service, with its catalog in each database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.listing.served import Served, serving


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Served]:
    """A dataset on an empty folder, with a catalog in each database."""
    url = {"database_url": request.getfixturevalue("postgres_url")} if request.param == "postgresql" else {}
    async with serving(tmp_path, **url) as opened:
        yield opened


@pytest.fixture
async def served_on_sqlite(tmp_path: Path) -> AsyncIterator[Served]:
    """A dataset on an empty folder, with a catalog in SQLite."""
    async with serving(tmp_path) as opened:
        yield opened
