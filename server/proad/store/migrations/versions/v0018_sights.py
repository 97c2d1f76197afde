"""Whose resources the callers of requests could see."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the column; requests so far are shown to nobody who may not see everything."""
    column = sa.Column("sight", sa.String(16), nullable=False, server_default="")
    op.add_column("requests", column)
