"""Volume records."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "volumes",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("engine", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(36), nullable=False),
        sa.Column("pool", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("engine_key", sa.Text, nullable=False),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("base_chain", sa.JSON, nullable=False),
        sa.Column("device", sa.String(20)),
        sa.Column("inode", sa.String(20)),
        sa.Column("birth_time_ns", sa.BigInteger),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_volumes"),
    )
    op.create_index("ix_volumes_engine", "volumes", ["engine"])
