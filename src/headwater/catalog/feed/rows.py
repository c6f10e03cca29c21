"""The statements on the rows of indexes. SQLite and PostgreSQL understand all of them.

Those that every page runs go to the driver directly: SQLAlchemy's conversion of parameters and rows costs more than the
database does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, text

from headwater.domain.feed import LAST, IndexRow, Range

ROWS_PER_TRANSACTION = 5_000
"""How many rows one transaction deletes at most, so that nobody waits for it long."""


class RangeSummary(NamedTuple):
    """What rows have in common: their number, the sum of their versions, the earliest and latest listing time."""

    rows: int
    versions: int
    earliest: int
    latest: int


_COLUMNS = "position, version, listing_time, size"

_VERSIONS = (
    "SELECT version, listing_time FROM feed_rows WHERE feed = ? AND position > ? AND position <= ? ORDER BY position"
)
_SUMMARY = (
    # Halves of versions, because the sum of whole ones does not fit into 64 bits.
    "SELECT count(*), sum(version >> 32), sum(version & 4294967295), min(listing_time), max(listing_time) "
    "FROM (SELECT version, listing_time FROM feed_rows WHERE feed = ? AND position > ? AND position <= ? "
    "ORDER BY position LIMIT ?) AS page"
)
_RANGE = (
    f"SELECT {_COLUMNS} FROM feed_rows WHERE feed = ? AND position > ? AND position <= ? "  # noqa: S608
    "ORDER BY position LIMIT ?"
)
_POSITIONS = text(
    f"SELECT {_COLUMNS} FROM feed_rows WHERE feed = :feed AND position IN :positions"  # noqa: S608
).bindparams(bindparam("positions", expanding=True))
_ROWS_PER_STATEMENT = 250
"""Rows that one statement writes. It takes two thirds of the time of as many statements with one row."""


def _write_statement(rows: int) -> str:
    return (
        f"INSERT INTO feed_rows ({_COLUMNS}, feed) VALUES {', '.join(['(?, ?, ?, ?, ?)'] * rows)} "  # noqa: S608
        "ON CONFLICT (feed, position) DO UPDATE SET version = excluded.version, listing_time = excluded.listing_time, "
        "size = excluded.size"
    )


_WRITE_ONE, _WRITE_MANY = _write_statement(1), _write_statement(_ROWS_PER_STATEMENT)
_SEE = text("UPDATE feed_rows SET seen = :seen WHERE feed = :feed AND position = :position")
_REMOVE = text("DELETE FROM feed_rows WHERE feed = :feed AND position = :position")
_UNSEEN_WITHOUT_PLACE = text(
    f"SELECT {_COLUMNS} FROM feed_rows WHERE feed = :feed AND position > :after AND seen < :number LIMIT :limit"  # noqa: S608
)
_UNSEEN = text(
    f"SELECT {_COLUMNS} FROM feed_rows WHERE feed = :feed AND (seen IS NULL OR seen < :number) LIMIT :limit"  # noqa: S608
)
_NEXT_POSITION = text("SELECT position FROM feed_rows WHERE feed = :feed ORDER BY position LIMIT 1 OFFSET :offset")
_REMOVE_UP_TO = text("DELETE FROM feed_rows WHERE feed = :feed AND position <= :position")
_REMOVE_ALL = text("DELETE FROM feed_rows WHERE feed = :feed")


def versions_between(connection: Connection, feed: int, part: Range) -> list[tuple[int, int]]:
    """Return version and listing time of the rows in a range, in order."""
    return _fetch(connection, _VERSIONS, (feed, *part))


def summarize_rows(connection: Connection, feed: int, part: Range, limit: int) -> RangeSummary:
    """Return a summary of the first `limit` rows in a range: of an emptied bucket, a page covers the whole index."""
    ((count, high, low, earliest, latest),) = _fetch(connection, _SUMMARY, (feed, *part, limit))
    return RangeSummary(count, (int(high) << 32) + int(low), earliest, latest) if count else RangeSummary(0, 0, 0, 0)


def rows_between(connection: Connection, feed: int, part: Range, limit: int) -> list[IndexRow]:
    """Return the first `limit` rows in a range, in order."""
    return [IndexRow(*row) for row in _fetch(connection, _RANGE, (feed, *part, limit))]


def rows_at(connection: Connection, feed: int, positions: Sequence[bytes]) -> list[IndexRow]:
    """Return the rows at these positions."""
    if not positions:
        return []
    return [IndexRow(*row) for row in connection.execute(_POSITIONS, {"feed": feed, "positions": positions})]


def write_rows(connection: Connection, feed: int, rows: Sequence[IndexRow]) -> None:
    """Insert rows, or replace those at the same positions. Each position occurs once."""
    full = len(rows) - len(rows) % _ROWS_PER_STATEMENT
    for start in range(0, full, _ROWS_PER_STATEMENT):
        part = rows[start : start + _ROWS_PER_STATEMENT]
        values = tuple(value for row in part for value in (*row, feed))
        connection.exec_driver_sql(_for_driver(connection, _WRITE_MANY), values)
    if full < len(rows):
        connection.exec_driver_sql(_for_driver(connection, _WRITE_ONE), [(*row, feed) for row in rows[full:]])


def mark_seen(connection: Connection, feed: int, positions: Iterable[bytes], seen: int) -> None:
    """Record when the rows at these positions were found last."""
    values = [{"feed": feed, "position": position, "seen": seen} for position in positions]
    if values:
        connection.execute(_SEE, values)


def remove_rows(connection: Connection, feed: int, positions: Iterable[bytes]) -> None:
    """Delete the rows at these positions."""
    values = [{"feed": feed, "position": position} for position in positions]
    if values:
        connection.execute(_REMOVE, values)


def unseen_rows(connection: Connection, feed: int, number: int, *, ordered: bool) -> list[IndexRow]:
    """Return some of the rows that no page has found since the listing `number` began.

    Args:
        connection: the connection.
        feed: the feed.
        number: the listing.
        ordered: whether pages delete the rows that have a place in the order.
    """
    parameters = {"feed": feed, "number": number, "limit": ROWS_PER_TRANSACTION}
    if ordered:
        return [IndexRow(*row) for row in connection.execute(_UNSEEN_WITHOUT_PLACE, {**parameters, "after": LAST})]
    return [IndexRow(*row) for row in connection.execute(_UNSEEN, parameters)]


def remove_some(connection: Connection, feed: int) -> bool:
    """Delete some rows of a feed; return whether there may be more."""
    parameters = {"feed": feed, "offset": ROWS_PER_TRANSACTION - 1}
    position = connection.execute(_NEXT_POSITION, parameters).scalar()
    if position is None:
        connection.execute(_REMOVE_ALL, {"feed": feed})
        return False
    connection.execute(_REMOVE_UP_TO, {"feed": feed, "position": position})
    return True


def _fetch(connection: Connection, statement: str, parameters: tuple[object, ...]) -> list[Any]:
    """Return the rows of a query as the driver returns them, without SQLAlchemy's conversion."""
    result = connection.exec_driver_sql(_for_driver(connection, statement), parameters)
    assert result.cursor is not None
    return list(result.cursor.fetchall())


def _for_driver(connection: Connection, statement: str) -> str:
    """Return a statement with the placeholders of the driver."""
    return statement if connection.dialect.name == "sqlite" else statement.replace("?", "%s")
