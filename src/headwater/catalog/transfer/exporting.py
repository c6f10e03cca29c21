"""Write a catalog to a file, as it is at one moment, while it is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    func,
    select,
    text,
)

from headwater.catalog.schema import VERSION_TABLE, is_current
from headwater.catalog.tables import metadata
from headwater.catalog.transfer.catalog_file import ROWS_PER_BATCH, CatalogWriter, Row, StoredTable

_TYPE_NAMES = (
    (Boolean, "boolean"),
    (BigInteger, "integer"),
    (Integer, "integer"),
    (LargeBinary, "bytes"),
    (Text, "text"),
    (Float, "number"),
)


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Yield a connection on which all reads see the database as it was at the first of them."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            lift_time_limits(connection)
        yield connection
        connection.rollback()


def lift_time_limits(connection: Connection) -> None:
    """Let a transaction in PostgreSQL take as long as it needs, whatever its operator has set for others."""
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


def tables_of(connection: Connection) -> Sequence[Table]:
    """Return the tables of a catalog, those that others refer to first. Those of an earlier version are looked up."""
    if is_current(connection):
        return metadata.sorted_tables
    earlier = MetaData()
    earlier.reflect(connection, only=lambda name, _: name != VERSION_TABLE)
    return earlier.sorted_tables


def export_tables(connection: Connection, writer: CatalogWriter) -> None:
    """Write all tables of a catalog."""
    for table in tables_of(connection):
        columns = {str(column.name): type_name(column) for column in table.columns}
        stored = StoredTable(table=str(table.name), columns=columns, last_id=last_id(connection, table))
        writer.write_table(stored, _batches(connection, table))


def type_name(column: Column[object]) -> str:
    """Return the type of a column in a file.

    Raises:
        NotImplementedError: the format has none: it needs a new version, or the column another type.
    """
    for kind, name in _TYPE_NAMES:
        if isinstance(column.type, kind):
            return name
    raise NotImplementedError(f"catalog files have no type for {column.table.name}.{column.name}, {column.type}")


def last_id(connection: Connection, table: Table) -> int | None:
    """Return the last id that the database gave to a row of a table, 0 if none; None if it does not number the rows."""
    column = table.autoincrement_column
    if column is None:
        return None
    if connection.dialect.name == "sqlite":
        if not connection.dialect.has_table(connection, "sqlite_sequence"):
            return None
        query = text("SELECT max(seq) FROM sqlite_sequence WHERE name = :name")
        return connection.execute(query, {"name": table.name}).scalar() or 0
    sequence = connection.execute(sequence_of(table)).scalar_one()
    # It is not part of the snapshot, so it can only be later, never earlier.
    given = connection.execute(text(f"SELECT last_value, is_called FROM {sequence}")).one()  # noqa: S608
    return int(given.last_value) if given.is_called else 0


def sequence_of(table: Table) -> Select[tuple[str]]:
    """Select the name of the sequence that numbers the rows of a table in PostgreSQL, quoted."""
    assert table.autoincrement_column is not None
    return select(func.pg_get_serial_sequence(f'"{table.name}"', table.autoincrement_column.name))


def _batches(connection: Connection, table: Table) -> Iterator[Sequence[Row]]:
    streamed = connection.execution_options(yield_per=ROWS_PER_BATCH)
    query = select(table).order_by(*table.primary_key)
    for rows in streamed.execute(query).partitions():
        yield [tuple(row) for row in rows]
