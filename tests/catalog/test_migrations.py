"""Each migration keeps what a catalog of each version holds, with rows in every table, on both databases.

`test_previous_catalog.py` does so with the data of a release. This test has rows that no release has written, which
must not keep a server from starting, and covers versions that do not have a fixture of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headwater.catalog.catalog import Catalog
from headwater.catalog.keyring import Keyring
from headwater.catalog.schema import HEAD, known_versions
from headwater.catalog.tables import metadata
from tests.catalog.transfer.random_catalogs import connected, fill, rows_of

CHANGED = {"datasets": {"counted_until"}, "tokens": {"admin"}}
"""Columns that a migration has dropped, or given other values, by their table."""


@pytest.mark.parametrize("version", sorted(known_versions() - {HEAD}))
async def test_rows_of_every_table_are_kept(url: str, keyring: Keyring, version: str) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir()
        Path(url.removeprefix("sqlite:///")).touch(0o600)
    fill(url, int(version), at_least=3, version=version)
    with connected(url) as connection:  # the key that encrypted the secrets is not known
        connection.exec_driver_sql("UPDATE datasources SET secret = NULL")
    before = rows_of(url)
    assert all(before.values()), "a table without rows tests nothing"
    catalog = await Catalog.open(url, keyring)
    await catalog.ping()
    await catalog.close()
    after = rows_of(url)
    assert after.keys() == metadata.tables.keys()
    for name, rows in before.items():
        key = [column.name for column in metadata.tables[name].primary_key]
        upgraded = {_key(row, key): row for row in after[name]}
        assert len(upgraded) == len(rows)
        for row in rows:
            kept = {column: value for column, value in row.items() if column not in CHANGED.get(name, ())}
            assert upgraded[_key(row, key)].items() >= kept.items()


def _key(row: dict[str, Any], key: list[str]) -> tuple[Any, ...]:
    return tuple(row[column] for column in key)
