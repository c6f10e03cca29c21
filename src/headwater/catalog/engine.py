"""Which database a URL names."""

from __future__ import annotations

from pathlib import Path

from headwater.catalog.database import Database
from headwater.catalog.postgres_database import PostgresDatabase
from headwater.catalog.postgres_url import SCHEMES, parse_postgres_url
from headwater.catalog.sqlite_database import SqliteDatabase
from headwater.domain.errors import StartupError

_EXPECTED_URL = "HEADWATER_DATABASE_URL: expected sqlite:///path/of/a/file or postgresql://user:password@host/database"


def parse_database_url(url: str) -> Database:
    """Return the database that a URL names, without opening it.

    Raises:
        StartupError: the URL is not one of SQLite or PostgreSQL. The text does not repeat the URL, which may hold a
            password.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        if not rest.startswith("/") or rest in ("/", "/:memory:"):
            raise StartupError(_EXPECTED_URL)
        return SqliteDatabase(Path(rest[1:]))
    if scheme in SCHEMES:
        return PostgresDatabase(parse_postgres_url(rest))
    raise StartupError(_EXPECTED_URL)
