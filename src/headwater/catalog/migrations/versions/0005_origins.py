"""Which datasource brought the raw samples of a dataset, and its `.lightly/` folder, to their present locations."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the origins. Of datasources that are there it is not known, so it is each itself."""
    op.add_column("datasources", sa.Column("input_origin", sa.Text))
    op.add_column("datasources", sa.Column("lightly_origin", sa.Text))
