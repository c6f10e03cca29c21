"""The tables of the catalog.

Times are in milliseconds since 1970, except `watermark` and `counted_until`, which are in seconds. A change here needs
a migration; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

users = Table(
    "users",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user", Text, ForeignKey(users.c.name), nullable=False),
    Column("admin", Boolean, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, ForeignKey(users.c.name), nullable=False),
    Column("name", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False),
    Column("type", Text, nullable=False),
    Column("img_type", Text),
    Column("creator", Text, nullable=False),
    Column("parent_id", Text, index=True),
    Column("every_file", Boolean, nullable=False),
    Column("watermark", BigInteger, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    Column("modified_at", BigInteger, nullable=False),
    Column("n_samples", BigInteger, nullable=False, server_default="0"),
    Column("size_in_bytes", BigInteger, nullable=False, server_default="0"),
    Column("counted_until", BigInteger),
    UniqueConstraint("owner", "name"),
)
"""Names are compared by their bytes, so that all names with a prefix are one range of the index. `every_file` is
`Dataset.include_all_files`. `n_samples` and `size_in_bytes` count the window from 0 to `counted_until`, which is
NULL if nothing was counted."""

datasources = Table(
    "datasources",
    metadata,
    Column("id", Text, primary_key=True),
    Column("dataset_id", Text, ForeignKey(datasets.c.id, ondelete="CASCADE"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("config", Text, nullable=False),
    Column("secret", Text),
    UniqueConstraint("dataset_id", "purpose"),
)
"""`catalog.stored_datasource` defines what `config` and `secret` hold."""
