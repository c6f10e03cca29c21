"""The tables of the catalog.

Times are in milliseconds since 1970, except `watermark` and those that windows of listings are compared with
(`promise`, `promised…`, `listing_time`, `since`), which are in seconds. A change here needs a migration; a test
compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
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
    Column("jwt_groups", Text),
)
"""`jwt_groups`: a JSON list of the groups in the latest JWT of the user; NULL if there were none."""

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user", Text, ForeignKey(users.c.name), nullable=False),
    Column("scope", Text, nullable=False, server_default="write"),
    Column("dataset_id", Text),
    Column("label", Text),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
)
"""`scope` is a `Scope`. A token of a dataset that was deleted stays, and can do nothing."""

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
    Column("feed", Text),
    UniqueConstraint("owner", "name"),
)
"""Names are compared by their bytes, so that all names with a prefix are one range of the index. `every_file` is
`Dataset.include_all_files`. `n_samples` and `size_in_bytes` are copied from the dataset's feed once that is complete.
`feed` is a `FeedMode`; NULL if the dataset follows the server's setting."""

shares = Table(
    "shares",
    metadata,
    Column("dataset_id", Text, ForeignKey(datasets.c.id, ondelete="CASCADE"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("grantee", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_shares_kind_grantee", "kind", "grantee"),
)
"""Whom datasets are shared with: `kind` is a `GranteeKind`, `role` a `Role`. A group or a user need not be known."""

datasources = Table(
    "datasources",
    metadata,
    Column("id", Text, primary_key=True),
    Column("dataset_id", Text, ForeignKey(datasets.c.id, ondelete="CASCADE"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("config", Text, nullable=False),
    Column("secret", Text),
    Column("input_origin", Text),
    Column("lightly_origin", Text),
    UniqueConstraint("dataset_id", "purpose"),
)
"""`catalog.stored_datasource` defines what the columns hold."""

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("user", Text, nullable=False),
    Column("token_id", Text),
    Column("action", Text, nullable=False),
    Column("dataset_id", Text, index=True),
    Column("target", Text),
    Column("details", Text),
    Column("address", Text),
    Column("request_id", Text),
    sqlite_autoincrement=True,
)
"""Who changed what (`domain.audit`). Entries outlive what they are about. `details` is a JSON object."""

feeds = Table(
    "feeds",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("dataset_id", Text, ForeignKey(datasets.c.id, ondelete="SET NULL"), unique=True),
    Column("key_order", Text, nullable=False),
    Column("unordered_since", BigInteger),
    Column("out_of_order", Boolean, nullable=False),
    Column("promised", BigInteger, nullable=False),
    Column("promised_by_others", BigInteger, nullable=False),
    Column("owner", BigInteger),
    Column("listings", BigInteger, nullable=False),
    Column("changes", BigInteger, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("n_rows", BigInteger, nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
    Column("completed_at", BigInteger),
    sqlite_autoincrement=True,
)
"""The feed of a dataset (`domain.feed`); ids are never used again.

- `dataset_id` is NULL once the feed is dropped. Its rows are then deleted little by little.
- `key_order` is the order of positions. `unordered_since` is NULL while the store lists in that order; else the number
  of the last listing whose pages deleted rows. `out_of_order`: a page was not in the order that the store reports.
- `promised`, `promised_by_others`, `owner`: see `Promises`. `listings` is the number of listings that have begun.
- `changes` is the number of the last entry of `feed_changes`.
- `complete`: every key was read at least once. `completed_at` is when a listing last read every key."""

feed_rows = Table(
    "feed_rows",
    metadata,
    Column("feed", Integer, primary_key=True, autoincrement=False),
    Column("position", LargeBinary, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("listing_time", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("seen", BigInteger),
    sqlite_with_rowid=False,
)
"""The index of all feeds. `seen` is set for rows that pages do not delete: how many listings had begun when the row was
last found. There is no foreign key, because rows outlive their feed for a while."""

feed_walked = Table(
    "feed_walked",
    metadata,
    Column("feed", Integer, ForeignKey(feeds.c.id, ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("listing", BigInteger, primary_key=True, autoincrement=False),
    Column("range_start", LargeBinary, primary_key=True),
    Column("covers", Boolean, primary_key=True),
    Column("range_end", LargeBinary, nullable=False),
    Column("promise", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""What listings have read (`Walked`): pages until a feed is complete, and whole shards after that."""

feed_claims = Table(
    "feed_claims",
    metadata,
    Column("feed", Integer, ForeignKey(feeds.c.id, ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("listing", BigInteger, primary_key=True, autoincrement=False),
    Column("begins_at", LargeBinary, primary_key=True),
    Column("request", LargeBinary, primary_key=True),
    sqlite_with_rowid=False,
)
"""The requests of the listing that owns the latest promise, by the place where they begin (`Claim`)."""

feed_changes = Table(
    "feed_changes",
    metadata,
    Column("feed", Integer, ForeignKey(feeds.c.id, ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("listing", BigInteger, nullable=False),
    Column("range_start", LargeBinary, nullable=False),
    Column("range_end", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Where indexes have changed in the last minutes: a page that was read from the store before that is stale."""

feed_listings = Table(
    "feed_listings",
    metadata,
    Column("feed", Integer, ForeignKey(feeds.c.id, ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("listing", BigInteger, primary_key=True, autoincrement=False),
    Column("begun_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("promise", BigInteger, nullable=False),
    Column("late", BigInteger, nullable=False),
    Column("delay", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""The last listings of each feed, with their late arrivals and the greatest delay in seconds."""
