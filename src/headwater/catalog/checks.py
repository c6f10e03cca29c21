"""Check a catalog as a whole, as it is at one moment, while it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, ForeignKeyConstraint, Select, and_, func, or_, select

from headwater.catalog.keyring import Keyring
from headwater.catalog.schema import check_catalog, check_current, stored_version
from headwater.catalog.stored_datasource import COLUMNS, datasource_of_row
from headwater.catalog.tables import datasources, feed_rows, feeds, metadata
from headwater.domain.errors import HeadwaterError, StartupError

MAX_FAULTS = 20
"""How many faults of one kind are named."""


class CheckedPart(NamedTuple):
    """One thing that was checked.

    Attributes:
        name: its name, a word.
        what: what was checked.
        faults: what is wrong, and what to do.
        more: how many faults are not named.
    """

    name: str
    what: str
    faults: Sequence[str]
    more: int


def check_parts(connection: Connection, keyring: Keyring, name: str) -> Iterator[CheckedPart]:
    """Check everything and yield the outcomes. If the file or the tables have faults, nothing else is checked.

    Args:
        connection: a snapshot.
        keyring: the keys of the server.
        name: the name of the catalog, for errors.
    """
    parts: Sequence[tuple[str, str, Callable[[], Iterator[str]]]] = (
        ("file", "the pages and indexes of the file, if it is one of SQLite", lambda: _file(connection)),
        ("tables", "version, tables and columns", lambda: _tables(connection, name)),
        ("references", "every row that another row refers to is there", lambda: _references(connection)),
        ("secrets", "every secret can be decrypted, and every datasource read", lambda: _secrets(connection, keyring)),
        ("totals", "the totals of each index are those of its rows", lambda: _totals(connection)),
    )
    for number, (part, what, find) in enumerate(parts):
        faults: list[str] = []
        more = 0
        for fault in find():
            if len(faults) < MAX_FAULTS:
                faults.append(fault)
            else:
                more += 1
        yield CheckedPart(part, what, faults, more)
        if faults and number < 2:
            return


def _file(connection: Connection) -> Iterator[str]:
    if connection.dialect.name != "sqlite":
        return
    for line in connection.exec_driver_sql(f"PRAGMA integrity_check({MAX_FAULTS})").scalars():
        if line != "ok":
            yield f"{' '.join(str(line).split())}: restore a backup"


def _tables(connection: Connection, name: str) -> Iterator[str]:
    try:
        check_current(stored_version(connection) or "")
        check_catalog(connection, name)
    except StartupError as error:
        yield error.message


def _references(connection: Connection) -> Iterator[str]:
    for table in metadata.sorted_tables:
        for constraint in table.foreign_key_constraints:
            yield from _missing_rows(connection, constraint)


def _missing_rows(connection: Connection, constraint: ForeignKeyConstraint) -> Iterator[str]:
    table = constraint.table
    other = constraint.referred_table.alias("other")
    pairs = [(each.parent, other.c[each.column.name]) for each in constraint.elements]
    query = (
        select(*(own for own, _ in pairs), func.count().label("rows"))
        .select_from(table.outerjoin(other, and_(*(own == referred for own, referred in pairs))))
        .where(*(own.is_not(None) for own, _ in pairs), or_(*(referred.is_(None) for _, referred in pairs)))
        .group_by(*(own for own, _ in pairs))
    )
    for *values, rows in connection.execute(query):
        key = ", ".join(map(str, values))
        yield f"{rows} in {table.name} refer to {constraint.referred_table.name} {key}, which is not there"


def _secrets(connection: Connection, keyring: Keyring) -> Iterator[str]:
    query: Select[Any] = select(*COLUMNS).order_by(datasources.c.dataset_id, datasources.c.purpose)
    for row in connection.execution_options(yield_per=1000).execute(query):
        try:
            datasource_of_row(keyring, row)
        except (HeadwaterError, ValueError) as error:
            reason = error.message if isinstance(error, HeadwaterError) else "its config is not JSON"
            yield f"{row.purpose} datasource of dataset {row.dataset_id}: {reason}"


def _totals(connection: Connection) -> Iterator[str]:
    counted = (
        select(feed_rows.c.feed, func.count().label("rows"), func.sum(feed_rows.c.size).label("size"))
        .group_by(feed_rows.c.feed)
        .subquery()
    )
    rows, size = func.coalesce(counted.c.rows, 0), func.coalesce(counted.c.size, 0)
    query = (
        select(feeds.c.dataset_id, feeds.c.n_rows, feeds.c.n_bytes, rows.label("rows"), size.label("size"))
        .select_from(feeds.outerjoin(counted, counted.c.feed == feeds.c.id))
        .where(feeds.c.dataset_id.is_not(None), or_(feeds.c.n_rows != rows, feeds.c.n_bytes != size))
        .order_by(feeds.c.dataset_id)
    )
    for row in connection.execute(query):
        yield (
            f"the index of dataset {row.dataset_id} has {row.rows} rows with {row.size} bytes, and its totals say "
            f"{row.n_rows} and {row.n_bytes}: `headwater feed reset {row.dataset_id}` begins a new index"
        )
    without_feed: Select[Any] = select(counted.c.feed, counted.c.rows)
    without_feed = without_feed.outerjoin(feeds, feeds.c.id == counted.c.feed).where(feeds.c.id.is_(None))
    for feed, left in connection.execute(without_feed):
        yield f"there are {left} rows of the index {feed}, which is not there"
