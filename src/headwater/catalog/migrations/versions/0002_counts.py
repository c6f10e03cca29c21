"""What listings have counted of a dataset; names that compare by their bytes; children by their parent."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the counts. Datasets that are there have none until their next listing."""
    op.add_column("datasets", sa.Column("n_samples", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("datasets", sa.Column("size_in_bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("datasets", sa.Column("counted_until", sa.BigInteger))
    op.create_index("ix_datasets_parent_id", "datasets", ["parent_id"])
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("datasets", "name", type_=sa.Text(collation="C"))
