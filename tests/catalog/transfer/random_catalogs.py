"""Catalogs with random rows in every table that there is, and what a catalog holds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Table

from headwater.catalog.database import Database
from headwater.catalog.engine import parse_database_url
from headwater.catalog.schema import HEAD, VERSION_TABLE, migrate, table_columns
from headwater.catalog.tables import metadata
from headwater.catalog.transfer.exporting import last_id, tables_of, type_name

ALPHABET = "aZ09 _-/.%'\"\\\n\té✓😀\x7f"
BIGGEST = 2**31 - 1  # ids of feeds have 32 bits in PostgreSQL


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Yield a connection to a database, in a transaction that is committed at the end."""
    engine = parse_database_url(url).unlimited()
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()
    finally:
        engine.dispose()


def fill(url: str, seed: int, at_least: int = 0, version: str = HEAD) -> None:
    """Create the tables of a version and put random rows into each: as many as `at_least`, to four more."""
    dice = random.Random(seed)
    with connected(url) as connection:
        migrate(connection, version)
        present: dict[str, list[dict[str, Any]]] = {}
        for table in tables_of(connection):
            made = [_row(dice, table, present) for _ in range(dice.randint(at_least, at_least + 4))]
            rows = _unique(table, [row for row in made if row is not None])
            present[table.name] = rows
            if rows:
                connection.execute(sa.insert(table), rows)
        for table in numbered() if version == HEAD else ():
            if at_least == 0 and dice.random() < 0.5:  # the last ids were given to rows that are gone
                last = max((row[_number(table).name] for row in present[table.name]), default=0) + dice.randint(1, 1000)
                if last < BIGGEST:
                    connection.execute(sa.insert(table).values(_gone(table, present, last)))
                    connection.execute(sa.delete(table).where(_number(table) == last))


def numbered() -> list[Table]:
    """Return the tables whose rows the database numbers, and never numbers like a row that is gone."""
    return [
        table
        for table in metadata.sorted_tables
        if table.autoincrement_column is not None and table.dialect_options["sqlite"]["autoincrement"]
    ]


def _number(table: Table) -> Any:
    return table.autoincrement_column


def _gone(table: Table, present: dict[str, list[dict[str, Any]]], number: int) -> dict[str, Any]:
    row = _row(random.Random(number), table, present, nulls=True)
    assert row is not None
    return {**row, _number(table).name: number}


def _row(
    dice: random.Random, table: Table, present: dict[str, list[dict[str, Any]]], *, nulls: bool = False
) -> dict[str, Any] | None:
    """Return a row that refers only to rows that are there; None if a row is needed and there is none."""
    row: dict[str, Any] = {}
    for column in table.columns:
        if column.nullable and (nulls or dice.random() < 0.3):
            row[column.name] = None
        elif column.foreign_keys:
            (key,) = column.foreign_keys
            parents = present[key.column.table.name]
            if not parents and not column.nullable:
                return None
            row[column.name] = dice.choice(parents)[key.column.name] if parents else None
        else:
            row[column.name] = _value(dice, column)
    return row


def _value(dice: random.Random, column: Column[Any]) -> Any:
    match type_name(column):
        case "integer":
            small = isinstance(column.type, sa.Integer) and not isinstance(column.type, sa.BigInteger)
            return dice.choice((dice.randint(1, 99), dice.randint(1, BIGGEST if small else 2**63 - 1)))
        case "boolean":
            return dice.random() < 0.5
        case "bytes":
            return dice.randbytes(dice.choice((0, 1, 32, 300)))
        case "number":
            return dice.random()
    return "".join(dice.choice(ALPHABET) for _ in range(dice.choice((1, 12, 400))))


def _unique(table: Table, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out rows that have a key of an earlier one."""
    keys = [
        [column.name for column in each.columns]
        for each in table.constraints
        if isinstance(each, sa.PrimaryKeyConstraint | sa.UniqueConstraint)
    ]
    keys += [[column.name for column in index.columns] for index in table.indexes if index.unique]
    kept: list[dict[str, Any]] = []
    for row in rows:
        if not any(all(row[name] == other[name] for name in key) for other in kept for key in keys):
            kept.append(row)
    return kept


def rows_of(url: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table."""
    with connected(url) as connection:
        return {
            table.name: [dict(row._mapping) for row in connection.execute(sa.select(table))]
            for table in tables_of(connection)
        }


def content(url: str) -> dict[str, Any]:
    """Return the rows of every table that the database has, and the ids that are not given again."""
    with connected(url) as connection:
        found: dict[str, Any] = {
            table.name: sorted(map(repr, connection.execute(sa.select(table)))) for table in tables_of(connection)
        }
        assert set(found) == table_columns(connection).keys() - {VERSION_TABLE}
        found["last ids"] = {table.name: last_id(connection, table) for table in numbered() if table.name in found}
        return found


def next_id(url: str, table: Table) -> int:
    """Return the id that a new row would get."""
    database: Database = parse_database_url(url)
    engine = database.unlimited()
    try:
        with engine.connect() as connection:
            row = _row(random.Random(0), table, {each.name: [] for each in metadata.sorted_tables}, nulls=True)
            assert row is not None
            del row[_number(table).name]
            given = connection.execute(sa.insert(table).values(row)).inserted_primary_key
            connection.rollback()
            assert given is not None
            return int(given[0])
    finally:
        engine.dispose()
