"""Nothing is lost when a catalog goes from SQLite to PostgreSQL and back."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from headwater.catalog.engine import parse_database_url
from headwater.catalog.schema import HEAD, known_versions, migrate, table_columns
from headwater.catalog.tables import metadata
from headwater.catalog.transfer.catalog_file import (
    COLUMN_TYPES,
    FORMAT,
    VERSION,
    CatalogFile,
    CatalogWriter,
    Header,
)
from headwater.catalog.transfer.exporting import export_tables, snapshot, type_name
from headwater.catalog.transfer.importing import import_catalog
from tests.catalog.transfer.random_catalogs import connected, content, fill, next_id, numbered

EXAMPLES = 5


def export(url: str, path: Path, version: str = HEAD) -> Path:
    """Write a catalog to a file."""
    engine = parse_database_url(url).unlimited()
    header = Header(format=FORMAT, version=VERSION, tables=version, headwater="0", created_at="2030-01-01T00:00:00Z")
    with path.open("wb") as file, snapshot(engine) as connection, CatalogWriter(file, header) as writer:
        export_tables(connection, writer)
    engine.dispose()
    return path


def load(path: Path, url: str, *, replace: bool = False) -> None:
    """Load a catalog from a file, with secrets that nobody can decrypt."""
    import_catalog(parse_database_url(url), CatalogFile(path), replace=replace, check=lambda _connection: None)


@pytest.mark.slow
def test_every_table_is_the_same_after_a_move_to_postgresql_and_back(tmp_path: Path, postgres_url: str) -> None:
    for number in range(EXAMPLES):
        seed = random.randrange(2**32)
        first, last = (f"sqlite:///{tmp_path}/{number}-{name}.db" for name in ("first", "last"))
        fill_new(first, seed, at_least=2 if number == 0 else 0)
        before = content(first)
        load(export(first, tmp_path / f"{number}.one"), postgres_url, replace=True)
        assert content(postgres_url) == before, f"seed {seed}"
        load(export(postgres_url, tmp_path / f"{number}.two"), last)
        assert content(last) == before, f"seed {seed}"
        for table in numbered():
            given = before["last ids"][table.name]
            assert [next_id(url, table) for url in (first, last)] == [given + 1, given + 1], "an id is used again"
            assert next_id(postgres_url, table) > given


def fill_new(url: str, seed: int, at_least: int = 0) -> None:
    Path(url.removeprefix("sqlite:///")).touch(0o600)
    fill(url, seed, at_least)


def test_every_table_and_column_of_a_catalog_is_in_the_file(tmp_path: Path) -> None:
    """A table that is left out would be lost by a move, and by a backup."""
    url = f"sqlite:///{tmp_path}/a.db"
    fill_new(url, 1, at_least=1)
    with connected(url) as connection:
        present = {name: columns for name, columns in table_columns(connection).items() if name != "alembic_version"}
        counts = {name: connection.execute(sa.text(f'SELECT count(*) FROM "{name}"')).scalar() for name in present}
    file = CatalogFile(export(url, tmp_path / "file"))
    with file.read() as tables:
        found = {table.table: set(table.columns) for table, batches in tables if list(batches) is not None}
    assert found == present
    assert file.rows == counts
    assert min(counts.values()) > 0, "a table without rows tests nothing"


def test_the_format_has_a_type_for_every_column() -> None:
    columns = [column for table in metadata.sorted_tables for column in table.columns]
    assert {type_name(column) for column in columns} <= COLUMN_TYPES.keys()
    with pytest.raises(NotImplementedError, match=r"no type for t\.c"):
        type_name(sa.Table("t", sa.MetaData(), sa.Column("c", sa.JSON)).c.c)


def _lines(path: Path) -> list[Any]:
    with gzip.open(path) as file:
        return [json.loads(line) for line in file]


def test_the_file_is_lines_of_json(tmp_path: Path) -> None:
    """As docs/reference/catalog-file.md says, so that other programs can read it."""
    url = f"sqlite:///{tmp_path}/a.db"
    fill_new(url, 2, at_least=1)
    header, *lines, end = _lines(export(url, tmp_path / "file"))
    assert header["format"] == "headwater catalog"
    assert header["tables"] == HEAD
    tables = [line["table"] for line in lines if isinstance(line, dict)]
    assert tables == [table.name for table in metadata.sorted_tables]
    rows = dict.fromkeys(tables, 0)
    current = ""
    for line in lines:
        current = line["table"] if isinstance(line, dict) else current
        rows[current] += isinstance(line, list)
    assert end["rows"] == rows


@pytest.mark.parametrize("version", sorted(known_versions()))
def test_file_of_an_earlier_version_is_upgraded(url: str, tmp_path: Path, version: str) -> None:
    """A backup from before an upgrade can be restored after it."""
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir()
        Path(url.removeprefix("sqlite:///")).touch(0o600)
    fill(url, int(version), at_least=2, version=version)
    path = export(url, tmp_path / "file", version)
    with connected(url) as connection:
        migrate(connection, HEAD)
    load(path, f"sqlite:///{tmp_path}/new.db")
    after = {**content(url), "last ids": {}}  # PostgreSQL has not given the ids of `fill`
    assert {**content(f"sqlite:///{tmp_path}/new.db"), "last ids": {}} == after
    assert all(after[name] for name in ("users", "tokens", "datasets", "datasources"))


def test_a_snapshot_does_not_see_what_is_written_meanwhile(url: str, tmp_path: Path) -> None:
    """Rows of one table referred to rows that another one did not have yet."""
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir()
        Path(url.removeprefix("sqlite:///")).touch(0o600)
    fill(url, 3, at_least=1)
    with connected(url) as connection:
        if url.startswith("sqlite"):
            connection.rollback()
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        users = metadata.tables["users"]
        engine = parse_database_url(url).unlimited()
        with snapshot(engine) as seen:
            count = seen.execute(sa.select(sa.func.count()).select_from(users)).scalar()
            connection.execute(sa.insert(users), [{"name": f"new {number}", "created_at": 1} for number in range(9)])
            connection.commit()
            assert seen.execute(sa.select(sa.func.count()).select_from(users)).scalar() == count
        engine.dispose()


def test_feeds_of_a_restored_catalog_have_new_ids(url: str, tmp_path: Path) -> None:
    """The cursor of an old listing would be taken for one of a new index."""
    old = f"sqlite:///{tmp_path}/old.db"
    fill_new(old, 4, at_least=2)
    with connected(old) as connection:
        last = max(connection.execute(sa.text("SELECT id FROM feeds")).scalars())
        connection.execute(sa.text("DELETE FROM feeds"))
    load(export(old, tmp_path / "file"), url)
    (feeds,) = (table for table in numbered() if table.name == "feeds")
    assert next_id(url, feeds) == last + 1


def test_long_tables_are_read_in_batches(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    fill_new(url, 5)
    with connected(url) as connection:
        rows = [{"name": f"user {number}", "created_at": number} for number in range(2500)]
        connection.execute(sa.insert(metadata.tables["users"]), rows)
    file = CatalogFile(export(url, tmp_path / "file"))
    with file.read() as tables:
        sizes = {table.table: [len(batch) for batch in batches] for table, batches in tables}
    assert sizes["users"][:2] == [1000, 1000]
    load(file.path, f"sqlite:///{tmp_path}/b.db")
    assert content(url) == content(f"sqlite:///{tmp_path}/b.db")
