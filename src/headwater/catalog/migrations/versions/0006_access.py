"""Scopes, limits and uses of tokens; groups of users; shares of datasets."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Replace `admin` of tokens by a scope, and add what is new."""
    op.add_column("users", sa.Column("jwt_groups", sa.Text))
    op.add_column("tokens", sa.Column("scope", sa.Text, nullable=False, server_default="write"))
    tokens = sa.table("tokens", sa.column("scope", sa.Text), sa.column("admin", sa.Boolean))
    op.execute(sa.update(tokens).where(tokens.c.admin).values(scope="admin"))
    op.drop_column("tokens", "admin")
    op.add_column("tokens", sa.Column("dataset_id", sa.Text))
    op.add_column("tokens", sa.Column("label", sa.Text))
    op.add_column("tokens", sa.Column("expires_at", sa.BigInteger))
    op.add_column("tokens", sa.Column("last_used_at", sa.BigInteger))
    op.create_table(
        "shares",
        sa.Column("dataset_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("grantee", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "kind", "grantee", name="pk_shares"),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name="fk_shares_dataset_id", ondelete="CASCADE"),
    )
    op.create_index("ix_shares_kind_grantee", "shares", ["kind", "grantee"])
