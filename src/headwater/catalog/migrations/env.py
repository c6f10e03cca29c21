"""Alembic's entry: runs the migrations on the connection and in the transaction of `catalog.schema`."""

from __future__ import annotations

from alembic import context

from headwater.catalog.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
