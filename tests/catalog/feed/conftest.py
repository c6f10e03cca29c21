"""Two catalogs on one database, as two replicas of a server have."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from headwater.catalog.catalog import Catalog
from headwater.catalog.keyring import Keyring


@pytest.fixture
async def catalogs(url: str, keyring: Keyring) -> AsyncIterator[tuple[Catalog, Catalog]]:
    """Two open catalogs on an empty database, of each kind."""
    one = await Catalog.open(url, keyring)
    other = await Catalog.open(url, keyring)
    yield one, other
    await one.close()
    await other.close()
