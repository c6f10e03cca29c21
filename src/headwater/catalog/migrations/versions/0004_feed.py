"""The exact feed: an index of raw samples for each datasource, instead of counts by listings."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables of feeds. The counts of a dataset stay as they are until its feed is complete."""
    op.add_column("datasets", sa.Column("feed", sa.Text))
    op.drop_column("datasets", "counted_until")
    _create_feeds()
    op.create_table(
        "feed_rows",
        _feed_number(),
        sa.Column("position", sa.LargeBinary, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("listing_time", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("seen", sa.BigInteger),
        sa.PrimaryKeyConstraint("feed", "position", name="pk_feed_rows"),
        sqlite_with_rowid=False,
    )
    _create_part(
        "feed_walked",
        sa.Column("listing", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("range_start", sa.LargeBinary, nullable=False),
        sa.Column("covers", sa.Boolean, nullable=False),
        sa.Column("range_end", sa.LargeBinary, nullable=False),
        sa.Column("promise", sa.BigInteger, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        key=("listing", "range_start", "covers"),
    )
    _create_part(
        "feed_claims",
        sa.Column("listing", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("begins_at", sa.LargeBinary, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        key=("listing", "begins_at", "request"),
    )
    _create_part(
        "feed_changes",
        sa.Column("number", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("listing", sa.BigInteger, nullable=False),
        sa.Column("range_start", sa.LargeBinary, nullable=False),
        sa.Column("range_end", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        key=("number",),
    )
    _create_part(
        "feed_listings",
        sa.Column("listing", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("promise", sa.BigInteger, nullable=False),
        sa.Column("late", sa.BigInteger, nullable=False),
        sa.Column("delay", sa.BigInteger, nullable=False),
        key=("listing",),
    )


def _create_feeds() -> None:
    op.create_table(
        "feeds",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("dataset_id", sa.Text, nullable=True),
        sa.Column("key_order", sa.Text, nullable=False),
        sa.Column("unordered_since", sa.BigInteger),
        sa.Column("out_of_order", sa.Boolean, nullable=False),
        sa.Column("promised", sa.BigInteger, nullable=False),
        sa.Column("promised_by_others", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.BigInteger),
        sa.Column("listings", sa.BigInteger, nullable=False),
        sa.Column("changes", sa.BigInteger, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("n_rows", sa.BigInteger, nullable=False),
        sa.Column("n_bytes", sa.BigInteger, nullable=False),
        sa.Column("completed_at", sa.BigInteger),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], "fk_feeds_dataset_id", ondelete="SET NULL"),
        sa.UniqueConstraint("dataset_id", name="uq_feeds_dataset_id"),
        sa.PrimaryKeyConstraint("id", name="pk_feeds"),
        sqlite_autoincrement=True,
    )


def _feed_number() -> sa.Column[int]:
    return sa.Column("feed", sa.Integer, nullable=False, autoincrement=False)


def _create_part(name: str, *columns: sa.Column[object], key: tuple[str, ...]) -> None:
    """Create a table whose rows are deleted with their feed."""
    op.create_table(
        name,
        _feed_number(),
        *columns,
        sa.ForeignKeyConstraint(["feed"], ["feeds.id"], f"fk_{name}_feed", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("feed", *key, name=f"pk_{name}"),
        sqlite_with_rowid=False,
    )
